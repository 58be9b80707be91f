//! JSON templates: strict JSON, positions in errors as AWS prints them, no key twice.

use serde_json::{Map, Value};

use super::{Budget, scalar};
use crate::error::{Result, TemplateError};

/// Reads a whole JSON document.
pub fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader { text, at: 0, budget: Budget::default() };
    reader.blanks();
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at < text.len() { Err(reader.broken()) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    budget: Budget,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// AWS prints the column after the character that it could not use
    /// (recorded: test_validate_invalid_json_template_should_fail).
    fn broken(&self) -> TemplateError {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 2;
        TemplateError::format(format_args!("JSON not well-formed. (line {line}, column {column})"))
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.broken());
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        self.budget.spend(1, depth)?;
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.broken()),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.broken());
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.expect(b'{')?;
        let mut map = Map::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(map));
        }
        loop {
            self.blanks();
            let start = self.at;
            let key = self.string()?;
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            let value = self.value(depth + 1)?;
            if map.insert(key, value).is_some() {
                self.at = start;
                return Err(self.broken());
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b'}')?;
                    return Ok(Value::Object(map));
                }
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.blanks();
            items.push(self.value(depth + 1)?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b']')?;
                    return Ok(Value::Array(items));
                }
            }
        }
    }

    fn number(&mut self) -> Result<Value> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.peek() {
            self.at += 1;
        }
        let lexeme = &self.text[start..self.at];
        // serde_json knows JSON's number grammar; the value is made by our own, lossless rule.
        if serde_json::from_str::<serde_json::Number>(lexeme).is_err() {
            self.at = start;
            return Err(self.broken());
        }
        Ok(scalar::number(lexeme))
    }

    fn string(&mut self) -> Result<String> {
        if self.peek() != Some(b'"') {
            return Err(self.broken());
        }
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
                None => {
                    self.at = self.text.len();
                    return Err(self.broken());
                }
            }
        }
        self.at += 1;
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(quoted).map_err(|_| {
            self.at = start;
            self.broken()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_aws() {
        let error = parse(r#"{"this is invalid JSON"="bobbins"}"#).unwrap_err();
        assert_eq!(
            error.message(),
            "Template format error: JSON not well-formed. (line 1, column 25)"
        );
    }

    #[test]
    fn documents() {
        let text = "{\"b\": [1, 1.10, -2, \"\\u00e9\\n\"], \"a\": {\"x\": true, \"y\": null}}";
        let value = parse(text).unwrap();
        assert_eq!(value.to_string(), r#"{"b":[1,"1.10",-2,"é\n"],"a":{"x":true,"y":null}}"#);
        for broken in
            ["{", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "{\"a\":01}", "{\"a\":\"\\q\"}", "{} x"]
        {
            assert!(parse(broken).is_err(), "{broken}");
        }
        let deep = format!("{}{}", "{\"a\":".repeat(200), "1");
        assert!(parse(&deep).unwrap_err().message().contains("too deeply"));
    }
}
