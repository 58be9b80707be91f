//! What a condition says about keys.

use crate::condition::{Comparator, Condition, Operand};
use crate::legacy::{Clause, Operator};
use crate::value::{Item, Value};

/// More than so many partitions are not read one by one.
const BRANCHES_MAX: usize = 300;

/// A part of a table that a condition may hold in: equalities of the partition key's attributes, and
/// at most one clause for each sort key attribute. The condition itself must still be asked.
pub type Branch = Vec<Clause>;

/// Where in a table to look for items for which the condition holds, each item in one branch at
/// most; nothing if that can be anywhere.
pub fn branches(condition: &Condition, hash: &[&str], range: &[&str]) -> Option<Vec<Branch>> {
    let all = alternatives(condition, hash, range)?;
    let mut merged: Vec<(Vec<Value>, Option<Vec<Clause>>)> = Vec::new();
    for clauses in all {
        let partition = partition_of(&clauses, hash)?;
        let ranged: Vec<Clause> = clauses
            .into_iter()
            .filter(|clause| range.contains(&clause.attribute.as_str()))
            .collect();
        match merged.iter_mut().find(|(have, _)| *have == partition) {
            // Two parts of one partition: all of it, so that no item comes twice.
            Some((_, have)) => *have = have.take().filter(|have| *have == ranged),
            None => merged.push((partition, Some(ranged))),
        }
    }
    let branch = |(partition, ranged): (Vec<Value>, Option<Vec<Clause>>)| {
        let equal = |(attribute, value): (&&str, Value)| Clause {
            attribute: (*attribute).to_owned(),
            operator: Operator::Eq,
            values: vec![value],
        };
        let mut branch: Branch = hash.iter().zip(partition).map(equal).collect();
        branch.extend(usable(ranged.unwrap_or_default(), range));
        branch
    };
    Some(merged.into_iter().map(branch).collect())
}

/// The partition key's values, if all are given.
fn partition_of(clauses: &[Clause], hash: &[&str]) -> Option<Vec<Value>> {
    hash.iter()
        .map(|name| {
            let mut equal = clauses
                .iter()
                .filter(|clause| clause.attribute == *name && clause.operator == Operator::Eq);
            equal.next()?.values.first().cloned()
        })
        .collect()
}

/// Equalities of the first sort key attributes and one clause of the next one.
fn usable(clauses: Vec<Clause>, range: &[&str]) -> Vec<Clause> {
    let mut usable = Vec::new();
    for name in range {
        let of = |clause: &&Clause| clause.attribute == *name;
        let equal = clauses.iter().filter(of).find(|clause| clause.operator == Operator::Eq);
        match equal.or_else(|| clauses.iter().find(of)) {
            Some(clause) if clause.operator == Operator::Eq => usable.push(clause.clone()),
            Some(clause) => {
                usable.push(clause.clone());
                break;
            }
            None => break,
        }
    }
    usable
}

/// In each alternative, clauses on keys that follow from the condition; nothing if there are too
/// many.
fn alternatives(condition: &Condition, hash: &[&str], range: &[&str]) -> Option<Vec<Vec<Clause>>> {
    match condition {
        Condition::Or(all) => {
            let mut found = Vec::new();
            for one in all {
                found.extend(alternatives(one, hash, range)?);
            }
            (found.len() <= BRANCHES_MAX).then_some(found)
        }
        Condition::And(all) => {
            let mut found = vec![Vec::new()];
            for one in all {
                let next = alternatives(one, hash, range)?;
                let mut product = Vec::new();
                for left in &found {
                    for right in &next {
                        product.push([left.as_slice(), right.as_slice()].concat());
                    }
                }
                if product.len() > BRANCHES_MAX {
                    return None;
                }
                found = product;
            }
            Some(found)
        }
        Condition::In(Operand::Path(path), list) => {
            let values: Option<Vec<Value>> = list.iter().map(constant).collect();
            let name = path.head.as_str();
            let key = !path.is_nested() && (hash.contains(&name) || range.contains(&name));
            match values.filter(|_| key) {
                Some(values) => {
                    let mut all: Vec<Vec<Clause>> = Vec::new();
                    for value in values {
                        let clause = vec![Clause {
                            attribute: name.to_owned(),
                            operator: Operator::Eq,
                            values: vec![value],
                        }];
                        if !all.contains(&clause) {
                            all.push(clause);
                        }
                    }
                    (all.len() <= BRANCHES_MAX).then_some(all)
                }
                None => Some(vec![Vec::new()]),
            }
        }
        other => {
            let clause = clause(other).filter(|clause| {
                let name = clause.attribute.as_str();
                (hash.contains(&name) && clause.operator == Operator::Eq) || range.contains(&name)
            });
            Some(vec![clause.into_iter().collect()])
        }
    }
}

fn constant(operand: &Operand) -> Option<Value> {
    match operand {
        Operand::Value(value) => Some(value.clone()),
        _ => None,
    }
}

/// One comparison of a whole attribute with constants, as a clause.
fn clause(condition: &Condition) -> Option<Clause> {
    let (path, operator, values) = match condition {
        Condition::Compare(comparator, Operand::Path(path), Operand::Value(value)) => {
            (path, operator(*comparator, false)?, vec![value.clone()])
        }
        Condition::Compare(comparator, Operand::Value(value), Operand::Path(path)) => {
            (path, operator(*comparator, true)?, vec![value.clone()])
        }
        Condition::Between(Operand::Path(path), low, high) => {
            (path, Operator::Between, vec![constant(low)?, constant(high)?])
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(value)) => {
            (path, Operator::BeginsWith, vec![value.clone()])
        }
        _ => return None,
    };
    (!path.is_nested()).then(|| Clause { attribute: path.head.clone(), operator, values })
}

fn operator(comparator: Comparator, mirrored: bool) -> Option<Operator> {
    Some(match (comparator, mirrored) {
        (Comparator::Equal, _) => Operator::Eq,
        (Comparator::NotEqual, _) => return None,
        (Comparator::Less, false) | (Comparator::Greater, true) => Operator::Lt,
        (Comparator::LessOrEqual, false) | (Comparator::GreaterOrEqual, true) => Operator::Le,
        (Comparator::Greater, false) | (Comparator::Less, true) => Operator::Gt,
        (Comparator::GreaterOrEqual, false) | (Comparator::LessOrEqual, true) => Operator::Ge,
    })
}

/// The key that a condition names by equalities joined by AND, and what else it says.
pub fn key_equalities(condition: &Condition, names: &[&str]) -> Option<(Item, Vec<Condition>)> {
    let all = match condition {
        Condition::And(all) => all.clone(),
        one => vec![one.clone()],
    };
    let mut key = Item::new();
    let mut rest = Vec::new();
    for one in all {
        let found = clause(&one).filter(|clause| {
            clause.operator == Operator::Eq
                && names.contains(&clause.attribute.as_str())
                && !key.contains(&clause.attribute)
        });
        match found {
            Some(clause) => {
                let value = clause.values.into_iter().next()?;
                key.insert(clause.attribute, value);
            }
            None => rest.push(one),
        }
    }
    (key.len() == names.len()).then_some((key, rest))
}
