//! Shapes to JSON.

use bytes::Bytes;
use sereno_base::{Timestamp, base64_encode};

use super::Names;
use super::plain::plain_len;
use crate::body::Body;
use crate::schema::{Member, TimestampFormat};
use crate::shape::{Document, Writer};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Structure,
    List,
    Map,
}

pub struct JsonWriter {
    out: Vec<u8>,
    frames: Vec<Frame>,
    names: Names,
}

impl JsonWriter {
    /// `{ ... }` around whatever `write` writes.
    pub fn object(names: Names, write: impl FnOnce(&mut JsonWriter)) -> Vec<u8> {
        let mut it = JsonWriter::open(names);
        write(&mut it);
        it.close()
    }

    /// A writer inside an object, for callers that add members one by one.
    pub fn open(names: Names) -> JsonWriter {
        let mut out = Vec::with_capacity(256);
        out.push(b'{');
        JsonWriter { out, frames: vec![Frame::Structure], names }
    }

    pub fn close(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    /// A writer of one value of any kind.
    pub fn value(names: Names) -> JsonWriter {
        JsonWriter { out: Vec::with_capacity(256), frames: Vec::new(), names }
    }

    /// What was written, with nothing closed.
    pub fn bare(self) -> Vec<u8> {
        self.out
    }

    /// Whether a key of that name was written, at any depth: errors are small and flat.
    pub fn has(&self, name: &str) -> bool {
        let key = format!("\"{name}\":");
        self.out.windows(key.len()).any(|window| window == key.as_bytes())
    }

    /// A member that no model has (`__type`).
    pub fn extra(&mut self, name: &str, value: &str) {
        self.comma();
        quote(&mut self.out, name);
        self.out.push(b':');
        quote(&mut self.out, value);
    }

    /// A comma unless a container has just begun or a key been written; the last byte tells,
    /// because no complete value ends in one of these.
    fn comma(&mut self) {
        if !matches!(self.out.last(), Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    fn begin(&mut self, m: &Member) {
        match self.frames.last() {
            Some(Frame::Structure) => {
                self.comma();
                self.out.push(b'"');
                self.out.extend_from_slice(self.names.of(m).as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Some(Frame::List) => self.comma(),
            Some(Frame::Map) | None => {}
        }
    }

    fn open_frame(&mut self, m: &Member, frame: Frame, bracket: u8) {
        self.begin(m);
        self.out.push(bracket);
        self.frames.push(frame);
    }

    fn close_frame(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.frames.pop();
    }
}

impl Writer for JsonWriter {
    fn begin_structure(&mut self, m: &'static Member) {
        self.open_frame(m, Frame::Structure, b'{');
    }

    fn end_structure(&mut self, _: &'static Member) {
        self.close_frame(b'}');
    }

    fn begin_list(&mut self, m: &'static Member, _: usize) {
        self.open_frame(m, Frame::List, b'[');
    }

    fn end_list(&mut self, _: &'static Member) {
        self.close_frame(b']');
    }

    fn begin_map(&mut self, m: &'static Member, _: usize) {
        self.open_frame(m, Frame::Map, b'{');
    }

    fn key(&mut self, _: &'static Member, key: &str) {
        self.comma();
        quote(&mut self.out, key);
        self.out.push(b':');
    }

    fn end_entry(&mut self, _: &'static Member) {}

    fn end_map(&mut self, _: &'static Member) {
        self.close_frame(b'}');
    }

    fn null(&mut self, m: &'static Member) {
        self.begin(m);
        self.out.extend_from_slice(b"null");
    }

    fn string(&mut self, m: &'static Member, value: &str) {
        self.begin(m);
        quote(&mut self.out, value);
    }

    fn boolean(&mut self, m: &'static Member, value: bool) {
        self.begin(m);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn long(&mut self, m: &'static Member, value: i64) {
        self.begin(m);
        integer(&mut self.out, value);
    }

    fn double(&mut self, m: &'static Member, value: f64) {
        self.begin(m);
        double(&mut self.out, value);
    }

    fn blob(&mut self, m: &'static Member, value: &Bytes) {
        self.begin(m);
        self.out.push(b'"');
        self.out.extend_from_slice(base64_encode(value).as_bytes());
        self.out.push(b'"');
    }

    fn timestamp(&mut self, m: &'static Member, value: Timestamp) {
        self.begin(m);
        match m.target.timestamp {
            TimestampFormat::Iso8601 => quote(&mut self.out, &value.iso8601()),
            TimestampFormat::Http => quote(&mut self.out, &value.http_date()),
            TimestampFormat::Epoch | TimestampFormat::Protocol => epoch(&mut self.out, value),
        }
    }

    fn document(&mut self, m: &'static Member, value: &Document) {
        self.begin(m);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    fn stream(&mut self, m: &'static Member, value: &Body) {
        // Only in JSON made for people and templates: on the wire a stream is the payload.
        if let Body::Bytes(bytes) = value {
            self.blob(m, bytes);
        }
    }
}

/// Seconds, with up to three decimals.
pub(crate) fn epoch(out: &mut Vec<u8>, value: Timestamp) {
    let millis = value.millis();
    let fraction = millis.rem_euclid(1000);
    if fraction == 0 {
        return integer(out, millis.div_euclid(1000));
    }
    let sign = if millis < 0 { "-" } else { "" };
    let magnitude = millis.unsigned_abs();
    let text = format!("{sign}{}.{:03}", magnitude / 1000, magnitude % 1000);
    out.extend_from_slice(text.trim_end_matches('0').as_bytes());
}

fn integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn double(out: &mut Vec<u8>, value: f64) {
    let text = crate::text::double(value);
    match value.is_finite() {
        true => out.extend_from_slice(text.as_bytes()),
        false => quote(out, &text),
    }
}

fn quote(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, special) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((byte, behind)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = behind;
    }
    out.push(b'"');
}
