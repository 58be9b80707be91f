//! Shapes to CBOR. Structures are maps of indefinite length: their size is known only at the end.

use bytes::Bytes;
use sereno_base::Timestamp;

use crate::body::Body;
use crate::schema::Member;
use crate::shape::{Document, Writer};

pub struct CborWriter {
    out: Vec<u8>,
    /// Whether the value in hand is a structure's member, which writes its name.
    in_structure: Vec<bool>,
}

impl CborWriter {
    pub fn object(write: impl FnOnce(&mut CborWriter)) -> Vec<u8> {
        let mut it = CborWriter { out: vec![0xbf], in_structure: vec![true] };
        write(&mut it);
        it.out.push(0xff);
        it.out
    }

    /// A member that no model has.
    pub fn extra(&mut self, name: &str, value: &str) {
        self.text(name);
        self.text(value);
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        let bytes = value.to_be_bytes();
        match value {
            0..24 => self.out.push(major | value as u8),
            24..0x100 => self.out.extend_from_slice(&[major | 24, bytes[7]]),
            0x100..0x1_0000 => {
                self.out.push(major | 25);
                self.out.extend_from_slice(&bytes[6..]);
            }
            0x1_0000..0x1_0000_0000 => {
                self.out.push(major | 26);
                self.out.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&bytes);
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.head(3, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn begin(&mut self, m: &Member) {
        if self.in_structure.last() == Some(&true) {
            self.text(m.wire);
        }
    }

    fn float(&mut self, value: f64) {
        self.out.push(0xfb);
        self.out.extend_from_slice(&value.to_be_bytes());
    }
}

impl Writer for CborWriter {
    fn begin_structure(&mut self, m: &'static Member) {
        self.begin(m);
        self.out.push(0xbf);
        self.in_structure.push(true);
    }

    fn end_structure(&mut self, _: &'static Member) {
        self.out.push(0xff);
        self.in_structure.pop();
    }

    fn begin_list(&mut self, m: &'static Member, len: usize) {
        self.begin(m);
        self.head(4, len as u64);
        self.in_structure.push(false);
    }

    fn end_list(&mut self, _: &'static Member) {
        self.in_structure.pop();
    }

    fn begin_map(&mut self, m: &'static Member, len: usize) {
        self.begin(m);
        self.head(5, len as u64);
        self.in_structure.push(false);
    }

    fn key(&mut self, _: &'static Member, key: &str) {
        self.text(key);
    }

    fn end_entry(&mut self, _: &'static Member) {}

    fn end_map(&mut self, _: &'static Member) {
        self.in_structure.pop();
    }

    fn null(&mut self, m: &'static Member) {
        self.begin(m);
        self.out.push(0xf6);
    }

    fn string(&mut self, m: &'static Member, value: &str) {
        self.begin(m);
        self.text(value);
    }

    fn boolean(&mut self, m: &'static Member, value: bool) {
        self.begin(m);
        self.out.push(if value { 0xf5 } else { 0xf4 });
    }

    fn long(&mut self, m: &'static Member, value: i64) {
        self.begin(m);
        match u64::try_from(value) {
            Ok(value) => self.head(0, value),
            Err(_) => self.head(1, value.unsigned_abs() - 1),
        }
    }

    fn double(&mut self, m: &'static Member, value: f64) {
        self.begin(m);
        self.float(value);
    }

    fn blob(&mut self, m: &'static Member, value: &Bytes) {
        self.begin(m);
        self.head(2, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    fn timestamp(&mut self, m: &'static Member, value: Timestamp) {
        self.begin(m);
        // Tag 1: seconds since 1970.
        self.out.push(0xc1);
        self.float(value.secs_f64());
    }

    fn document(&mut self, m: &'static Member, value: &Document) {
        self.begin(m);
        self.text(&value.to_string());
    }

    fn stream(&mut self, m: &'static Member, value: &Body) {
        if let Body::Bytes(bytes) = value {
            self.blob(m, bytes);
        }
    }
}
