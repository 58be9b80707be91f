//! A value as AWS prints it inside a validation sentence: `[a, b]`, `{k=v}`, `Tag(key=a, value=null)`.

use bytes::Bytes;
use sereno_base::Timestamp;

use crate::body::Body;
use crate::schema::{Member, Schema};
use crate::shape::{Document, Writer};

enum Frame {
    Structure(&'static Schema, Vec<(&'static str, String)>),
    List(Vec<String>),
    Map(Vec<String>, String),
}

#[derive(Default)]
pub(crate) struct Describe {
    frames: Vec<Frame>,
    done: String,
}

impl Describe {
    pub fn of(write: &dyn Fn(&mut dyn Writer)) -> String {
        let mut it = Describe::default();
        write(&mut it);
        it.done
    }

    fn put(&mut self, m: &'static Member, text: String) {
        match self.frames.last_mut() {
            None => self.done = text,
            Some(Frame::List(items)) => items.push(text),
            Some(Frame::Map(items, key)) => items.push(format!("{key}={text}")),
            Some(Frame::Structure(_, members)) => members.push((m.name, text)),
        }
    }

    fn end(&mut self, m: &'static Member) {
        let text = match self.frames.pop() {
            Some(Frame::List(items)) => format!("[{}]", items.join(", ")),
            Some(Frame::Map(items, _)) => format!("{{{}}}", items.join(", ")),
            Some(Frame::Structure(schema, members)) => {
                let all: Vec<String> = schema
                    .members
                    .iter()
                    .map(|member| {
                        let value = members.iter().find(|(name, _)| *name == member.name);
                        let mut name = member.name.to_owned();
                        name[..1].make_ascii_lowercase();
                        format!("{name}={}", value.map_or("null", |(_, text)| text))
                    })
                    .collect();
                format!("{}({})", schema.name, all.join(", "))
            }
            None => return,
        };
        self.put(m, text);
    }
}

impl Writer for Describe {
    fn begin_structure(&mut self, m: &'static Member) {
        self.frames.push(Frame::Structure(m.target, Vec::new()));
    }

    fn end_structure(&mut self, m: &'static Member) {
        self.end(m);
    }

    fn begin_list(&mut self, _: &'static Member, _: usize) {
        self.frames.push(Frame::List(Vec::new()));
    }

    fn end_list(&mut self, m: &'static Member) {
        self.end(m);
    }

    fn begin_map(&mut self, _: &'static Member, _: usize) {
        self.frames.push(Frame::Map(Vec::new(), String::new()));
    }

    fn key(&mut self, _: &'static Member, key: &str) {
        if let Some(Frame::Map(_, current)) = self.frames.last_mut() {
            *current = key.to_owned();
        }
    }

    fn end_entry(&mut self, _: &'static Member) {}

    fn end_map(&mut self, m: &'static Member) {
        self.end(m);
    }

    fn null(&mut self, m: &'static Member) {
        self.put(m, "null".to_owned());
    }

    fn string(&mut self, m: &'static Member, value: &str) {
        self.put(m, value.to_owned());
    }

    fn boolean(&mut self, m: &'static Member, value: bool) {
        self.put(m, value.to_string());
    }

    fn long(&mut self, m: &'static Member, value: i64) {
        self.put(m, value.to_string());
    }

    fn double(&mut self, m: &'static Member, value: f64) {
        self.put(m, format!("{value:?}"));
    }

    fn blob(&mut self, m: &'static Member, value: &Bytes) {
        let len = value.len();
        self.put(m, format!("java.nio.HeapByteBuffer[pos=0 lim={len} cap={len}]"));
    }

    fn timestamp(&mut self, m: &'static Member, value: Timestamp) {
        self.put(m, value.iso8601());
    }

    fn document(&mut self, m: &'static Member, value: &Document) {
        self.put(m, value.to_string());
    }

    fn stream(&mut self, m: &'static Member, _: &Body) {
        self.put(m, "java.io.InputStream".to_owned());
    }
}
