//! Reading a pattern's text from left to right.

use super::Invalid;
use super::condition::Operand;

pub struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { rest: text }
    }

    pub fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.rest.is_empty()
    }

    pub fn peek(&mut self) -> Option<char> {
        self.skip_spaces();
        self.rest.chars().next()
    }

    /// Takes `token` if it is next.
    pub fn take(&mut self, token: &str) -> bool {
        self.skip_spaces();
        self.take_at_once(token)
    }

    /// Takes `token` if it is next, without spaces before it.
    pub fn take_at_once(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a word of any case, if it is next and ends there.
    pub fn take_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        let found = self.rest.get(..word.len()).is_some_and(|next| next.eq_ignore_ascii_case(word));
        let ends = !self.rest[word.len().min(self.rest.len())..]
            .starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if found && ends {
            self.rest = &self.rest[word.len()..];
        }
        found && ends
    }

    pub fn expect(&mut self, token: &str) -> Result<(), Invalid> {
        if self.take(token) { Ok(()) } else { Err(Invalid) }
    }

    /// Takes characters as long as they are `wanted`.
    pub fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A quoted text (the opening quote is next), with `\"` and `\\` as the characters they stand for.
    pub fn quoted(&mut self) -> Result<String, Invalid> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => return Err(Invalid),
                },
                other => text.push(other),
            }
        }
        Err(Invalid)
    }

    /// A value: quoted, `%regular expression%`, or a word up to one of `ends` or a space.
    pub fn operand(&mut self, ends: &[char]) -> Result<Operand, Invalid> {
        match self.peek() {
            Some('"') => Ok(Operand::text(&self.quoted()?)),
            Some('%') => {
                self.expect("%")?;
                let (expression, rest) = self.rest.split_once('%').ok_or(Invalid)?;
                self.rest = rest;
                Operand::expression(expression)
            }
            _ => {
                let word = self.take_while(|c| !c.is_whitespace() && !ends.contains(&c));
                if word.is_empty() { Err(Invalid) } else { Ok(Operand::word(word)) }
            }
        }
    }
}
