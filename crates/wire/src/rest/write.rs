//! An operation's output to a response.

use bytes::Bytes;
use sereno_base::{Timestamp, base64_encode};

use super::{Language, has_document};
use crate::body::{Body, HeaderName, HeaderValue, HttpResponse};
use crate::json::{JsonWriter, Names};
use crate::schema::{
    EVENT_STREAM, JSON_VALUE, Kind, Location, Member, OperationSchema, PAYLOAD, Schema,
    TimestampFormat,
};
use crate::shape::{Document, Writer};
use crate::text;
use crate::xml::XmlWriter;

enum Doc {
    Json(JsonWriter),
    Xml(XmlWriter),
}

impl Doc {
    fn writer(&mut self) -> &mut dyn Writer {
        match self {
            Doc::Json(json) => json,
            Doc::Xml(xml) => xml,
        }
    }
}

pub(crate) struct RestWriter {
    response: HttpResponse,
    language: Language,
    doc: Option<Doc>,
    /// Root element of a document that is no payload.
    root: Option<&'static str>,
    /// How deep inside the document the writer is; at 0 a member's location decides.
    depth: usize,
    header_list: Option<Vec<String>>,
    prefix_key: Option<String>,
    namespace: Option<&'static str>,
}

impl RestWriter {
    pub fn new(operation: &'static OperationSchema, language: Language) -> RestWriter {
        let schema: &'static Schema = operation.output;
        let namespace = operation.service.xml_namespace;
        let mut it = RestWriter {
            response: HttpResponse::new(operation.status),
            language,
            doc: None,
            root: None,
            depth: 0,
            header_list: None,
            prefix_key: None,
            namespace,
        };
        if has_document(schema) {
            it.doc = Some(match language {
                Language::Json => Doc::Json(JsonWriter::open(Names::Wire)),
                Language::Xml => {
                    let root = operation.output_root.unwrap_or(schema.name);
                    it.root = Some(root);
                    let mut xml = XmlWriter::declared();
                    xml.open(root, namespace.map(|uri| ("", uri)));
                    Doc::Xml(xml)
                }
            });
        }
        it
    }

    pub fn finish(mut self) -> HttpResponse {
        // The models say 200 for an answer that may be a part (S3's GetObject).
        if self.response.headers.contains_key(http::header::CONTENT_RANGE) {
            self.response.status = 206;
        }
        match self.doc.take() {
            None => {}
            Some(Doc::Json(json)) => {
                let body = if self.root.is_some() { json.bare() } else { json.close() };
                self.body("application/json", Body::from(body));
            }
            Some(Doc::Xml(mut xml)) => {
                if let Some(root) = self.root {
                    xml.close(root);
                }
                self.body("application/xml", Body::from(xml.finish()));
            }
        }
        self.response
    }

    fn body(&mut self, content_type: &'static str, body: Body) {
        let headers = &mut self.response.headers;
        if !headers.contains_key(http::header::CONTENT_TYPE) {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        self.response.body = body;
    }

    fn header(&mut self, name: &str, value: &str) {
        let name = HeaderName::try_from(name);
        // Text outside ASCII travels as its UTF-8 bytes, as S3's metadata does.
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            self.response.headers.insert(name, value);
        }
    }

    /// Where a value belongs: `None` if it was taken here, else the document's writer.
    fn scalar(
        &mut self,
        m: &'static Member,
        text: impl FnOnce() -> String,
    ) -> Option<&mut dyn Writer> {
        if self.depth > 0 {
            return self.doc.as_mut().map(Doc::writer);
        }
        if let Some(list) = &mut self.header_list {
            let value = text();
            list.push(if value.contains([',', '"']) && m.target.kind != Kind::Timestamp {
                format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
            } else {
                value
            });
            return None;
        }
        if let Some(name) = self.prefix_key.take() {
            self.header(&name, &text());
            return None;
        }
        match m.location {
            Location::StatusCode => {
                if let Ok(status) = text().parse() {
                    self.response.status = status;
                }
                None
            }
            Location::Header => {
                let mut value = text();
                if m.is(JSON_VALUE) {
                    value = base64_encode(value.as_bytes());
                }
                self.header(m.wire, &value);
                None
            }
            Location::Body if m.is(PAYLOAD) => {
                self.body("text/plain", Body::from(text()));
                None
            }
            _ => self.doc.as_mut().map(Doc::writer),
        }
    }

    /// Opens the document of a payload; where there is no payload it is open already.
    fn enter(&mut self, m: &'static Member) {
        if self.depth == 0 && m.is(PAYLOAD) {
            self.doc = Some(match self.language {
                Language::Json => {
                    self.root = Some("");
                    Doc::Json(JsonWriter::value(Names::Wire))
                }
                Language::Xml => Doc::Xml(XmlWriter::declared().default_namespace(self.namespace)),
            });
        }
        self.depth += 1;
    }

    fn inner(&mut self) -> Option<&mut dyn Writer> {
        self.doc.as_mut().map(Doc::writer)
    }
}

impl Writer for RestWriter {
    fn begin_structure(&mut self, m: &'static Member) {
        self.enter(m);
        if let Some(w) = self.inner() {
            w.begin_structure(m);
        }
    }

    fn end_structure(&mut self, m: &'static Member) {
        self.depth -= 1;
        if let Some(w) = self.inner() {
            w.end_structure(m);
        }
    }

    fn begin_list(&mut self, m: &'static Member, len: usize) {
        if self.depth == 0 && m.location == Location::Header {
            self.header_list = Some(Vec::with_capacity(len));
            return;
        }
        self.enter(m);
        if let Some(w) = self.inner() {
            w.begin_list(m, len);
        }
    }

    fn end_list(&mut self, m: &'static Member) {
        if self.depth == 0
            && let Some(list) = self.header_list.take()
        {
            if !list.is_empty() {
                self.header(m.wire, &list.join(", "));
            }
            return;
        }
        self.depth -= 1;
        if let Some(w) = self.inner() {
            w.end_list(m);
        }
    }

    fn begin_map(&mut self, m: &'static Member, len: usize) {
        if self.depth == 0 && m.location == Location::PrefixHeaders {
            return;
        }
        self.enter(m);
        if let Some(w) = self.inner() {
            w.begin_map(m, len);
        }
    }

    fn key(&mut self, m: &'static Member, key: &str) {
        if self.depth == 0 {
            self.prefix_key = Some(format!("{}{key}", m.wire));
        } else if let Some(w) = self.inner() {
            w.key(m, key);
        }
    }

    fn end_entry(&mut self, m: &'static Member) {
        if self.depth > 0
            && let Some(w) = self.inner()
        {
            w.end_entry(m);
        }
    }

    fn end_map(&mut self, m: &'static Member) {
        if self.depth == 0 {
            return;
        }
        self.depth -= 1;
        if let Some(w) = self.inner() {
            w.end_map(m);
        }
    }

    fn null(&mut self, m: &'static Member) {
        // A header cannot be null: only documents carry one.
        if self.depth > 0
            && let Some(w) = self.inner()
        {
            w.null(m);
        }
    }

    fn string(&mut self, m: &'static Member, value: &str) {
        if let Some(w) = self.scalar(m, || value.to_owned()) {
            w.string(m, value);
        }
    }

    fn boolean(&mut self, m: &'static Member, value: bool) {
        if let Some(w) = self.scalar(m, || value.to_string()) {
            w.boolean(m, value);
        }
    }

    fn long(&mut self, m: &'static Member, value: i64) {
        if let Some(w) = self.scalar(m, || value.to_string()) {
            w.long(m, value);
        }
    }

    fn double(&mut self, m: &'static Member, value: f64) {
        if let Some(w) = self.scalar(m, || text::double(value)) {
            w.double(m, value);
        }
    }

    fn blob(&mut self, m: &'static Member, value: &Bytes) {
        if self.depth == 0 && m.is(PAYLOAD) {
            return self.body("application/octet-stream", Body::Bytes(value.clone()));
        }
        if let Some(w) = self.scalar(m, || base64_encode(value)) {
            w.blob(m, value);
        }
    }

    fn timestamp(&mut self, m: &'static Member, value: Timestamp) {
        let format = m.target.timestamp;
        let outside = || text::write_timestamp(value, format, TimestampFormat::Http);
        if let Some(w) = self.scalar(m, outside) {
            w.timestamp(m, value);
        }
    }

    fn document(&mut self, m: &'static Member, value: &Document) {
        if self.depth == 0 && m.is(PAYLOAD) {
            return self.body("application/json", Body::from(value.to_string()));
        }
        if let Some(w) = self.scalar(m, || value.to_string()) {
            w.document(m, value);
        }
    }

    fn stream(&mut self, m: &'static Member, value: &Body) {
        if self.depth == 0 && m.is(PAYLOAD) {
            let kind = match m.is(EVENT_STREAM) {
                true => crate::eventstream::CONTENT_TYPE,
                false => "application/octet-stream",
            };
            return self.body(kind, value.clone());
        }
        if let Some(w) = self.inner() {
            w.stream(m, value);
        }
    }
}
