//! Reads a path's text.

use std::fmt;
use std::rc::Rc;

use super::filter::{Comparison, Condition, Operand};
use super::{Function, Path, Step};
use crate::value::Value;

/// Deepest nesting of filters.
const DEPTH_MAX: usize = 16;
/// Longest path.
const PATH_BYTES_MAX: usize = 4096;

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError(pub String);

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PathError {}

type Result<T> = std::result::Result<T, PathError>;

pub(super) fn path(text: &str) -> Result<Path> {
    let text = text.trim();
    if text.is_empty() || text.len() > PATH_BYTES_MAX {
        return Err(PathError("json can not be null or empty".to_owned()));
    }
    let whole = if text.starts_with(['$', '@']) { text.to_owned() } else { format!("$.{text}") };
    let mut reader = Reader { text: &whole, at: 1, depth: 0 };
    let path = reader.steps()?;
    if reader.at < whole.len() {
        return Err(reader.error("unexpected text"));
    }
    Ok(path)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, why: &str) -> PathError {
        PathError(format!("Could not parse token starting at position {}: {why}", self.at))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        self.skip();
        if self.eat(word) { Ok(()) } else { Err(self.error(&format!("expected '{word}'"))) }
    }

    fn skip(&mut self) {
        while self.eat(" ") {}
    }

    /// The steps after `$` or `@`, as far as they go.
    fn steps(&mut self) -> Result<Path> {
        let mut steps = Vec::new();
        let mut function = None;
        loop {
            if self.eat("..") {
                steps.push(Step::Deep);
                if !self.rest().starts_with('[') {
                    self.dotted(&mut steps, &mut function)?;
                }
            } else if self.eat(".") {
                if self.rest().starts_with('[') {
                    continue;
                }
                self.dotted(&mut steps, &mut function)?;
            } else if self.eat("[") {
                let step = self.bracket()?;
                steps.push(step);
            } else {
                return Ok(Path { steps, function });
            }
            if function.is_some() {
                return Ok(Path { steps, function });
            }
        }
    }

    fn dotted(&mut self, steps: &mut Vec<Step>, function: &mut Option<Function>) -> Result<()> {
        if self.eat("*") {
            steps.push(Step::All);
            return Ok(());
        }
        let stop = |c: char| {
            matches!(c, '.' | '[' | ' ' | '(' | ')' | '=' | '<' | '>' | '!' | '&' | '|' | ',' | ']')
        };
        let length = self.rest().find(stop).unwrap_or(self.rest().len());
        let name = &self.rest()[..length];
        if name.is_empty() {
            return Err(self.error("expected a name"));
        }
        self.at += length;
        if self.eat("()") {
            *function = Some(match name {
                "length" | "size" => Function::Length,
                "min" => Function::Min,
                "max" => Function::Max,
                "sum" => Function::Sum,
                "avg" => Function::Avg,
                _ => return Err(self.error("no such function")),
            });
            return Ok(());
        }
        steps.push(Step::Names(vec![name.into()]));
        Ok(())
    }

    /// After `[`.
    fn bracket(&mut self) -> Result<Step> {
        self.skip();
        let step = if self.eat("*") {
            Step::All
        } else if self.eat("?") {
            self.expect("(")?;
            let condition = self.either()?;
            self.expect(")")?;
            Step::Filter(Rc::new(condition))
        } else if self.rest().starts_with(['\'', '"']) {
            let mut names = vec![self.quoted()?.into()];
            self.skip();
            while self.eat(",") {
                self.skip();
                names.push(self.quoted()?.into());
                self.skip();
            }
            Step::Names(names)
        } else {
            self.numbers()?
        };
        self.expect("]")?;
        Ok(step)
    }

    fn numbers(&mut self) -> Result<Step> {
        let first = self.integer();
        self.skip();
        if self.eat(":") {
            self.skip();
            return Ok(Step::Slice(first, self.integer()));
        }
        let mut indexes = vec![first.ok_or_else(|| self.error("expected an index"))?];
        while self.eat(",") {
            self.skip();
            indexes.push(self.integer().ok_or_else(|| self.error("expected an index"))?);
            self.skip();
        }
        Ok(Step::Indexes(indexes))
    }

    fn integer(&mut self) -> Option<i64> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let length = length + rest.len() - digits.len();
        let number = rest[..length].parse().ok()?;
        self.at += length;
        Some(number)
    }

    fn quoted(&mut self) -> Result<String> {
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            return Err(self.error("expected a quoted name"));
        };
        let mut out = String::new();
        let mut chars = self.rest()[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.at += at + 2;
                    return Ok(out);
                }
                c => out.push(c),
            }
        }
        Err(self.error("a quote is not closed"))
    }

    fn either(&mut self) -> Result<Condition> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("nested too deep"));
        }
        let mut all = vec![self.both()?];
        self.skip();
        while self.eat("||") {
            all.push(self.both()?);
            self.skip();
        }
        self.depth -= 1;
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Condition::Any(all) })
    }

    fn both(&mut self) -> Result<Condition> {
        let mut all = vec![self.single()?];
        self.skip();
        while self.eat("&&") {
            all.push(self.single()?);
            self.skip();
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Condition::All(all) })
    }

    fn single(&mut self) -> Result<Condition> {
        self.skip();
        if self.eat("!") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.error("nested too deep"));
            }
            let inner = self.single()?;
            self.depth -= 1;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.eat("(") {
            let inner = self.either()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let left = self.operand()?;
        self.skip();
        let Some(comparison) = self.comparison() else {
            return Ok(Condition::Exists(left));
        };
        self.skip();
        if comparison == Comparison::Matches {
            let pattern = self.pattern()?;
            return Ok(Condition::Matches(left, pattern));
        }
        Ok(Condition::Compare(comparison, left, self.operand()?))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let all = [
            ("==", Comparison::Equal),
            ("=~", Comparison::Matches),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessEqual),
            (">=", Comparison::GreaterEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("in ", Comparison::In),
            ("nin ", Comparison::NotIn),
            ("contains ", Comparison::Contains),
            ("size ", Comparison::Size),
            ("empty ", Comparison::Empty),
        ];
        all.iter().find(|(word, _)| self.eat(word)).map(|(_, comparison)| *comparison)
    }

    fn operand(&mut self) -> Result<Operand> {
        self.skip();
        let relative = self.rest().starts_with('@');
        if relative || self.rest().starts_with('$') {
            self.at += 1;
            return Ok(Operand::Path { path: self.steps()?, relative });
        }
        if self.rest().starts_with(['\'', '"']) {
            return Ok(Operand::Value(self.quoted()?.into()));
        }
        let opens_list = self.rest().starts_with('[');
        let length = if opens_list {
            self.rest().find(']').map_or(self.rest().len(), |at| at + 1)
        } else {
            self.rest()
                .find([' ', ')', '&', '|', ']', ',', '=', '<', '>', '!'])
                .unwrap_or(self.rest().len())
        };
        let word = &self.rest()[..length];
        let value = crate::json::read(word).ok_or_else(|| self.error("expected a value"))?;
        if matches!(value, Value::Text(_)) {
            return Err(self.error("expected a value"));
        }
        self.at += length;
        Ok(Operand::Value(value))
    }

    /// `/pattern/i`.
    fn pattern(&mut self) -> Result<regex::Regex> {
        self.expect("/")?;
        let length = self.rest().find('/').ok_or_else(|| self.error("expected '/'"))?;
        let pattern = format!("^(?:{})$", &self.rest()[..length]);
        self.at += length + 1;
        let ignore_case = self.eat("i");
        regex::RegexBuilder::new(&pattern)
            .case_insensitive(ignore_case)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| self.error(&error.to_string()))
    }
}
