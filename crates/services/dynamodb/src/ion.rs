//! Amazon Ion text, as much of it as DynamoDB's imports know: a structure of strings, decimals,
//! booleans, nulls, blobs, lists, structures, and lists annotated as sets.
//! https://amazon-ion.github.io/ion-docs/docs/spec.html

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sereno_ddbexpr::{Item, Number, Value, limits};

/// An item in `$ion_1_0 {Item:{...}}`, or bare.
pub fn item(line: &str) -> Result<Item, String> {
    let mut reader = Reader { rest: line, depth: 0 };
    reader.space();
    if let Some(rest) = reader.rest.strip_prefix("$ion_1_0") {
        reader.rest = rest;
    }
    let value = reader.value()?;
    reader.space();
    if !reader.rest.is_empty() {
        return Err(reader.unexpected());
    }
    let Value::M(mut outer) = value else {
        return Err("an Ion item must be a structure".to_owned());
    };
    match outer.remove("Item") {
        Some(Value::M(item)) if outer.is_empty() => Ok(item),
        Some(_) => Err("Item must be a structure, and alone".to_owned()),
        None => Err("the Item of the Ion structure is missing".to_owned()),
    }
}

/// Bytes as text, wherever it is broken.
pub fn base64(text: &str) -> Result<Vec<u8>, String> {
    let text: String = text.split_whitespace().collect();
    STANDARD.decode(text).map_err(|error| format!("wrong base64: {error}"))
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(c) => format!("unexpected character '{c}' in Ion text"),
            None => "unexpected end of Ion text".to_owned(),
        }
    }

    /// White space and comments.
    fn space(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix("//") {
                self.rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(rest) = self.rest.strip_prefix("/*") {
                self.rest = rest.split_once("*/").map_or("", |(_, rest)| rest);
            } else {
                return;
            }
        }
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > limits::NESTING_MAX + 2 {
            return Err("Nesting Levels have exceeded supported limits".to_owned());
        }
        let value = self.shallow()?;
        self.depth -= 1;
        Ok(value)
    }

    fn shallow(&mut self) -> Result<Value, String> {
        self.space();
        for (set, make) in SETS {
            if let Some(rest) = self.rest.strip_prefix(set) {
                self.rest = rest;
                if !self.take("::") || !self.take("[") {
                    return Err(self.unexpected());
                }
                return make(self.list()?).ok_or_else(|| format!("wrong value in a {set}"));
            }
        }
        if self.take("{{") {
            return self.blob();
        }
        if self.take("{") {
            return self.structure();
        }
        if self.take("[") {
            return Ok(Value::L(self.list()?));
        }
        if self.rest.starts_with(['"', '\'']) {
            return Ok(Value::S(self.text()?));
        }
        self.scalar()
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        while !self.take("]") {
            all.push(self.value()?);
            if !self.take(",") && !self.rest.starts_with(']') {
                return Err(self.unexpected());
            }
        }
        Ok(all)
    }

    fn structure(&mut self) -> Result<Value, String> {
        let mut item = Item::new();
        while !self.take("}") {
            let name = self.name()?;
            if !self.take(":") {
                return Err(self.unexpected());
            }
            let value = self.value()?;
            if item.insert(name.clone(), value).is_some() {
                return Err(format!("the field {name} occurs twice"));
            }
            if !self.take(",") && !self.rest.starts_with('}') {
                return Err(self.unexpected());
            }
        }
        Ok(Value::M(item))
    }

    fn name(&mut self) -> Result<String, String> {
        self.space();
        if self.rest.starts_with(['"', '\'']) {
            return self.text();
        }
        let word = self.word();
        if word.is_empty() { Err(self.unexpected()) } else { Ok(word.to_owned()) }
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_$.+-".contains(c)));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn blob(&mut self) -> Result<Value, String> {
        let (text, rest) = self.rest.split_once("}}").ok_or_else(|| self.unexpected())?;
        self.rest = rest;
        base64(text).map(Value::B)
    }

    /// `"short"`, `'''long''' '''and longer'''`, `'symbol'`.
    fn text(&mut self) -> Result<String, String> {
        let mut text = String::new();
        if !self.rest.starts_with("'''") {
            let quote = if self.take("\"") { "\"" } else { "'" };
            self.rest = self.rest.strip_prefix('\'').filter(|_| quote == "'").unwrap_or(self.rest);
            self.quoted(quote, &mut text)?;
            return Ok(text);
        }
        while self.take("'''") {
            self.quoted("'''", &mut text)?;
        }
        Ok(text)
    }

    fn quoted(&mut self, quote: &str, text: &mut String) -> Result<(), String> {
        loop {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                self.rest = rest;
                return Ok(());
            }
            let mut characters = self.rest.chars();
            let next = characters.next().ok_or_else(|| self.unexpected())?;
            self.rest = characters.as_str();
            if next == '\\' { self.escape(text)? } else { text.push(next) }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), String> {
        let mut characters = self.rest.chars();
        let kind = characters.next().ok_or_else(|| self.unexpected())?;
        self.rest = characters.as_str();
        text.push(match kind {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '0' => '\0',
            '"' | '\'' | '\\' | '/' | '?' => kind,
            '\n' => return Ok(()),
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            _ => return Err(format!("unknown escape \\{kind} in Ion text")),
        });
        Ok(())
    }

    fn code(&mut self, digits: usize) -> Result<char, String> {
        let (number, rest) = self.rest.split_at_checked(digits).ok_or_else(|| self.unexpected())?;
        let mut code = u32::from_str_radix(number, 16).map_err(|_| self.unexpected())?;
        self.rest = rest;
        // Half of a pair, as JSON's writers leave them.
        let low = rest.strip_prefix("\\u").and_then(|rest| rest.split_at_checked(4));
        if (0xd800..0xdc00).contains(&code)
            && let Some((low, rest)) = low
        {
            let low = u32::from_str_radix(low, 16).map_err(|_| self.unexpected())?;
            code = 0x10000 + ((code - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
            self.rest = rest;
        }
        char::from_u32(code).ok_or_else(|| format!("{code:x} is no character"))
    }

    fn scalar(&mut self) -> Result<Value, String> {
        let before = self.rest;
        let word = self.word();
        match word {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            "" => return Err(self.unexpected()),
            _ if word == "null" || word.starts_with("null.") => return Ok(Value::Null),
            _ => {}
        }
        // Decimals have the exponent d; underscores part digits.
        let number: String = word
            .chars()
            .filter(|c| *c != '_')
            .map(|c| if matches!(c, 'd' | 'D') { 'e' } else { c })
            .collect();
        let number = number.strip_suffix('.').unwrap_or(&number).replace(".e", "e");
        match Number::parse(&number) {
            Ok(number) => Ok(Value::N(number)),
            Err(error) if before.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                Err(error.0)
            }
            Err(_) => Err(format!("unknown Ion value {word}")),
        }
    }
}

type MakeSet = fn(Vec<Value>) -> Option<Value>;

const SETS: [(&str, MakeSet); 3] = [
    ("$dynamodb_SS", |all| {
        let one = |value| if let Value::S(text) = value { Some(text) } else { None };
        all.into_iter().map(one).collect::<Option<_>>().map(Value::Ss)
    }),
    ("$dynamodb_NS", |all| {
        let one = |value| if let Value::N(number) = value { Some(number) } else { None };
        all.into_iter().map(one).collect::<Option<_>>().map(Value::Ns)
    }),
    ("$dynamodb_BS", |all| {
        let one = |value| if let Value::B(bytes) = value { Some(bytes) } else { None };
        all.into_iter().map(one).collect::<Option<_>>().map(Value::Bs)
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export_format::{Form, item_line};

    #[test]
    fn what_is_written_is_read() {
        let mut inner = Item::new();
        inner.insert("a b", Value::L(vec![Value::Null, Value::Bool(true)]));
        let mut whole = Item::new();
        for text in ["0", "-7", "600", "1.25", "-1E-100", "12345678901234567890123456789012345678"]
        {
            whole.insert(format!("n{text}"), Value::N(Number::parse(text).unwrap()));
        }
        whole.insert("text", Value::S("\"quoted\" \\ \n \u{1} \u{1f600} }}".into()));
        whole.insert("raw", Value::B(vec![0, 1, 255]));
        whole.insert("map", Value::M(inner));
        whole.insert("ss", Value::Ss(vec!["x".into(), "y".into()]));
        whole.insert("bs", Value::Bs(vec![vec![1], vec![]]));
        assert_eq!(item(item_line(Form::Ion, whole.clone()).trim_end()), Ok(whole));
    }

    #[test]
    fn other_forms() {
        let read = item(
            "$ion_1_0 { Item: { 'k': '''long ''' '''text''', n : 1_000d-1, /* c */ z: null.int } }",
        );
        let read = read.unwrap();
        assert_eq!(read.get("k"), Some(&Value::S("long text".into())));
        assert_eq!(read.get("n"), Some(&Value::N(Number::parse("100").unwrap())));
        assert_eq!(read.get("z"), Some(&Value::Null));
    }

    #[test]
    fn broken_text_is_refused() {
        for broken in [
            "",
            "{",
            "{Item:{a:}}",
            "{Item:{a:\"x}}",
            "{Item:[]}",
            "{Other:{}}",
            "[1]",
            "{Item:{a:1} } x",
            "{Item:{a:$dynamodb_SS::[1]}}",
            "{Item:{a:{{?}}}}",
            "{Item:{a:what}}",
            "{Item:{a:\"\\ud800\"}}",
        ] {
            assert!(item(broken).is_err(), "{broken}");
        }
        let deep = format!("{{Item:{{a:{}1{}}}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(item(&deep).is_err());
    }
}
