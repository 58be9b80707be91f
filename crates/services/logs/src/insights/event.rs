//! A log event as a query sees it: system fields, and those discovered in its message.
//! https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::value::Value;

/// Fields that AWS finds in one event at most.
const FIELDS_MAX: usize = 200;

#[derive(Clone, Debug, Default)]
pub struct Event {
    pub message: String,
    pub time_ms: i64,
    pub ingested_ms: i64,
    pub stream: String,
    /// The account and the name of the group.
    pub log: String,
    /// What GetLogRecord takes.
    pub pointer: String,
    pub json: OnceCell<Option<Json>>,
}

impl Event {
    pub fn field(&self, name: &str) -> Value {
        let text = |text: &String| Value::Text(text.clone());
        match name {
            "@message" => text(&self.message),
            "@timestamp" => Value::Time(self.time_ms),
            "@ingestionTime" => Value::Time(self.ingested_ms),
            "@logStream" => text(&self.stream),
            "@log" => text(&self.log),
            "@ptr" => text(&self.pointer),
            "@requestId" | "@type" | "@duration" | "@billedDuration" | "@memorySize"
            | "@maxMemoryUsed" | "@initDuration" => self.of_function(name),
            name => self
                .json()
                .and_then(|json| member(json, name))
                .map_or(Value::Absent, Value::of_json),
        }
    }

    fn json(&self) -> Option<&Json> {
        let parse = || {
            let text = self.message.trim_start();
            // AWS also finds an object behind other text.
            let text = text.find('{').map(|at| &text[at..])?;
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<Json>();
            values.next()?.ok()
        };
        self.json.get_or_init(parse).as_ref()
    }

    /// What Lambda's own lines say: `REPORT RequestId: ...\tDuration: 1.2 ms\t...`.
    fn of_function(&self, name: &str) -> Value {
        if !self.log.contains(":/aws/lambda/") {
            return Value::Absent;
        }
        let kind = ["START", "END", "REPORT"].into_iter().find(|kind| {
            self.message.strip_prefix(kind).is_some_and(|rest| rest.starts_with(" RequestId: "))
        });
        let Some(kind) = kind else { return self.request_of_line(name) };
        match name {
            "@type" => Value::Text(kind.to_owned()),
            "@requestId" => self.labelled("RequestId", |text| Value::Text(text.to_owned())),
            "@duration" => self.labelled("Duration", number),
            "@billedDuration" => self.labelled("Billed Duration", number),
            "@initDuration" => self.labelled("Init Duration", number),
            // In bytes, though Lambda reports megabytes.
            "@memorySize" => self.labelled("Memory Size", megabytes),
            "@maxMemoryUsed" => self.labelled("Max Memory Used", megabytes),
            _ => Value::Absent,
        }
    }

    /// `2016-12-01T10:00:00.000Z\t{request id}\tINFO\t...`
    fn request_of_line(&self, name: &str) -> Value {
        let id =
            self.message.split('\t').nth(1).filter(|id| id.len() == 36 && name == "@requestId");
        id.map_or(Value::Absent, |id| Value::Text(id.to_owned()))
    }

    fn labelled(&self, label: &str, read: fn(&str) -> Value) -> Value {
        let line = self.message.split_once(' ').map_or("", |(_, rest)| rest);
        let parts = line.split(['\t', '\n']).filter_map(|part| part.trim().split_once(": "));
        let mut found = parts.filter(|(found, _)| *found == label);
        // START has more behind the id.
        found.next().map_or(Value::Absent, |(_, text)| {
            read(text.split(" Version:").next().unwrap_or(text).trim())
        })
    }

    /// All that GetLogRecord shows.
    pub fn record(&self) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        if let Some(json) = self.json() {
            flatten(json, "", &mut fields);
        }
        const SYSTEM: [&str; 13] = [
            "@message",
            "@timestamp",
            "@ingestionTime",
            "@logStream",
            "@log",
            "@ptr",
            "@requestId",
            "@type",
            "@duration",
            "@billedDuration",
            "@memorySize",
            "@maxMemoryUsed",
            "@initDuration",
        ];
        for name in SYSTEM {
            let shown = match self.field(name) {
                Value::Time(ms) => Some(ms.to_string()),
                other => other.print(),
            };
            fields.extend(shown.map(|value| (name.to_owned(), value)));
        }
        fields
    }
}

fn number(text: &str) -> Value {
    let digits = text.split(' ').next().unwrap_or(text);
    digits.parse().map_or(Value::Absent, Value::Number)
}

fn megabytes(text: &str) -> Value {
    number(text).number().map_or(Value::Absent, |number| Value::Number(number * 1e6))
}

/// The member that `a.b.0` names; a key may have dots of its own.
fn member<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    let step = |json: &'a Json, name: &str| match json {
        Json::Array(elements) => name.parse().ok().and_then(|index: usize| elements.get(index)),
        other => other.get(name),
    };
    if let Some(found) = step(json, path) {
        return Some(found);
    }
    let mut dots = path.match_indices('.');
    dots.find_map(|(at, _)| member(step(json, &path[..at])?, &path[at + 1..]))
}

fn flatten(json: &Json, path: &str, fields: &mut BTreeMap<String, String>) {
    let join =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match json {
        Json::Object(members) => {
            members.iter().for_each(|(name, value)| flatten(value, &join(name), fields));
        }
        Json::Array(elements) => {
            let numbered = elements.iter().enumerate();
            numbered.for_each(|(index, value)| flatten(value, &join(&index.to_string()), fields));
        }
        scalar if fields.len() < FIELDS_MAX && !path.is_empty() => {
            fields.extend(Value::of_json(scalar).print().map(|value| (path.to_owned(), value)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        Event { message: message.to_owned(), log: "0:/aws/lambda/f".to_owned(), ..Event::default() }
    }

    #[test]
    fn fields_of_json() {
        let event = event(r#"{"a": {"b": [1, {"c.d": "x"}]}, "ok": true, "none": null}"#);
        assert_eq!(event.field("a.b.0"), Value::Number(1.0));
        assert_eq!(event.field("a.b.1.c.d"), Value::Text("x".to_owned()));
        assert_eq!(event.field("ok"), Value::Truth(true));
        assert_eq!(event.field("none"), Value::Absent);
        assert_eq!(event.field("a"), Value::Absent);
        assert_eq!(event.record()["a.b.1.c.d"], "x");
    }

    #[test]
    fn fields_of_a_report() {
        let event = event(
            "REPORT RequestId: 11111111-2222-3333-4444-555555555555\tDuration: 3.21 ms\t\
             Billed Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 60 MB\t\n",
        );
        assert_eq!(event.field("@duration"), Value::Number(3.21));
        assert_eq!(event.field("@billedDuration"), Value::Number(4.0));
        assert_eq!(event.field("@memorySize"), Value::Number(128e6));
        assert_eq!(event.field("@type"), Value::Text("REPORT".to_owned()));
        assert_eq!(event.field("@initDuration"), Value::Absent);
        let start = super::tests::event("START RequestId: 11111111-2222 Version: $LATEST\n");
        assert_eq!(start.field("@requestId"), Value::Text("11111111-2222".to_owned()));
    }
}
