//! `$input` and `$util` of API Gateway.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html>

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json;
use crate::jsonpath::Path;
use crate::value::{Host, Map, Value};

/// `$input`: the payload and the parameters.
#[derive(Debug)]
pub struct Input {
    body: Rc<str>,
    parsed: OnceCell<Value>,
    paths: RefCell<HashMap<Rc<str>, Path>>,
    path: Rc<Map>,
    query: Rc<Map>,
    header: Rc<Map>,
}

impl Input {
    /// An empty body reads as `{}` (recorded: `test_input_body_formatting`).
    #[must_use]
    pub fn new(body: &str, path: Rc<Map>, query: Rc<Map>, header: Rc<Map>) -> Rc<Self> {
        let body = if body.is_empty() { "{}" } else { body };
        Rc::new(Self {
            body: body.into(),
            parsed: OnceCell::new(),
            paths: RefCell::default(),
            path,
            query,
            header,
        })
    }

    /// A body that is no JSON is a text, in which no path finds anything but the whole.
    fn find(&self, path: &str) -> Result<Option<Value>, String> {
        let root = self.parsed.get_or_init(|| {
            json::read(&self.body).unwrap_or_else(|| Value::Text(self.body.clone()))
        });
        if let Some(known) = self.paths.borrow().get(path) {
            return Ok(known.find(root));
        }
        let parsed = Path::parse(path).map_err(|error| error.to_string())?;
        let found = parsed.find(root);
        self.paths.borrow_mut().insert(path.into(), parsed);
        Ok(found)
    }

    fn all_params(&self) -> Value {
        Value::map([
            ("path", Value::Map(self.path.clone())),
            ("querystring", Value::Map(self.query.clone())),
            ("header", Value::Map(self.header.clone())),
        ])
    }

    /// Looked up in the path, then the query, then the headers; a header's case does not matter.
    fn param(&self, name: &str) -> Value {
        for map in [&self.path, &self.query, &self.header] {
            if let Some(value) = map.get(name) {
                return value;
            }
        }
        let headers = self.header.entries.borrow();
        let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or_else(|| "".into(), |(_, value)| value.clone())
    }
}

impl Host for Input {
    fn property(&self, name: &str) -> Option<Value> {
        (name == "body").then(|| Value::Text(self.body.clone()))
    }

    fn call(&self, method: &str, arguments: &[Value]) -> Result<Option<Value>, String> {
        Ok(match (method, arguments) {
            ("path", [path]) => self.find(&path.to_string())?,
            ("json", [path]) => match self.find(&path.to_string())? {
                // What is not there is the empty text, quotes and all.
                None | Some(Value::Null) => Some("\"\"".into()),
                Some(value) => Some(json::write(&value).into()),
            },
            ("params", []) => Some(self.all_params()),
            ("params", [name]) => Some(self.param(&name.to_string())),
            ("getBody", []) => self.property("body"),
            _ => None,
        })
    }

    fn text(&self) -> String {
        String::new()
    }
}

/// `$util`.
#[derive(Debug)]
pub struct Util;

impl Host for Util {
    fn property(&self, _: &str) -> Option<Value> {
        None
    }

    fn call(&self, method: &str, arguments: &[Value]) -> Result<Option<Value>, String> {
        let [argument] = arguments else { return Ok(None) };
        let text = || argument.to_string();
        Ok(match method {
            "escapeJavaScript" => Some(escape_javascript(&text()).into()),
            "parseJson" => {
                let text = text();
                let value = json::read(&text);
                Some(value.ok_or_else(|| format!("not JSON: {text}"))?)
            }
            "urlEncode" => Some(url_encode(&text()).into()),
            "urlDecode" => Some(url_decode(&text())?.into()),
            "base64Encode" => Some(STANDARD.encode(text()).into()),
            "base64Decode" => Some(base64_decode(&text())?.into()),
            _ => None,
        })
    }

    fn text(&self) -> String {
        String::new()
    }
}

/// Commons Lang's `escapeJavaScript`, which escapes `'` and `/` too (the guide tells to turn `\'`
/// back), and everything outside ASCII.
fn escape_javascript(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match unit {
            0x08 => out.push_str("\\b"),
            0x09 => out.push_str("\\t"),
            0x0a => out.push_str("\\n"),
            0x0c => out.push_str("\\f"),
            0x0d => out.push_str("\\r"),
            0x22 => out.push_str("\\\""),
            0x27 => out.push_str("\\'"),
            0x2f => out.push_str("\\/"),
            0x5c => out.push_str("\\\\"),
            0x20..=0x7f => out.push(char::from(u8::try_from(unit).unwrap_or(b'?'))),
            _ => {
                let _ = write!(out, "\\u{unit:04X}");
            }
        }
    }
    out
}

/// `application/x-www-form-urlencoded`, as Java's `URLEncoder`.
fn url_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn url_decode(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => {
                let hex = text.get(at + 1..at + 3);
                let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                out.push(byte.ok_or("incomplete % escape")?);
                at += 2;
            }
            other => out.push(other),
        }
        at += 1;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Blanks and line ends are skipped, padding may be missing.
fn base64_decode(text: &str) -> Result<String, String> {
    let clean: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '=')
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let bytes = engine.decode(clean).map_err(|error| format!("not base64: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
