//! The lexical half: white space, strings, numbers, skipping.
//!
//! Invariant: `at` is always on a character boundary of `text`, at most its length.

use std::borrow::Cow;

use super::plain::plain_len;
use crate::shape::ReadError;

/// Deeper JSON is refused: the stack is finite. DynamoDB's deepest legal item needs 70.
const DEPTH_MAX: usize = 200;

pub struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

/// What stands at the reader's place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Object,
    List,
    String,
    Number,
    True,
    False,
    Null,
}

impl Token {
    /// AWS's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Token::Object => "START_OBJECT",
            Token::List => "START_ARRAY",
            Token::String => "STRING_VALUE",
            Token::Number => "NUMBER_VALUE",
            Token::True => "TRUE_VALUE",
            Token::False => "FALSE_VALUE",
            Token::Null => "NULL_VALUE",
        }
    }
}

fn unexpected() -> ReadError {
    ReadError::new("Unexpected token in JSON")
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Scanner { text, bytes: text.as_bytes(), at: 0, depth: 0 }
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    pub fn peek(&mut self) -> Result<Token, ReadError> {
        self.space();
        Ok(match self.bytes.get(self.at) {
            Some(b'{') => Token::Object,
            Some(b'[') => Token::List,
            Some(b'"') => Token::String,
            Some(b'-' | b'0'..=b'9') => Token::Number,
            Some(b't') => Token::True,
            Some(b'f') => Token::False,
            Some(b'n') => Token::Null,
            Some(_) => return Err(unexpected()),
            None => return Err(ReadError::new("Unexpected end of JSON")),
        })
    }

    /// Consumes `byte` if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub fn word(&mut self, word: &str) -> Result<(), ReadError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(unexpected());
        }
        self.at += word.len();
        Ok(())
    }

    /// After the opening bracket was peeked; `true` if the container is not empty.
    pub fn open(&mut self, close: u8) -> Result<bool, ReadError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ReadError::new("JSON is nested too deeply"));
        }
        let empty = self.eat(close);
        self.depth -= usize::from(empty);
        Ok(!empty)
    }

    /// After an element: `true` if another one follows, `false` if the container ended.
    pub fn more(&mut self, close: u8) -> Result<bool, ReadError> {
        if self.eat(b',') {
            return Ok(true);
        }
        if self.eat(close) {
            self.depth -= 1;
            return Ok(false);
        }
        Err(unexpected())
    }

    pub fn key(&mut self) -> Result<Cow<'a, str>, ReadError> {
        if self.peek()? != Token::String {
            return Err(unexpected());
        }
        let key = self.string()?;
        match self.eat(b':') {
            true => Ok(key),
            false => Err(unexpected()),
        }
    }

    /// At an opening quote.
    pub fn string(&mut self) -> Result<Cow<'a, str>, ReadError> {
        let start = self.at + 1;
        let end = start + plain_len(&self.bytes[start..]);
        match self.bytes.get(end) {
            Some(b'"') => {}
            Some(b'\\') => return self.escaped(start, end).map(Cow::Owned),
            Some(_) => return Err(unexpected()),
            None => return Err(ReadError::new("Unexpected end of JSON")),
        }
        self.at = end + 1;
        Ok(Cow::Borrowed(&self.text[start..end]))
    }

    /// The slow half of `string`: from the first backslash on.
    fn escaped(&mut self, start: usize, mut from: usize) -> Result<String, ReadError> {
        let mut out = String::with_capacity(from - start + 32);
        out.push_str(&self.text[start..from]);
        loop {
            let rest = &self.bytes[from..];
            let plain = rest
                .iter()
                .position(|b| matches!(b, b'"' | b'\\' | 0..0x20))
                .ok_or_else(|| ReadError::new("Unexpected end of JSON"))?;
            out.push_str(&self.text[from..from + plain]);
            from += plain;
            match self.bytes[from] {
                b'"' => {
                    self.at = from + 1;
                    return Ok(out);
                }
                b'\\' => from = self.escape(from + 1, &mut out)?,
                _ => return Err(unexpected()),
            }
        }
    }

    fn escape(&self, at: usize, out: &mut String) -> Result<usize, ReadError> {
        let plain = match self.bytes.get(at) {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'u') => return self.unicode(at + 1, out),
            _ => return Err(unexpected()),
        };
        out.push(plain);
        Ok(at + 1)
    }

    fn unicode(&self, at: usize, out: &mut String) -> Result<usize, ReadError> {
        let high = self.hex4(at)?;
        if !(0xd800..0xe000).contains(&high) {
            out.push(char::from_u32(high).ok_or_else(unexpected)?);
            return Ok(at + 4);
        }
        let pair = self.bytes.get(at + 4..at + 6) == Some(br"\u");
        let low = if pair { self.hex4(at + 6)? } else { 0 };
        if high >= 0xdc00 || !(0xdc00..0xe000).contains(&low) {
            // Half a pair: Java, and so AWS, keeps it as a replacement character.
            out.push(char::REPLACEMENT_CHARACTER);
            return Ok(at + 4);
        }
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        out.push(char::from_u32(code).ok_or_else(unexpected)?);
        Ok(at + 10)
    }

    fn hex4(&self, at: usize) -> Result<u32, ReadError> {
        let digits = self.text.get(at..at + 4).ok_or_else(unexpected)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(unexpected());
        }
        u32::from_str_radix(digits, 16).map_err(|_| unexpected())
    }

    /// The characters of a number; their meaning is the caller's affair.
    pub fn number(&mut self) -> Result<&'a str, ReadError> {
        let start = self.at;
        let digits = |at: &mut usize| {
            let from = *at;
            while self.bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > from
        };
        let mut at = start + usize::from(self.bytes.get(start) == Some(&b'-'));
        let leading_zero = self.bytes.get(at) == Some(&b'0');
        let from = at;
        let mut valid = digits(&mut at) && !(leading_zero && at > from + 1);
        if self.bytes.get(at) == Some(&b'.') {
            at += 1;
            valid &= digits(&mut at);
        }
        if matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(self.bytes.get(at), Some(b'+' | b'-')));
            valid &= digits(&mut at);
        }
        self.at = at;
        match valid {
            true => Ok(&self.text[start..at]),
            false => Err(unexpected()),
        }
    }

    pub fn skip(&mut self) -> Result<(), ReadError> {
        match self.peek()? {
            Token::Object => {
                let mut more = self.open(b'}')?;
                while more {
                    self.key()?;
                    self.skip()?;
                    more = self.more(b'}')?;
                }
                Ok(())
            }
            Token::List => {
                let mut more = self.open(b']')?;
                while more {
                    self.skip()?;
                    more = self.more(b']')?;
                }
                Ok(())
            }
            Token::String => self.string().map(drop),
            Token::Number => self.number().map(drop),
            Token::True => self.word("true"),
            Token::False => self.word("false"),
            Token::Null => self.word("null"),
        }
    }

    /// The text of the next value.
    pub fn raw(&mut self) -> Result<&'a str, ReadError> {
        self.space();
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    pub fn finish(&mut self) -> Result<(), ReadError> {
        self.space();
        match self.at == self.bytes.len() {
            true => Ok(()),
            false => Err(unexpected()),
        }
    }
}
