//! What a table's schema says to a query: its key conditions and where it starts. Pure.
//! Recorded: dynalite, query.

use sereno_ddbexpr::legacy::{Clause, Operator};
use sereno_ddbexpr::{Item, Value};
use sereno_kernel::Result;

use crate::errors;
use crate::query::Checked;
use crate::selection;
use crate::table::{Index, KeyAttribute, KeySchema, Table};
use crate::write;

pub fn check_start_length(
    table: &Table,
    index: Option<&Index>,
    start: Option<&Item>,
) -> Result<()> {
    match start {
        Some(start) if start.len() != selection::start_names(table, index).len() => {
            Err(errors::validation("The provided starting key is invalid"))
        }
        _ => Ok(()),
    }
}

/// What the schema says to the conditions on keys.
pub fn check_conditions(schema: &KeySchema, checked: &Checked) -> Result<()> {
    let clauses = &checked.clauses;
    if clauses.len() > schema.len().max(2) {
        // Recorded: paritysuite, queryKeyConditionOperands.
        return Err(errors::validation(format!(
            "The number of query conditions ({}) exceeds the number of key attributes defined in \
             the schema ({})",
            clauses.len(),
            schema.len()
        )));
    }
    for (at, attribute) in schema.attributes().enumerate() {
        let hash = at < schema.hash.len();
        if let Some(start) = &checked.start {
            check_start_value(attribute, hash, start)?;
        }
        if hash && schema.len() == 1 && clauses.len() > 1 {
            return Err(errors::validation("Query key condition not supported"));
        }
        let later = schema.attributes().skip(at + 1).any(|later| has_clause(clauses, &later.name));
        let found = clauses.iter().find(|clause| clause.attribute == attribute.name);
        match found {
            Some(clause) => check_clause(attribute, hash, later, clause)?,
            // A later sort key may only be compared if the earlier ones are.
            None if hash || later || clauses.len() > at => {
                return Err(errors::validation(format!(
                    "Query condition missed key schema element: {}",
                    attribute.name
                )));
            }
            None => {}
        }
    }
    Ok(())
}

fn has_clause(clauses: &[Clause], name: &str) -> bool {
    clauses.iter().any(|clause| clause.attribute == name)
}

fn check_start_value(attribute: &KeyAttribute, hash: bool, start: &Item) -> Result<()> {
    match start.get(&attribute.name) {
        None => Err(errors::validation("The provided starting key is invalid")),
        Some(value) if value.kind() != attribute.kind => Err(write::schema_mismatch()),
        Some(value) => write::check_key_size(value, hash),
    }
}

pub fn check_clause(
    attribute: &KeyAttribute,
    hash: bool,
    later: bool,
    clause: &Clause,
) -> Result<()> {
    if !clause.operator.is_indexable() {
        return Err(errors::validation(
            "Attempted conditional constraint is not an indexable operation",
        ));
    }
    if clause.values.iter().any(|value| value.kind() != attribute.kind) {
        return Err(errors::parameters("Condition parameter type does not match schema type"));
    }
    if clause.operator != Operator::Eq && (hash || later) {
        return Err(errors::validation("Query key condition not supported"));
    }
    let Some(empty) = clause.values.iter().find(|value| is_empty_text(value)).filter(|_| hash)
    else {
        return Ok(());
    };
    let what = if matches!(empty, Value::S(_)) { "string" } else { "binary" };
    Err(errors::validation(format!(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot \
         contain an empty {what} value. Key: {}",
        attribute.name
    )))
}

fn is_empty_text(value: &Value) -> bool {
    matches!(value, Value::S(text) if text.is_empty())
        || matches!(value, Value::B(bytes) if bytes.is_empty())
}

pub fn check_start(
    table: &Table,
    index: Option<&Index>,
    schema: &KeySchema,
    checked: &Checked,
) -> Result<()> {
    let Some(start) = &checked.start else { return Ok(()) };
    selection::check_start_in_table(table, start)?;
    let clause = |name: &str| checked.clauses.iter().find(|clause| clause.attribute == name);
    let same_partition = schema.hash.iter().all(|attribute| {
        clause(&attribute.name).is_some_and(|clause| clause.accepts(start.get(&attribute.name)))
    });
    let ranged: Vec<&Clause> =
        schema.range.iter().filter_map(|attribute| clause(&attribute.name)).collect();
    if ranged.is_empty() {
        if !same_partition {
            return Err(errors::validation(
                "The provided starting key is outside query boundaries based on provided conditions",
            ));
        }
        return Ok(());
    }
    if !ranged.iter().all(|clause| clause.holds(start)) {
        return Err(errors::validation(
            "The provided starting key does not match the range key predicate",
        ));
    }
    if !same_partition {
        return Err(errors::validation(
            "The query can return at most one row and cannot be restarted",
        ));
    }
    let _ = index;
    Ok(())
}
