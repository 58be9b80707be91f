//! JSON to shapes.

use std::cell::RefCell;

use bytes::Bytes;
use sereno_base::{Timestamp, base64_decode};

use super::scan::{Scanner, Token};
use super::{Names, converted};
use crate::schema::{Location, Member, Schema};
use crate::shape::{Document, OnElement, OnEntry, OnMember, ReadError, Reader};
use crate::text;
use crate::validate::Checks;

pub struct JsonReader<'a> {
    scan: Scanner<'a>,
    names: Names,
    checks: Option<&'a RefCell<Checks>>,
    /// The value in hand is a map's: AWS words a wrong type there differently.
    in_map: bool,
    /// The outermost structure has members elsewhere in the message; they are not read here.
    body_only: bool,
}

impl<'a> JsonReader<'a> {
    pub fn new(text: &'a str, names: Names, checks: Option<&'a RefCell<Checks>>) -> Self {
        JsonReader { scan: Scanner::new(text), names, checks, in_map: false, body_only: false }
    }

    /// Leaves out the outermost structure's members that do not travel in the body.
    pub(crate) fn body_only(&mut self) {
        self.body_only = true;
    }

    /// Nothing may follow the value that was read.
    pub fn finish(&mut self) -> Result<(), ReadError> {
        self.scan.finish()
    }

    /// A member's index; members mostly come in the model's order, so the search starts behind
    /// the one found last.
    fn find(&self, schema: &'static Schema, key: &str, from: usize) -> Option<usize> {
        let members = schema.members;
        let outer = self.body_only && self.scan.depth() == 1;
        let is = |m: &Member| self.names.of(m) == key && !(outer && m.location != Location::Body);
        let behind = members[from..].iter().position(is).map(|index| from + index);
        behind.or_else(|| members[..from].iter().position(is))
    }

    fn wrong(&mut self, m: &Member) -> ReadError {
        match self.scan.peek() {
            Err(error) => error,
            Ok(Token::Object) => {
                ReadError::new("Start of structure or map found where not expected")
            }
            Ok(Token::List) => ReadError::new(format!(
                "Unrecognized collection type class java.lang.{}",
                super::java_class(m)
            )),
            Ok(token) => converted(token.name(), m),
        }
    }

    /// Members by their model's names come from templates, where a scalar may be written as text or as itself.
    fn is_template(&self) -> bool {
        self.names == Names::Model
    }

    fn is(&mut self, token: Token) -> Result<bool, ReadError> {
        Ok(self.scan.peek()? == token)
    }
}

impl Reader for JsonReader<'_> {
    fn structure(&mut self, schema: &'static Schema, on: OnMember<'_>) -> Result<(), ReadError> {
        let in_map = std::mem::take(&mut self.in_map);
        if !self.is(Token::Object)? {
            return Err(ReadError::new(match in_map {
                true => "Unexpected value type in payload",
                false => "Unexpected field type",
            }));
        }
        let mut next = 0;
        let mut more = self.scan.open(b'}')?;
        while more {
            let key = self.scan.key()?;
            match self.find(schema, &key, next) {
                _ if self.is(Token::Null)? => self.scan.word("null")?,
                Some(index) => {
                    next = index + 1;
                    on(index, self)?;
                }
                None => self.scan.skip()?,
            }
            more = self.scan.more(b'}')?;
        }
        Ok(())
    }

    fn list(&mut self, _: &'static Member, on: OnElement<'_>) -> Result<(), ReadError> {
        self.in_map = false;
        if !self.is(Token::List)? {
            return Err(ReadError::new("Unexpected field type"));
        }
        let mut more = self.scan.open(b']')?;
        while more {
            on(self)?;
            more = self.scan.more(b']')?;
        }
        Ok(())
    }

    fn map(&mut self, _: &'static Member, on: OnEntry<'_>) -> Result<(), ReadError> {
        if !self.is(Token::Object)? {
            return Err(ReadError::new("Unexpected field type"));
        }
        let mut more = self.scan.open(b'}')?;
        while more {
            let key = self.scan.key()?.into_owned();
            self.in_map = true;
            on(key, self)?;
            self.in_map = false;
            more = self.scan.more(b'}')?;
        }
        Ok(())
    }

    fn string(&mut self, m: &'static Member) -> Result<String, ReadError> {
        match self.scan.peek()? {
            Token::String => Ok(self.scan.string()?.into_owned()),
            Token::Number if self.is_template() => Ok(self.scan.number()?.to_owned()),
            Token::True if self.is_template() => self.scan.word("true").map(|()| "true".to_owned()),
            Token::False if self.is_template() => {
                self.scan.word("false").map(|()| "false".to_owned())
            }
            _ => Err(self.wrong(m)),
        }
    }

    fn boolean(&mut self, m: &'static Member) -> Result<bool, ReadError> {
        match self.scan.peek()? {
            Token::True => self.scan.word("true").map(|()| true),
            Token::False => self.scan.word("false").map(|()| false),
            // Recorded on AWS: texts are taken for booleans.
            Token::String => match self.scan.string()?.to_ascii_uppercase().as_str() {
                "TRUE" | "1" | "YES" => Ok(true),
                "FALSE" | "0" | "NO" => Ok(false),
                _ => Err(ReadError::new("Unexpected token received from parser")),
            },
            _ => Err(self.wrong(m)),
        }
    }

    fn long(&mut self, m: &'static Member) -> Result<i64, ReadError> {
        if self.is_template() && self.is(Token::String)? {
            let text = self.scan.string()?;
            return text.trim().parse().map_err(|_| converted("STRING_VALUE", m));
        }
        if !self.is(Token::Number)? {
            return Err(self.wrong(m));
        }
        let digits = self.scan.number()?;
        if let Ok(value) = digits.parse() {
            return Ok(value);
        }
        // `5.0` and `5e0` are integers for the clients that send them.
        match digits.parse::<f64>() {
            Ok(value) if value.fract() == 0.0 && value.abs() < 9e15 => Ok(value as i64),
            Ok(value) if value.fract() != 0.0 => Err(converted("DECIMAL_VALUE", m)),
            _ => Err(converted("NUMBER_VALUE", m)),
        }
    }

    fn double(&mut self, m: &'static Member) -> Result<f64, ReadError> {
        match self.scan.peek()? {
            Token::Number => self.scan.number()?.parse().map_err(|_| converted("NUMBER_VALUE", m)),
            Token::String => {
                let lenient = self.is_template();
                let text = self.scan.string()?;
                let plain = || text.trim().parse().ok().filter(|_| lenient);
                text::special_double(&text)
                    .or_else(plain)
                    .ok_or_else(|| converted("STRING_VALUE", m))
            }
            _ => Err(self.wrong(m)),
        }
    }

    fn blob(&mut self, m: &'static Member) -> Result<Bytes, ReadError> {
        if !self.is(Token::String)? {
            return Err(self.wrong(m));
        }
        let text = self.scan.string()?;
        if !text.len().is_multiple_of(4) {
            return Err(ReadError::new(format!(
                "Base64 encoded length is expected a multiple of 4 bytes but found: {}",
                text.len()
            )));
        }
        base64_decode(&text)
            .map(Bytes::from)
            .ok_or_else(|| ReadError::new("Invalid Base64 encoding"))
    }

    fn timestamp(&mut self, m: &'static Member) -> Result<Timestamp, ReadError> {
        let found = match self.scan.peek()? {
            Token::Number => self.scan.number()?.parse().ok().and_then(Timestamp::from_secs_f64),
            Token::String => text::timestamp(&self.scan.string()?),
            _ => return Err(self.wrong(m)),
        };
        found.ok_or_else(|| ReadError::new("Not a timestamp"))
    }

    fn document(&mut self, _: &'static Member) -> Result<Document, ReadError> {
        let raw = self.scan.raw()?;
        serde_json::from_str(raw).map_err(|error| ReadError::new(error.to_string()))
    }

    fn null(&mut self) -> Result<bool, ReadError> {
        let null = self.is(Token::Null)?;
        if null {
            self.scan.word("null")?;
        }
        Ok(null)
    }

    fn checks(&self) -> Option<&RefCell<Checks>> {
        self.checks
    }
}
