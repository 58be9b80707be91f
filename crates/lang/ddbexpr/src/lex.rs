//! Tokens of all four expression languages, and the sentence of a syntax error.
//!
//! An attribute name begins with a letter; `#` and `:` names may begin with a digit or `_`. Every
//! other character is a token of its own, that no rule accepts (seen by Alternator's suite on AWS:
//! `SET _123` fails at token "_", near "SET _123").

use crate::limits::{EXPRESSION_BYTES_MAX, OPERATORS_MAX};
use crate::{Invalid, Parameter};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Word,
    NameRef,
    ValueRef,
    Digits,
    Symbol(&'static str),
    Unknown,
    End,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    token: Token,
    start: usize,
    end: usize,
}

const SYMBOLS: [&str; 15] =
    ["<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", ".", "+", "-", "*"];

pub(crate) struct Lexer<'a> {
    pub(crate) parameter: Parameter,
    source: &'a str,
    spans: Vec<Span>,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(parameter: Parameter, source: &'a str) -> Result<Self, Invalid> {
        if source.is_empty() {
            return Err(parameter.invalid("The expression can not be empty;"));
        }
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(parameter.invalid(format_args!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                source.len()
            )));
        }
        let lexer = Self { parameter, source, spans: split(source), at: 0 };
        let operators = lexer.operator_count();
        if operators > OPERATORS_MAX {
            return Err(parameter.invalid(format_args!(
                "The expression contains too many operators; operator count: {operators}"
            )));
        }
        Ok(lexer)
    }

    pub(crate) fn peek(&self) -> Token {
        self.spans[self.at].token
    }

    pub(crate) fn peek_second(&self) -> Token {
        self.spans.get(self.at + 1).map_or(Token::End, |span| span.token)
    }

    /// Text of the token ahead.
    pub(crate) fn text(&self) -> &'a str {
        self.text_at(self.at)
    }

    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(have) if have == symbol)
    }

    pub(crate) fn is_keyword(&self, keyword: &str) -> bool {
        self.peek() == Token::Word && self.text().eq_ignore_ascii_case(keyword)
    }

    pub(crate) fn advance(&mut self) -> &'a str {
        let text = self.text();
        if self.at + 1 < self.spans.len() {
            self.at += 1;
        }
        text
    }

    pub(crate) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn expect_symbol(&mut self, symbol: &str) -> Result<(), Invalid> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Whether the tokens from `start` up to the one ahead are one pair of parentheses.
    pub(crate) fn is_group(&self, start: usize) -> bool {
        let mut open = 0usize;
        for at in start..self.at {
            match self.spans[at].token {
                Token::Symbol("(") => open += 1,
                Token::Symbol(")") => open = open.saturating_sub(1),
                _ => {}
            }
            if open == 0 && at + 1 < self.at {
                return false;
            }
        }
        self.at > start && self.spans[start].token == Token::Symbol("(")
    }

    /// Whether the group that opens here closes before an arithmetic sign: `(a) + b`.
    pub(crate) fn group_is_followed_by_more(&self) -> bool {
        let mut open = 0usize;
        for at in self.at..self.spans.len() {
            match self.spans[at].token {
                Token::Symbol("(") => open += 1,
                Token::Symbol(")") => open = open.saturating_sub(1),
                Token::End => return false,
                _ => {}
            }
            if open == 0 {
                let next = self.spans.get(at + 1).map(|span| span.token);
                return matches!(next, Some(Token::Symbol("+" | "-")));
            }
        }
        false
    }

    pub(crate) fn expect_end(&self) -> Result<(), Invalid> {
        if self.peek() == Token::End { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// The token ahead fits no rule. `near` runs from the token before it to the one after it.
    pub(crate) fn syntax_error(&self) -> Invalid {
        let token = match self.peek() {
            Token::End => "<EOF>",
            _ => self.text(),
        };
        let start = self.spans[self.at.saturating_sub(1)].start;
        let end = self.spans[(self.at + 1).min(self.spans.len() - 1)].end;
        let near = self.source[start..end].trim_end();
        self.parameter.invalid(format_args!("Syntax error; token: \"{token}\", near: \"{near}\""))
    }

    fn text_at(&self, at: usize) -> &'a str {
        let span = self.spans[at];
        &self.source[span.start..span.end]
    }

    /// Comparisons, logic and arithmetic; neither parentheses nor functions
    /// (seen by Alternator's suite on AWS).
    fn operator_count(&self) -> usize {
        let mut count = 0usize;
        for at in 0..self.spans.len() {
            count += match self.spans[at].token {
                Token::Symbol("<>" | "<=" | ">=" | "=" | "<" | ">" | "+" | "-") => 1,
                Token::Word => {
                    let word = self.text_at(at);
                    let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
                    usize::from(is("and") || is("or") || is("not") || is("in"))
                }
                _ => 0,
            };
        }
        count
    }
}

fn split(source: &str) -> Vec<Span> {
    let bytes = source.as_bytes();
    let mut spans = Vec::with_capacity(source.len() / 3 + 2);
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let (token, end) = match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'a'..=b'z' | b'A'..=b'Z' => (Token::Word, word_end(bytes, at + 1)),
            b'0'..=b'9' => {
                let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                (Token::Digits, at + digits)
            }
            b'#' => reference(Token::NameRef, bytes, at),
            b':' => reference(Token::ValueRef, bytes, at),
            _ => symbol(source, at),
        };
        spans.push(Span { token, start, end });
        at = end;
    }
    spans.push(Span { token: Token::End, start: source.len(), end: source.len() });
    spans
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    from + bytes[from..].iter().take_while(part).count()
}

fn reference(token: Token, bytes: &[u8], at: usize) -> (Token, usize) {
    match word_end(bytes, at + 1) {
        end if end > at + 1 => (token, end),
        end => (Token::Unknown, end),
    }
}

fn symbol(source: &str, at: usize) -> (Token, usize) {
    let rest = &source[at..];
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => (Token::Symbol(symbol), at + symbol.len()),
        None => (Token::Unknown, at + rest.chars().next().map_or(1, char::len_utf8)),
    }
}
