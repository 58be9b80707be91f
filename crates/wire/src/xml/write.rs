//! Shapes to XML.

use bytes::Bytes;
use sereno_base::{Timestamp, base64_encode};

use crate::body::Body;
use crate::field::{element, key};
use crate::query::flat_name;
use crate::schema::{FLATTENED, Member, TimestampFormat, XML_ATTRIBUTE, XML_TEXT};
use crate::shape::{Document, Writer};
use crate::text;

enum Frame {
    /// Members are elements by their own names. Where the start tag's `>` stands, for attributes.
    Structure(usize),
    /// Elements are all called so.
    List(&'static str),
    /// Values are called so; the entry's frame, if any, is written by `key`.
    Map,
}

pub struct XmlWriter {
    out: String,
    frames: Vec<Frame>,
    /// Declared on the first element.
    namespace: Option<&'static str>,
    /// S3 tells milliseconds always, the query services only where there are some.
    milliseconds: bool,
}

impl XmlWriter {
    /// A document with this root.
    pub fn document(
        root: &str,
        namespace: Option<(&str, &str)>,
        write: impl FnOnce(&mut XmlWriter),
    ) -> String {
        let mut it = XmlWriter { milliseconds: false, ..XmlWriter::declared() };
        it.open(root, namespace);
        write(&mut it);
        it.close(root);
        it.out
    }

    /// The declaration, nothing else yet.
    pub fn declared() -> XmlWriter {
        let out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        XmlWriter { out, frames: Vec::new(), namespace: None, milliseconds: true }
    }

    /// The namespace of a document whose root is a member.
    pub fn default_namespace(mut self, uri: Option<&'static str>) -> XmlWriter {
        self.namespace = uri;
        self
    }

    pub fn open(&mut self, name: &str, namespace: Option<(&str, &str)>) {
        self.start(name, namespace);
        self.frames.push(Frame::Structure(self.out.len() - 1));
    }

    pub fn close(&mut self, name: &str) {
        self.frames.pop();
        self.end(name);
    }

    /// An element that no model has.
    pub fn extra(&mut self, name: &str, value: &str) {
        self.start(name, None);
        escape(value, &mut self.out);
        self.end(name);
    }

    pub fn finish(self) -> String {
        self.out
    }

    fn start(&mut self, name: &str, namespace: Option<(&str, &str)>) {
        self.out.push('<');
        self.out.push_str(name);
        if let Some((prefix, uri)) = namespace {
            self.out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.out.push_str(prefix);
            self.out.push_str("=\"");
            escape(uri, &mut self.out);
            self.out.push('"');
        }
        self.out.push('>');
    }

    fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn name(&self, m: &'static Member) -> &'static str {
        match self.frames.last() {
            Some(Frame::List(name)) => name,
            _ => m.wire,
        }
    }

    fn begin(&mut self, m: &'static Member) {
        let default = self.namespace.take().map(|uri| ("", uri));
        self.start(self.name(m), m.namespace.or(default));
    }

    fn finish_element(&mut self, m: &'static Member) {
        self.end(self.name(m));
    }

    fn scalar(&mut self, m: &'static Member, value: &str) {
        if m.is(XML_TEXT) {
            return escape(value, &mut self.out);
        }
        if m.is(XML_ATTRIBUTE) {
            let Some(Frame::Structure(at)) = self.frames.last_mut() else { return };
            let mut attribute = format!(" {}=\"", m.wire);
            escape(value, &mut attribute);
            attribute.push('"');
            self.out.insert_str(*at, &attribute);
            *at += attribute.len();
            return;
        }
        self.begin(m);
        escape(value, &mut self.out);
        self.finish_element(m);
    }
}

impl Writer for XmlWriter {
    fn begin_structure(&mut self, m: &'static Member) {
        self.begin(m);
        self.frames.push(Frame::Structure(self.out.len() - 1));
    }

    fn end_structure(&mut self, m: &'static Member) {
        self.frames.pop();
        self.finish_element(m);
    }

    fn begin_list(&mut self, m: &'static Member, _: usize) {
        if m.is(FLATTENED) {
            self.frames.push(Frame::List(flat_name(m)));
        } else {
            self.begin(m);
            self.frames.push(Frame::List(element(m).wire));
        }
    }

    fn end_list(&mut self, m: &'static Member) {
        self.frames.pop();
        if !m.is(FLATTENED) {
            self.finish_element(m);
        }
    }

    fn begin_map(&mut self, m: &'static Member, _: usize) {
        if !m.is(FLATTENED) {
            self.begin(m);
        }
        self.frames.push(Frame::Map);
    }

    fn key(&mut self, m: &'static Member, name: &str) {
        self.start(if m.is(FLATTENED) { m.wire } else { "entry" }, None);
        let key = key(m);
        self.start(key.wire, key.namespace);
        escape(name, &mut self.out);
        self.end(key.wire);
    }

    fn end_entry(&mut self, m: &'static Member) {
        self.end(if m.is(FLATTENED) { m.wire } else { "entry" });
    }

    fn end_map(&mut self, m: &'static Member) {
        self.frames.pop();
        if !m.is(FLATTENED) {
            self.finish_element(m);
        }
    }

    fn null(&mut self, m: &'static Member) {
        self.scalar(m, "");
    }

    fn string(&mut self, m: &'static Member, value: &str) {
        self.scalar(m, value);
    }

    fn boolean(&mut self, m: &'static Member, value: bool) {
        self.scalar(m, if value { "true" } else { "false" });
    }

    fn long(&mut self, m: &'static Member, value: i64) {
        self.scalar(m, &value.to_string());
    }

    fn double(&mut self, m: &'static Member, value: f64) {
        self.scalar(m, &text::double(value));
    }

    fn blob(&mut self, m: &'static Member, value: &Bytes) {
        self.scalar(m, &base64_encode(value));
    }

    fn timestamp(&mut self, m: &'static Member, value: Timestamp) {
        let text = match m.target.timestamp {
            TimestampFormat::Protocol if self.milliseconds => value.iso8601_millis(),
            format => text::write_timestamp(value, format, TimestampFormat::Iso8601),
        };
        self.scalar(m, &text);
    }

    fn document(&mut self, m: &'static Member, value: &Document) {
        self.scalar(m, &value.to_string());
    }

    fn stream(&mut self, m: &'static Member, value: &Body) {
        if let Body::Bytes(bytes) = value {
            self.blob(m, bytes);
        }
    }
}

/// Text for content or an attribute. Characters that XML 1.0 cannot hold are written as
/// references, as AWS does; clients that cannot read them ask for `EncodingType=url`.
pub fn escape(text: &str, out: &mut String) {
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        let entity = match byte {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' => "&quot;",
            b'\r' => "&#13;",
            0..0x20 if byte != b'\n' && byte != b'\t' => {
                out.push_str(&text[plain..index]);
                out.push_str(&format!("&#{byte};"));
                plain = index + 1;
                continue;
            }
            _ => continue,
        };
        out.push_str(&text[plain..index]);
        out.push_str(entity);
        plain = index + 1;
    }
    out.push_str(&text[plain..]);
}
