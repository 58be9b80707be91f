//! Records of imported data: cut out of a stream of bytes, and read as items.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataImport.Format.html

use sereno_api_dynamodb as api;
use sereno_ddbexpr::{Item, Kind, Number, Value};

use crate::convert;
use crate::ion;
use crate::table::KeySchema;

/// No record is longer: an item has at most 400 KB, and text at most some signs more a byte.
const RECORD_BYTES_MAX: usize = 8 << 20;

/// Cuts bytes into records: lines, or in CSV rows, where quoted line ends do not count.
#[derive(Default)]
pub struct Cutter {
    csv: bool,
    rest: Vec<u8>,
    /// How far `rest` was looked at, and whether that is inside quotes.
    seen: usize,
    quoted: bool,
}

impl Cutter {
    pub fn new(csv: bool) -> Cutter {
        Cutter { csv, ..Cutter::default() }
    }

    /// The records that end in `bytes`. An error if one does not end at all.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        self.rest.extend_from_slice(bytes);
        let mut records = Vec::new();
        let mut start = 0;
        for at in self.seen..self.rest.len() {
            match self.rest[at] {
                b'"' if self.csv => self.quoted = !self.quoted,
                b'\n' if !self.quoted => {
                    records.push(self.rest[start..at].to_vec());
                    start = at + 1;
                }
                _ => {}
            }
        }
        self.rest.drain(..start);
        self.seen = self.rest.len();
        if self.seen > RECORD_BYTES_MAX {
            return Err(format!("a record is longer than {RECORD_BYTES_MAX} bytes"));
        }
        Ok(records)
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        (!self.rest.is_empty()).then(|| std::mem::take(&mut self.rest))
    }
}

/// How records are read.
pub enum Reading {
    Json,
    Ion,
    Csv { delimiter: char, header: Option<Vec<String>> },
}

impl Reading {
    /// The item of a record; `None` for an empty one, and for a CSV's header.
    pub fn item(&mut self, record: &[u8], keys: &KeySchema) -> Result<Option<Item>, String> {
        let text = std::str::from_utf8(record).map_err(|_| "a record is not UTF-8".to_owned())?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.trim().is_empty() {
            return Ok(None);
        }
        match self {
            Reading::Json => json(text).map(Some),
            Reading::Ion => ion::item(text).map(Some),
            Reading::Csv { delimiter, header } => {
                let fields = row(text.trim_start_matches('\u{feff}'), *delimiter)?;
                match header {
                    Some(header) => csv_item(header, fields, keys).map(Some),
                    None => {
                        *header = Some(fields);
                        Ok(None)
                    }
                }
            }
        }
    }

    pub fn is_csv(&self) -> bool {
        matches!(self, Reading::Csv { .. })
    }
}

/// `{"Item": {...}}`
fn json(text: &str) -> Result<Item, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let whole = value.as_object().is_some_and(|object| object.contains_key("Item"));
    if !whole {
        return Err("the record has no Item".to_owned());
    }
    let shape: api::GetItemOutput =
        sereno_wire::from_json(&value).map_err(|error| format!("{error:?}"))?;
    convert::item_in(shape.item.unwrap_or_default()).map_err(|invalid| invalid.0)
}

/// The fields of a row, quotes removed.
fn row(text: &str, delimiter: char) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut characters = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = characters.next() {
        let fresh = fields.last().is_some_and(String::is_empty);
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields.last_mut().expect("one field at least").push('"');
            }
            '"' if quoted => quoted = false,
            '"' if fresh => quoted = true,
            c if c == delimiter && !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("one field at least").push(c),
        }
    }
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok(fields) }
}

/// Everything is a string but the key, which is what the table says. Empty fields are no attributes.
fn csv_item(header: &[String], fields: Vec<String>, keys: &KeySchema) -> Result<Item, String> {
    if fields.len() > header.len() {
        return Err(format!("a row has {} fields, the header {}", fields.len(), header.len()));
    }
    let mut item = Item::with_capacity(fields.len());
    for (name, text) in header.iter().zip(fields) {
        if text.is_empty() {
            continue;
        }
        let value = match keys.find(name).map(|key| key.kind) {
            Some(Kind::N) => Value::N(Number::parse(text.trim()).map_err(|invalid| invalid.0)?),
            Some(Kind::B) => Value::B(ion::base64(&text)?),
            _ => Value::S(text),
        };
        item.insert(name.clone(), value);
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_wherever_the_bytes_are() {
        let text = b"a,\"x\ny\"\nb,\"\"\"\n\"\n\nc";
        for size in 1..text.len() {
            let mut cutter = Cutter::new(true);
            let mut records = Vec::new();
            for piece in text.chunks(size) {
                records.extend(cutter.push(piece).unwrap());
            }
            records.extend(cutter.finish());
            let expected: [&[u8]; 4] = [b"a,\"x\ny\"", b"b,\"\"\"\n\"", b"", b"c"];
            assert_eq!(records, expected, "pieces of {size}");
        }
    }

    #[test]
    fn rows() {
        let fields = |text: &str| row(text, ',');
        assert_eq!(fields("a,,\"b,\"\"c\"\"\""), Ok(vec!["a".into(), "".into(), "b,\"c\"".into()]));
        assert!(fields("\"a").is_err());
    }

    #[test]
    fn items() {
        let keys = KeySchema::default();
        let mut csv = Reading::Csv { delimiter: ';', header: None };
        assert_eq!(csv.item(b"p;v", &keys), Ok(None));
        let item = csv.item(b"1;\r", &keys).unwrap().unwrap();
        assert_eq!(item.get("p"), Some(&Value::S("1".into())));
        assert!(!item.contains("v"));
        assert!(csv.item(b"1;2;3", &keys).is_err());
        let json = |text: &str| Reading::Json.item(text.as_bytes(), &keys);
        assert!(json("{\"Item\":{\"a\":{\"N\":\"1\"}}}").unwrap().unwrap().contains("a"));
        for broken in ["{", "{}", "[]", "{\"Item\":{\"a\":{\"N\":\"x\"}}}", "{\"Item\":{\"a\":1}}"]
        {
            assert!(json(broken).is_err(), "{broken}");
        }
    }
}
