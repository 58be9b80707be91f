//! Reading a query's text from left to right.

use regex::Regex;

/// The query is not one: AWS's sentence, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub message: String,
    /// In characters.
    pub at: usize,
}

pub type Result<T> = std::result::Result<T, Malformed>;

pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the last token ended, if only spaces and comments came behind it.
    end: usize,
    skipped_to: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0, end: 0, skipped_to: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Spaces and comments.
    pub fn skip(&mut self) {
        if self.at != self.skipped_to {
            self.end = self.at;
        }
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            if !self.rest().starts_with('#') {
                self.skipped_to = self.at;
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    pub fn position(&mut self) -> usize {
        self.skip();
        self.at
    }

    /// What was written from a position up to here.
    pub fn since(&self, from: usize) -> &'a str {
        let end = if self.at == self.skipped_to { self.end } else { self.at };
        self.text.get(from..end).unwrap_or_default()
    }

    pub fn is_at_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }

    pub fn peek(&mut self) -> Option<char> {
        self.skip();
        self.rest().chars().next()
    }

    pub fn take(&mut self, token: &str) -> bool {
        self.skip();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Takes a word of any case that ends here.
    pub fn take_word(&mut self, word: &str) -> bool {
        let from = self.position();
        let found = self.name().is_some_and(|name| name.eq_ignore_ascii_case(word));
        if !found {
            self.at = from;
        }
        found
    }

    /// A name: letters, digits, `@`, `_` and dots; or anything between backticks.
    pub fn name(&mut self) -> Option<String> {
        self.skip();
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix('`') {
            let end = quoted.find('`')?;
            self.at += end + 2;
            return Some(quoted[..end].to_owned());
        }
        let named = |c: char| c.is_alphanumeric() || matches!(c, '@' | '_' | '.' | '$');
        let end = rest.find(|c| !named(c)).unwrap_or(rest.len());
        let starts = rest.starts_with(|c: char| c.is_alphabetic() || matches!(c, '@' | '_' | '$'));
        if end == 0 || !starts {
            return None;
        }
        self.at += end;
        Some(rest[..end].to_owned())
    }

    pub fn expect_name(&mut self) -> Result<String> {
        self.name().ok_or_else(|| self.unexpected())
    }

    /// A number without a sign, and the letters of a unit behind it.
    pub fn number(&mut self) -> Option<(f64, &'a str)> {
        self.skip();
        let rest = self.rest();
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let letters = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        self.at += digits + letters;
        Some((number, &unit[..letters]))
    }

    /// A text between quotes of either kind.
    pub fn text(&mut self) -> Result<Option<String>> {
        let Some(quote @ ('"' | '\'')) = self.peek() else { return Ok(None) };
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, escaped)) if escaped == quote || escaped == '\\' => text.push(escaped),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                end if end == quote => {
                    self.at += at + 1;
                    return Ok(Some(text));
                }
                other => text.push(other),
            }
        }
        Err(self.unexpected())
    }

    /// `/a regular expression/`, in which `\/` stands for a slash.
    pub fn expression(&mut self) -> Result<Option<Regex>> {
        if self.peek() != Some('/') {
            return Ok(None);
        }
        let from = self.at;
        let rest = &self.rest()[1..];
        let mut escaped = false;
        let end = rest.find(|c| {
            let ends = c == '/' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { return Err(self.unexpected()) };
        self.at += end + 2;
        let expression = Regex::new(&rest[..end].replace("\\/", "/"));
        let wrong = |error: regex::Error| self.malformed(from, error.to_string());
        expression.map(Some).map_err(wrong)
    }

    pub fn malformed(&self, at: usize, message: impl Into<String>) -> Malformed {
        Malformed { message: message.into(), at: self.text[..at].chars().count() }
    }

    pub fn unexpected(&mut self) -> Malformed {
        let at = self.position();
        let rest = self.rest();
        let end =
            rest.find(|c: char| c.is_whitespace() || "|,()".contains(c)).unwrap_or(rest.len());
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let message = match &rest[..end.max(rest.len().min(1))] {
            "" => format!("unexpected end of query at line {line} and position {column}"),
            found => {
                format!("unexpected symbol found {found} at line {line} and position {column}")
            }
        };
        self.malformed(at, message)
    }
}
