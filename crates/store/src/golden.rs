//! Golden files: one encoded key and record of each table of a service, so that a change of what
//! is on disk is seen in review, and so that old records are proven readable.
//!
//! ```ignore
//! #[test]
//! fn format_of_stored_data() {
//!     Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
//!         .table(&QUEUES, scope, "jobs", &QueueRecord { name: "jobs".into(), ..all_fields_set })
//!         .check();
//! }
//! ```
//!
//! A table that is not in the file yet is added to it. A line that differs fails the test: make
//! the change compatible (new numbers for new fields), and only where there is no data anywhere,
//! write it anew with `SERENO_GOLDEN=write`.

use crate::key::{KeyOf, KeyTuple};
use crate::{Record, Scope, Table};
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

pub struct Golden {
    path: PathBuf,
    /// Name, key and record of each table, and the check that old bytes still read.
    tables: Vec<Line>,
}

struct Line {
    name: String,
    key: String,
    record: String,
    /// Whether these bytes decode to the example.
    reads: Reads,
}

type Reads = Box<dyn Fn(&[u8]) -> Result<(), String>>;

impl Golden {
    pub fn at(path: impl AsRef<Path>) -> Golden {
        Golden { path: path.as_ref().to_owned(), tables: Vec::new() }
    }

    /// An example with every field set. Give tables in any order, but each once.
    #[must_use]
    pub fn table<K, V, Q>(
        mut self,
        table: &Table<K, V>,
        scope: Scope,
        key: &Q,
        record: &V,
    ) -> Golden
    where
        K: KeyTuple,
        V: Record + Clone + Debug + PartialEq + 'static,
        Q: KeyOf<K> + ?Sized,
    {
        let (name, example) = (table.to_string(), record.clone());
        let key = table.key(scope, key);
        let reads = move |bytes: &[u8]| match V::decode(&bytes.to_vec().into()) {
            Ok(read) if read == example => Ok(()),
            Ok(read) => Err(format!("it reads as {read:?}")),
            Err(error) => Err(error.to_string()),
        };
        self.tables.push(Line {
            name,
            key: format!("{} | {}", readable(&key.partition), readable(&key.sort)),
            record: readable(&record.to_bytes()),
            reads: Box::new(reads),
        });
        self
    }

    /// Compares with the file; panics with the difference.
    pub fn check(self) {
        let stored = std::fs::read_to_string(&self.path).unwrap_or_default();
        let rewrite = std::env::var("SERENO_GOLDEN").is_ok_and(|what| what == "write");
        let mut content = String::new();
        for line in &self.tables {
            let block = format!("{}\n  {}\n  {}\n", line.name, line.key, line.record);
            let old = stored.split("\n\n").find_map(|old| {
                let mut lines = old.trim().lines();
                (lines.next() == Some(&line.name)).then(|| lines.map(str::trim).collect::<Vec<_>>())
            });
            match old.as_deref() {
                Some([key, record]) if !rewrite => {
                    assert_eq!(
                        *key,
                        line.key.trim_end(),
                        "{}: keys of stored data would not be found",
                        line.name
                    );
                    let read = (line.reads)(&unreadable(record));
                    assert_eq!(read, Ok(()), "{}: stored records would not be read", line.name);
                    assert_eq!(
                        *record, line.record,
                        "{}: records are written in another form; if old ones still read, use SERENO_GOLDEN=write",
                        line.name
                    );
                }
                _ => {}
            }
            writeln!(content, "{block}").expect("writing to a String cannot fail");
        }
        let content = format!("{}\n", content.trim_end());
        if content != stored {
            std::fs::write(&self.path, content).expect("the golden file can be written");
        }
    }
}

/// Letters as they are, everything else as `\xx`.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'!'..=b'[' | b']'..=b'{' | b'}' => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:02x}").expect("writing to a String cannot fail"),
        }
    }
    text
}

fn unreadable(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        match (first, behind.get(..2)) {
            (b'\\', Some(digits)) => {
                let digits = std::str::from_utf8(digits).expect("digits");
                bytes.extend(sereno_base::unhex(digits).expect("two digits behind a backslash"));
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    record! { pub struct Old { 1 => name: String } }
    record! { pub struct New { 1 => name: String, 2 => size: u64 } }
    record! { pub struct Broken { 1 => size: u64 } }

    const OLD: Table<String, Old> = Table::new("svc", "things");
    const NEW: Table<String, New> = Table::new("svc", "things");
    const BROKEN: Table<String, Broken> = Table::new("svc", "things");

    fn fails(check: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(check).is_err()
    }

    #[test]
    fn changes_are_seen() {
        let path = std::env::temp_dir().join(format!("sereno-golden-{}", std::process::id()));
        let old = Old { name: "a\0|\\ü".into() };
        Golden::at(&path).table(&OLD, Scope::GLOBAL, "k", &old).check();
        Golden::at(&path).table(&OLD, Scope::GLOBAL, "k", &old).check();
        let named = New { name: old.name.clone(), size: 0 };
        Golden::at(&path).table(&NEW, Scope::GLOBAL, "k", &named).check();
        assert!(fails(|| Golden::at(&path).table(&OLD, Scope::GLOBAL, "j", &old).check()));
        let broken = Broken { size: 1 };
        assert!(fails(|| Golden::at(&path).table(&BROKEN, Scope::GLOBAL, "k", &broken).check()));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn readable_is_reversible() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unreadable(&readable(&all)), all);
    }
}
