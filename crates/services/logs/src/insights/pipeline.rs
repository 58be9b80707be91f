//! A query at work: rows go through its commands one after the other.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::Row;
use super::aggregate::{Aggregate, HELD_MAX, Total};
use super::event::Event;
use super::expression::{Expression, Record};
use super::parse::{Column, Command, Query, aggregate_name};
use super::value::Value;

/// Rows that wait to be sorted may take this much together.
const WAITING_BYTES_MAX: usize = 256 << 20;
/// What a row takes beside its event's message, about.
const ROW_BYTES: usize = 512;

/// The query needs more memory than a query may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch;

/// Whether more events can change the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    More,
    Enough,
}

enum Stage {
    Make(Vec<Column>),
    Filter(Expression),
    Parse { from: Expression, expression: regex::Regex, names: Vec<String> },
    Limit { left: usize },
    Dedup { by: Vec<Expression>, seen: HashSet<Vec<Option<String>>> },
    Sort(Sort),
    Stats(Stats),
}

struct Sort {
    keys: Vec<(Expression, bool)>,
    /// How many of the first rows are wanted.
    wanted: Option<usize>,
    waiting: Vec<(Vec<Value>, Record)>,
    bytes: usize,
}

struct Stats {
    aggregates: Vec<Aggregate>,
    columns: Vec<Column>,
    by: Vec<Column>,
    index: HashMap<Vec<Option<String>>, usize>,
    groups: Vec<(Vec<Value>, Vec<Total>)>,
    held: usize,
}

pub struct Pipeline {
    stages: Vec<Stage>,
    columns: Vec<String>,
    now_ms: i64,
    rows: Vec<Row>,
    /// Rows that passed every filter before the first command that looks at many rows.
    pub matched: u64,
    counted_at: usize,
}

impl Pipeline {
    /// `limit` holds for a query that says none itself.
    pub fn new(query: Query, limit: usize, now_ms: i64) -> Pipeline {
        let columns = columns(&query.commands);
        let mut commands = query.commands;
        if !commands.iter().any(|command| matches!(command, Command::Limit(_))) {
            commands.push(Command::Limit(limit));
        }
        let wanted: Vec<Option<usize>> =
            (0..commands.len()).map(|index| wanted(&commands[index + 1..])).collect();
        let stages: Vec<Stage> = commands
            .into_iter()
            .zip(wanted)
            .map(|(command, wanted)| stage(command, wanted))
            .collect();
        let simple = |stage: &Stage| {
            matches!(stage, Stage::Make(_) | Stage::Filter(_) | Stage::Parse { .. })
        };
        let counted_at = stages.iter().position(|stage| !simple(stage)).unwrap_or(stages.len());
        Pipeline { stages, columns, now_ms, rows: Vec::new(), matched: 0, counted_at }
    }

    /// Takes an event; they must come newest first.
    pub fn push(&mut self, event: Event) -> Result<Flow, TooMuch> {
        self.pass(0, Record { made: Vec::new(), event: Some(event) })
    }

    /// The result, when there are no more events.
    pub fn end(mut self) -> Result<Vec<Row>, TooMuch> {
        for index in 0..self.stages.len() {
            for record in self.stages[index].release(self.now_ms) {
                if self.pass(index + 1, record)? == Flow::Enough {
                    break;
                }
            }
        }
        Ok(self.rows)
    }

    fn pass(&mut self, from: usize, mut record: Record) -> Result<Flow, TooMuch> {
        for index in from..self.stages.len() {
            if index == self.counted_at && from == 0 {
                self.matched += 1;
            }
            match self.stages[index].take(&mut record, self.now_ms)? {
                Taken::Passed => {}
                Taken::Kept => return Ok(Flow::More),
                Taken::Full => return Ok(Flow::Enough),
            }
        }
        let shown = |name: &String| Some((name.clone(), record.field(name).print()?));
        self.rows.push(self.columns.iter().filter_map(shown).collect());
        Ok(Flow::More)
    }
}

/// The columns of the result.
fn columns(commands: &[Command]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    let mut of_events = true;
    for command in commands {
        let (new, replaces): (Vec<&Column>, bool) = match command {
            Command::Fields(new) => (new.iter().collect(), false),
            Command::Display(new) => (new.iter().collect(), true),
            Command::Stats { columns, by, .. } => {
                of_events = false;
                (by.iter().chain(columns).collect(), true)
            }
            _ => continue,
        };
        if replaces {
            columns.clear();
        }
        for column in new {
            if !columns.contains(&column.name) {
                columns.push(column.name.clone());
            }
        }
    }
    if columns.is_empty() {
        columns = vec!["@timestamp".to_owned(), "@message".to_owned()];
    }
    if of_events && !columns.iter().any(|name| name == "@ptr") {
        columns.push("@ptr".to_owned());
    }
    columns
}

/// How many of the rows that go into these commands can come out at most.
fn wanted(commands: &[Command]) -> Option<usize> {
    match commands {
        [Command::Limit(limit), ..] => Some(*limit),
        [Command::Fields(_) | Command::Display(_) | Command::Parse { .. }, rest @ ..] => {
            wanted(rest)
        }
        _ => None,
    }
}

fn stage(command: Command, wanted: Option<usize>) -> Stage {
    match command {
        Command::Fields(columns) | Command::Display(columns) => Stage::Make(columns),
        Command::Filter(condition) => Stage::Filter(condition),
        Command::Parse { from, expression, names } => Stage::Parse { from, expression, names },
        Command::Limit(left) => Stage::Limit { left },
        Command::Dedup(by) => Stage::Dedup { by, seen: HashSet::new() },
        Command::Sort(keys) => Stage::Sort(Sort { keys, wanted, waiting: Vec::new(), bytes: 0 }),
        Command::Stats { aggregates, columns, by } => {
            let (index, groups) = (HashMap::new(), Vec::new());
            Stage::Stats(Stats { aggregates, columns, by, index, groups, held: 0 })
        }
    }
}

/// What a command did with a row.
enum Taken {
    Passed,
    Kept,
    Full,
}

impl Stage {
    fn take(&mut self, record: &mut Record, now_ms: i64) -> Result<Taken, TooMuch> {
        match self {
            Stage::Make(columns) => {
                make(record, columns, now_ms);
                Ok(Taken::Passed)
            }
            Stage::Filter(condition) => Ok(if condition.value(record, now_ms).truth() {
                Taken::Passed
            } else {
                Taken::Kept
            }),
            Stage::Parse { from, expression, names } => {
                let text = from.value(record, now_ms).print().unwrap_or_default();
                if let Some(found) = expression.captures(&text) {
                    let groups = expression.capture_names().zip(found.iter()).skip(1);
                    // Unnamed groups are those of a glob.
                    let kept = groups.filter(|(name, _)| name.is_some() || is_glob(expression));
                    for (name, (_, group)) in names.iter().zip(kept) {
                        let value = group
                            .map_or(Value::Absent, |found| Value::Text(found.as_str().to_owned()));
                        record.made.push((name.clone(), value));
                    }
                }
                Ok(Taken::Passed)
            }
            Stage::Limit { left } => match left.checked_sub(1) {
                Some(rest) => {
                    *left = rest;
                    Ok(Taken::Passed)
                }
                None => Ok(Taken::Full),
            },
            Stage::Dedup { by, seen } => {
                let key = by.iter().map(|one| one.value(record, now_ms).print()).collect();
                if !seen.insert(key) {
                    return Ok(Taken::Kept);
                }
                if seen.len() > HELD_MAX { Err(TooMuch) } else { Ok(Taken::Passed) }
            }
            Stage::Sort(sort) => sort.take(std::mem::take(record), now_ms).map(|()| Taken::Kept),
            Stage::Stats(stats) => stats.take(record, now_ms).map(|()| Taken::Kept),
        }
    }

    /// The rows that waited for the last one.
    fn release(&mut self, now_ms: i64) -> Vec<Record> {
        match self {
            Stage::Sort(sort) => sort.release(),
            Stage::Stats(stats) => stats.release(now_ms),
            _ => Vec::new(),
        }
    }
}

fn is_glob(expression: &regex::Regex) -> bool {
    expression.capture_names().flatten().next().is_none()
}

fn make(record: &mut Record, columns: &[Column], now_ms: i64) {
    for Column { name, expression } in columns {
        if !matches!(expression, Expression::Field(field) if field == name) {
            let value = expression.value(record, now_ms);
            record.made.push((name.clone(), value));
        }
    }
}

impl Sort {
    fn take(&mut self, record: Record, now_ms: i64) -> Result<(), TooMuch> {
        let keys = self.keys.iter().map(|(key, _)| key.value(&record, now_ms)).collect();
        self.bytes += size(&record);
        self.waiting.push((keys, record));
        let many = self.wanted.is_some_and(|wanted| self.waiting.len() > 2 * wanted + 1024);
        if many || self.bytes > WAITING_BYTES_MAX {
            self.order();
            self.bytes = self.waiting.iter().map(|(_, record)| size(record)).sum();
        }
        if self.bytes > WAITING_BYTES_MAX { Err(TooMuch) } else { Ok(()) }
    }

    /// Sorts, and lets go of what nobody wants.
    fn order(&mut self) {
        let keys = &self.keys;
        self.waiting.sort_by(|(left, _), (right, _)| {
            let pairs = left.iter().zip(right).zip(keys);
            let mut orders = pairs.map(|((left, right), (_, descends))| {
                let order = left.order(right);
                if *descends { order.reverse() } else { order }
            });
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        if let Some(wanted) = self.wanted {
            self.waiting.truncate(wanted);
        }
    }

    fn release(&mut self) -> Vec<Record> {
        self.order();
        std::mem::take(&mut self.waiting).into_iter().map(|(_, record)| record).collect()
    }
}

fn size(record: &Record) -> usize {
    ROW_BYTES + record.event.as_ref().map_or(0, |event| event.message.len())
}

impl Stats {
    fn take(&mut self, record: &Record, now_ms: i64) -> Result<(), TooMuch> {
        let by: Vec<Value> =
            self.by.iter().map(|column| column.expression.value(record, now_ms)).collect();
        let key = by.iter().map(Value::print).collect();
        let fresh = self.groups.len();
        let group = *self.index.entry(key).or_insert(fresh);
        if group == fresh {
            self.held += 1 + self.aggregates.len();
            self.groups.push((by, self.aggregates.iter().map(Aggregate::start).collect()));
        }
        let totals = &mut self.groups[group].1;
        for (aggregate, total) in self.aggregates.iter().zip(totals) {
            aggregate.add(total, record, now_ms, &mut self.held)?;
        }
        if self.held > HELD_MAX { Err(TooMuch) } else { Ok(()) }
    }

    fn release(&mut self, now_ms: i64) -> Vec<Record> {
        self.index.clear();
        let mut records = Vec::new();
        for (by, totals) in std::mem::take(&mut self.groups) {
            let mut record = Record::default();
            for (column, value) in self.by.iter().zip(by) {
                record.made.push((column.name.clone(), value));
            }
            for (index, (aggregate, total)) in self.aggregates.iter().zip(totals).enumerate() {
                record.made.push((aggregate_name(index), aggregate.end(total)));
            }
            make(&mut record, &self.columns, now_ms);
            records.push(record);
        }
        records
    }
}
