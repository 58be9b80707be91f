//! JSON as IAM reads it: duplicate keys are an error, and every statement's place in the text is kept
//! (the policy simulator reports it).

use serde_json::Value;
use std::collections::HashSet;

/// A place in a policy's text. Lines and columns count from 1.
/// AWS reports the place *after* the opening and after the closing brace of a statement
/// (recorded: LocalStack `test_simulate_principle_policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: Position,
    pub end: Position,
}

pub(crate) struct Text {
    pub value: Value,
    /// One for each object directly in `Statement`, in order.
    pub statements: Vec<Span>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum JsonError {
    Invalid,
    Duplicate(String),
}

pub(crate) fn read(text: &str) -> Result<Text, JsonError> {
    let value: Value = serde_json::from_str(text).map_err(|_| JsonError::Invalid)?;
    let statements = Scanner::new(text).run()?;
    Ok(Text { value, statements })
}

enum Frame {
    Object { keys: HashSet<String>, key: Option<String>, statement: Option<Position> },
    Array,
}

/// Walks a text that is known to be valid JSON.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    place: Position,
    frames: Vec<Frame>,
    spans: Vec<Span>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Scanner {
            text,
            at: 0,
            place: Position { line: 1, column: 1 },
            frames: Vec::new(),
            spans: Vec::new(),
        }
    }

    fn step(&mut self) -> Option<char> {
        let c = self.text[self.at..].chars().next()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.place.line += 1;
            self.place.column = 1;
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn run(mut self) -> Result<Vec<Span>, JsonError> {
        while let Some(c) = self.step() {
            match c {
                '{' => {
                    let statement = self.in_statement().then_some(self.place);
                    self.frames.push(Frame::Object { keys: HashSet::new(), key: None, statement });
                }
                '[' => self.frames.push(Frame::Array),
                '}' | ']' => {
                    if let Some(Frame::Object { statement: Some(start), .. }) = self.frames.pop() {
                        self.spans.push(Span { start, end: self.place });
                    }
                }
                ',' => {
                    if let Some(Frame::Object { key, .. }) = self.frames.last_mut() {
                        *key = None;
                    }
                }
                '"' => self.string()?,
                _ => {}
            }
        }
        Ok(self.spans)
    }

    /// Whether an object that starts here is a statement: `$.Statement` or `$.Statement[n]`.
    fn in_statement(&self) -> bool {
        let under_statement =
            |f: &Frame| matches!(f, Frame::Object { key: Some(k), .. } if k == "Statement");
        match self.frames.as_slice() {
            [root] => under_statement(root),
            [root, Frame::Array] => under_statement(root),
            _ => false,
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at - 1;
        while let Some(c) = self.step() {
            match c {
                '\\' => {
                    self.step();
                }
                '"' => break,
                _ => {}
            }
        }
        let raw = &self.text[start..self.at];
        if let Some(Frame::Object { keys, key, .. }) = self.frames.last_mut()
            && key.is_none()
        {
            let name: String = serde_json::from_str(raw).map_err(|_| JsonError::Invalid)?;
            if !keys.insert(name.clone()) {
                return Err(JsonError::Duplicate(name));
            }
            *key = Some(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_aws_reports() {
        // Recorded: LocalStack test_simulate_principle_policy (41 and 113).
        let text = r#"{"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}}"#;
        let read = read(text).unwrap();
        assert_eq!(read.statements.len(), 1);
        assert_eq!(read.statements[0].start, Position { line: 1, column: 41 });
        assert_eq!(read.statements[0].end, Position { line: 1, column: 113 });
    }

    #[test]
    fn duplicate_keys_are_found_at_any_depth_and_through_escapes() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":[{"a":{},"b":1,"\u0061":[]}]}"#,
            r#"{"Statement":{"Condition":{"StringEquals":{"k":"v","k":"w"}}}}"#,
        ] {
            assert!(matches!(read(text), Err(JsonError::Duplicate(_))), "{text}");
        }
        assert!(read(r#"{"a":{"a":"a","b":"a"},"b":["a","a"]}"#).is_ok());
    }
}
