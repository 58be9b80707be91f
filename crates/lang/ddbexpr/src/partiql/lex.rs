//! PartiQL text to tokens. Comments (`--` and `/* */`) are white space.

use super::malformed;
use crate::Invalid;

/// Where a token stands, as AWS says it: line, column and length in characters, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.line, self.column, self.length)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A keyword or a name, as written.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    /// A string in single quotes.
    Text(String),
    Number(String),
    Symbol(&'static str),
    End,
}

/// Longer ones first.
const SYMBOLS: [&str; 24] = [
    "<<", ">>", "<>", "!=", "<=", ">=", "||", "(", ")", "[", "]", "{", "}", ",", ".", ":", ";",
    "=", "<", ">", "+", "-", "*", "?",
];

pub fn tokens(text: &str) -> Result<Vec<(Token, At)>, Invalid> {
    let mut lexer = Lexer { rest: text, line: 1, column: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space()?;
        let (line, column) = (lexer.line, lexer.column);
        let before = lexer.rest;
        let token = lexer.token()?;
        let length = before[..before.len() - lexer.rest.len()].chars().count();
        let last = token == Token::End;
        tokens.push((token, At { line, column, length }));
        if last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Lexer<'a> {
    /// Moves on by so many bytes, which end at a character.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, good: impl Fn(char) -> bool) -> &'a str {
        let bytes = self.rest.find(|c| !good(c)).unwrap_or(self.rest.len());
        self.take(bytes)
    }

    fn skip_space(&mut self) -> Result<(), Invalid> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/").ok_or_else(|| malformed(""))?;
                self.take(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, Invalid> {
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        if first.is_alphabetic() || first == '_' || first == '$' {
            let word = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '$');
            return Ok(Token::Word(word.to_owned()));
        }
        match first {
            '\'' => return self.quoted('\'').map(Token::Text),
            '"' => return self.quoted('"').map(Token::Quoted),
            _ => {}
        }
        let second = self.rest[first.len_utf8()..].chars().next();
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        if first.is_ascii_digit() || (first == '.' && digit(second)) {
            return self.number();
        }
        let symbol = SYMBOLS.into_iter().find(|symbol| self.rest.starts_with(symbol));
        let symbol = symbol.ok_or_else(|| malformed(""))?;
        self.take(symbol.len());
        Ok(Token::Symbol(symbol))
    }

    /// A quote in it is written twice.
    fn quoted(&mut self, quote: char) -> Result<String, Invalid> {
        let mut text = String::new();
        self.take(1);
        loop {
            text.push_str(self.take_while(|c| c != quote));
            if self.rest.is_empty() {
                return Err(malformed(""));
            }
            self.take(1);
            if !self.rest.starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.take(1);
        }
    }

    /// Exponent and scale must fit 32 bits (recorded: paritysuite, partiqlGrammar).
    fn number(&mut self) -> Result<Token, Invalid> {
        let before = self.rest;
        let digits = |c: char| c.is_ascii_digit();
        self.take_while(digits);
        let mut scale = 0i64;
        if self.rest.starts_with('.') {
            self.take(1);
            scale = self.take_while(digits).len() as i64;
        }
        let exponent = self.rest.strip_prefix(['e', 'E']);
        let exponent = exponent.map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
        if exponent.is_some_and(|rest| rest.starts_with(digits)) {
            self.take(1);
            let down = self.rest.starts_with('-');
            if self.rest.starts_with(['+', '-']) {
                self.take(1);
            }
            let size: i64 = self.take_while(digits).parse().map_err(|_| malformed(""))?;
            let exponent = if down { -size } else { size };
            scale = scale.saturating_sub(exponent);
            if i32::try_from(exponent).is_err() || i32::try_from(scale).is_err() {
                return Err(malformed(""));
            }
        }
        Ok(Token::Number(before[..before.len() - self.rest.len()].to_owned()))
    }
}
