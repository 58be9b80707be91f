//! CBOR to shapes.

use std::cell::RefCell;

use bytes::Bytes;
use sereno_base::Timestamp;

use crate::schema::{Member, Schema};
use crate::shape::{Document, OnElement, OnEntry, OnMember, ReadError, Reader};
use crate::validate::Checks;

/// Deeper messages are refused: the stack is finite.
const DEPTH_MAX: usize = 128;

const BREAK: u8 = 0xff;
const NULL: u8 = 0xf6;
const UNDEFINED: u8 = 0xf7;

pub struct CborReader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    checks: Option<&'a RefCell<Checks>>,
}

fn malformed() -> ReadError {
    ReadError::new("The request is not well-formed CBOR")
}

fn unexpected(m: &Member) -> ReadError {
    ReadError::new(format!("{} is not of type {:?}", m.name, m.target.kind))
}

/// Major types of RFC 8949.
mod major {
    pub const UNSIGNED: u8 = 0;
    pub const NEGATIVE: u8 = 1;
    pub const BYTES: u8 = 2;
    pub const TEXT: u8 = 3;
    pub const LIST: u8 = 4;
    pub const MAP: u8 = 5;
    pub const TAG: u8 = 6;
    pub const SIMPLE: u8 = 7;
}

impl<'a> CborReader<'a> {
    pub fn new(bytes: &'a [u8], checks: Option<&'a RefCell<Checks>>) -> Self {
        CborReader { bytes, at: 0, depth: 0, checks }
    }

    fn peek(&self) -> Result<u8, ReadError> {
        self.bytes.get(self.at).copied().ok_or_else(malformed)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let end = self.at.checked_add(count).ok_or_else(malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(malformed)?;
        self.at = end;
        Ok(taken)
    }

    /// Type and argument of the next item; no argument where its length is indefinite.
    fn head(&mut self) -> Result<(u8, Option<u64>), ReadError> {
        let first = self.take(1)?[0];
        let size = match first & 31 {
            small @ 0..24 => return Ok((first >> 5, Some(u64::from(small)))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Ok((first >> 5, None)),
            _ => return Err(malformed()),
        };
        let value = self.take(size)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Ok((first >> 5, Some(value)))
    }

    fn tags(&mut self) -> Result<(), ReadError> {
        while self.peek()? >> 5 == major::TAG {
            self.head()?;
        }
        Ok(())
    }

    /// Runs `each` for every item of a list or entry of a map.
    fn items(
        &mut self,
        wanted: u8,
        each: &mut dyn FnMut(&mut Self) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        self.tags()?;
        let (found, len) = self.head()?;
        if found != wanted {
            return Err(malformed());
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ReadError::new("CBOR is nested too deeply"));
        }
        let mut left = len.unwrap_or(u64::MAX);
        while left > 0 {
            if len.is_none() && self.peek()? == BREAK {
                self.at += 1;
                break;
            }
            each(self)?;
            left -= 1;
        }
        self.depth -= 1;
        Ok(())
    }

    fn bytes_of(&mut self, wanted: u8) -> Result<Vec<u8>, ReadError> {
        self.tags()?;
        let (found, len) = self.head()?;
        if found != wanted {
            return Err(malformed());
        }
        let Some(len) = len else {
            let mut whole = Vec::new();
            while self.peek()? != BREAK {
                let (found, len) = self.head()?;
                let len = len.filter(|_| found == wanted).ok_or_else(malformed)?;
                whole.extend_from_slice(self.take(usize::try_from(len).map_err(|_| malformed())?)?);
            }
            self.at += 1;
            return Ok(whole);
        };
        Ok(self.take(usize::try_from(len).map_err(|_| malformed())?)?.to_vec())
    }

    fn text(&mut self) -> Result<String, ReadError> {
        String::from_utf8(self.bytes_of(major::TEXT)?).map_err(|_| malformed())
    }

    fn number(&mut self, m: &Member) -> Result<f64, ReadError> {
        self.tags()?;
        let size = match self.peek()? {
            0xf9 => 2,
            0xfa => 4,
            0xfb => 8,
            _ => return self.integer(m).map(|value| value as f64),
        };
        self.at += 1;
        let bits = self.take(size)?.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        Ok(match size {
            2 => half(bits as u16),
            4 => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        })
    }

    fn integer(&mut self, m: &Member) -> Result<i64, ReadError> {
        self.tags()?;
        let (found, value) = self.head()?;
        let value = value.and_then(|v| i64::try_from(v).ok()).ok_or_else(|| unexpected(m))?;
        match found {
            major::UNSIGNED => Ok(value),
            major::NEGATIVE => Ok(-1 - value),
            _ => Err(unexpected(m)),
        }
    }

    fn skip(&mut self) -> Result<(), ReadError> {
        self.tags()?;
        match self.peek()? >> 5 {
            major::LIST => self.items(major::LIST, &mut Self::skip),
            major::MAP => self.items(major::MAP, &mut |r| {
                r.skip()?;
                r.skip()
            }),
            kind @ (major::BYTES | major::TEXT) => self.bytes_of(kind).map(drop),
            _ => match self.head()? {
                (major::SIMPLE, None) => Err(malformed()),
                _ => Ok(()),
            },
        }
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    sign * match (bits >> 10) & 31 {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    }
}

impl Reader for CborReader<'_> {
    fn structure(&mut self, schema: &'static Schema, on: OnMember<'_>) -> Result<(), ReadError> {
        self.items(major::MAP, &mut |r| {
            let key = r.text()?;
            match schema.members.iter().position(|m| m.wire == key) {
                _ if r.null()? => Ok(()),
                Some(index) => on(index, r),
                None => r.skip(),
            }
        })
    }

    fn list(&mut self, _: &'static Member, on: OnElement<'_>) -> Result<(), ReadError> {
        self.items(major::LIST, &mut |r| on(r))
    }

    fn map(&mut self, _: &'static Member, on: OnEntry<'_>) -> Result<(), ReadError> {
        self.items(major::MAP, &mut |r| {
            let key = r.text()?;
            on(key, r)
        })
    }

    fn string(&mut self, _: &'static Member) -> Result<String, ReadError> {
        self.text()
    }

    fn boolean(&mut self, m: &'static Member) -> Result<bool, ReadError> {
        match self.take(1)?[0] {
            0xf4 => Ok(false),
            0xf5 => Ok(true),
            _ => Err(unexpected(m)),
        }
    }

    fn long(&mut self, m: &'static Member) -> Result<i64, ReadError> {
        self.integer(m)
    }

    fn double(&mut self, m: &'static Member) -> Result<f64, ReadError> {
        self.number(m)
    }

    fn blob(&mut self, _: &'static Member) -> Result<Bytes, ReadError> {
        self.bytes_of(major::BYTES).map(Bytes::from)
    }

    fn timestamp(&mut self, m: &'static Member) -> Result<Timestamp, ReadError> {
        let seconds = self.number(m)?;
        Timestamp::from_secs_f64(seconds).ok_or_else(|| unexpected(m))
    }

    fn document(&mut self, m: &'static Member) -> Result<Document, ReadError> {
        Err(ReadError::new(format!("{}: CBOR has no documents", m.name)))
    }

    fn null(&mut self) -> Result<bool, ReadError> {
        let null = matches!(self.peek()?, NULL | UNDEFINED);
        self.at += usize::from(null);
        Ok(null)
    }

    fn checks(&self) -> Option<&RefCell<Checks>> {
        self.checks
    }
}
