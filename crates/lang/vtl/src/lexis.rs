//! A cursor over a template's source and the small words of the language.

use crate::parse::ParseError;

/// Deepest nesting of blocks, brackets and strings in a template.
pub(crate) const DEPTH_MAX: usize = 64;

pub(crate) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
    pub depth: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str, depth: usize) -> Self {
        Self { text, at: 0, depth }
    }

    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    pub fn peek_at(&self, offset: usize) -> Option<u8> {
        self.bytes().get(self.at + offset).copied()
    }

    /// Steps over `word` if it is next.
    pub fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    pub fn expect(&mut self, word: &str) -> Result<(), ParseError> {
        if self.eat(word) { Ok(()) } else { Err(self.error(&format!("expected '{word}'"))) }
    }

    pub fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Blanks up to and with a line's end, or nothing: what `)` of a directive, `#end` and `#else` eat.
    pub fn skip_line_end(&mut self) {
        let mut at = self.at;
        while matches!(self.bytes().get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        match self.bytes().get(at) {
            Some(b'\n') => self.at = at + 1,
            Some(b'\r') => {
                self.at = at + 1 + usize::from(self.bytes().get(at + 1) == Some(&b'\n'));
            }
            _ => {}
        }
    }

    /// `[A-Za-z_][A-Za-z0-9_-]*`: the name of a reference (a hyphen belongs to it).
    pub fn identifier(&mut self) -> Option<&'a str> {
        let start = self.at;
        let first = self.peek()?;
        if !(first.is_ascii_alphabetic() || first == b'_') {
            return None;
        }
        while matches!(self.peek(), Some(c) if c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
        {
            self.at += 1;
        }
        Some(&self.text[start..self.at])
    }

    /// `[A-Za-z_@][A-Za-z0-9_@]*`: the name of a directive.
    pub fn word(&mut self) -> Option<&'a str> {
        let start = self.at;
        let first = self.peek()?;
        if !(first.is_ascii_alphabetic() || first == b'_' || first == b'@') {
            return None;
        }
        while matches!(self.peek(), Some(c) if c.is_ascii_alphanumeric() || c == b'_' || c == b'@')
        {
            self.at += 1;
        }
        Some(&self.text[start..self.at])
    }

    /// After `#`: `word` or `{word}`.
    pub fn directive_name(&mut self) -> Option<&'a str> {
        let start = self.at;
        if self.eat("{") {
            let name = self.word().filter(|name| !name.starts_with('@'));
            if name.is_some() && self.eat("}") {
                return name;
            }
            self.at = start;
            return None;
        }
        self.word()
    }

    pub fn error(&self, message: &str) -> ParseError {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        ParseError { message: message.to_owned(), line, column }
    }

    pub fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("the template is nested too deep"));
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }
}
