//! PartiQL as DynamoDB has it: a statement and its parameters to conditions, updates, items.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html
//!
//! Sentences and what is accepted are recorded: paritysuite's dynamodb-conformance on AWS.

mod keys;
mod lex;
mod meaning;
mod parse;
mod terms;
mod tree;

use crate::Invalid;
use crate::condition::Condition;
use crate::path::Path;
use crate::update::Update;
use crate::value::{Item, Value};

pub use keys::{Branch, branches, key_equalities};
pub use tree::{Order, Returning};

/// A statement with its parameters in place.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Select(Select),
    /// Only in transactions: a condition of its own.
    Exists(Select),
    Insert {
        table: String,
        item: Item,
    },
    Update {
        table: String,
        update: Update,
        condition: Option<Condition>,
        returning: Option<Returning>,
    },
    Delete {
        table: String,
        condition: Option<Condition>,
        returning: Option<Returning>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// Nothing is `*`.
    pub columns: Option<Vec<Path>>,
    pub table: String,
    pub index: Option<String>,
    pub condition: Option<Condition>,
    pub order: Vec<Order>,
}

impl Select {
    /// The columns of one item, each under the last part of its path.
    pub fn show(&self, item: Item) -> Item {
        let Some(columns) = &self.columns else { return item };
        let mut shown = Item::new();
        for path in columns {
            if let Some(value) = path.find(&item) {
                shown.insert(column_name(path), value.clone());
            }
        }
        shown
    }
}

/// `a.b[0]` is shown as `b[0]`.
fn column_name(path: &Path) -> String {
    use std::fmt::Write;
    let mut name = path.head.clone();
    for step in &path.tail {
        match step {
            crate::Step::Name(part) => name.clone_from(part),
            crate::Step::Index(index) => {
                // Writing to a string does not fail.
                let _ = write!(name, "[{index}]");
            }
        }
    }
    name
}

impl Statement {
    pub fn parse(text: &str, parameters: &[Value]) -> Result<Statement, Invalid> {
        let (raw, expected) = parse::parse(text)?;
        if expected != parameters.len() {
            return Err(Invalid::new("Number of parameters in request and statement don't match."));
        }
        meaning::statement(raw, parameters)
    }

    pub fn table(&self) -> &str {
        match self {
            Statement::Select(select) | Statement::Exists(select) => &select.table,
            Statement::Insert { table, .. }
            | Statement::Update { table, .. }
            | Statement::Delete { table, .. } => table,
        }
    }

    pub fn is_read(&self) -> bool {
        matches!(self, Statement::Select(_))
    }
}

fn malformed(detail: &str) -> Invalid {
    Invalid(format!("Statement wasn't well formed, can't be processed: {detail}"))
}
