//! What a parsed statement means: terms to conditions, updates and values.
//! Sentences recorded: paritysuite, partiqlFunctions and comparison.

use super::tree::{self, Call, Change, Raw, Term};
use super::{Select, Statement, malformed};
use crate::condition::{Comparator, Condition, Operand, check_between, check_ordered, type_named};
use crate::number::Number;
use crate::path::{Path, Step};
use crate::update::{self, Source, Update, What};
use crate::value::{Item, Kind, Value, base64, duplicate};
use crate::{Invalid, tree as calls};

pub fn statement(raw: Raw, parameters: &[Value]) -> Result<Statement, Invalid> {
    let with = Meaning { parameters };
    Ok(match raw {
        Raw::Select(select) => Statement::Select(with.select(select)?),
        Raw::Exists(select) => Statement::Exists(with.select(select)?),
        Raw::Insert { table, value } => Statement::Insert { table, item: with.item(&value)? },
        Raw::Update { table, changes, condition, returning } => Statement::Update {
            table,
            update: with.update(changes)?,
            condition: condition.map(|term| with.condition(&term)).transpose()?,
            returning,
        },
        Raw::Delete { table, condition, returning } => Statement::Delete {
            table,
            condition: condition.map(|term| with.condition(&term)).transpose()?,
            returning,
        },
    })
}

struct Meaning<'a> {
    parameters: &'a [Value],
}

impl Meaning<'_> {
    fn select(&self, select: tree::Select) -> Result<Select, Invalid> {
        Ok(Select {
            columns: select.columns,
            table: select.table,
            index: select.index,
            condition: select.condition.map(|term| self.condition(&term)).transpose()?,
            order: select.order,
        })
    }

    fn parameter(&self, number: usize) -> Result<Value, Invalid> {
        // Counted before: there are as many as the statement asks for.
        self.parameters.get(number).cloned().ok_or_else(|| malformed(""))
    }

    fn condition(&self, term: &Term) -> Result<Condition, Invalid> {
        let all = |terms: &[Term]| -> Result<Vec<Condition>, Invalid> {
            terms.iter().map(|term| self.condition(term)).collect()
        };
        Ok(match term {
            Term::And(terms) => Condition::And(all(terms)?),
            Term::Or(terms) => Condition::Or(all(terms)?),
            Term::Not(inner) => Condition::Not(Box::new(self.condition(inner)?)),
            Term::Compare(symbol, a, b) => self.compare(symbol, a, b)?,
            Term::Between(a, low, high) => {
                let (low, high) = (self.operand(low)?, self.operand(high)?);
                check_between(&low, &high).map_err(Invalid)?;
                Condition::Between(self.operand(a)?, low, high)
            }
            Term::In(a, list) => Condition::In(self.operand(a)?, self.list(list)?),
            Term::Is(a, name) => self.is_type(a, name)?,
            Term::Call(call) => self.function(call)?,
            _ => return Err(Invalid::new("Unsupported where clause: a condition is expected")),
        })
    }

    fn list(&self, list: &Term) -> Result<Vec<Operand>, Invalid> {
        match list {
            Term::List(terms) | Term::Bag(terms) => {
                terms.iter().map(|term| self.operand(term)).collect()
            }
            Term::Parameter(number) => match self.parameter(*number)? {
                Value::L(values) => Ok(values.into_iter().map(Operand::Value).collect()),
                other => Ok(vec![Operand::Value(other)]),
            },
            other => Ok(vec![self.operand(other)?]),
        }
    }

    fn compare(&self, symbol: &str, a: &Term, b: &Term) -> Result<Condition, Invalid> {
        // A function that is a condition may be compared with a truth value.
        for (call, other) in [(a, b), (b, a)] {
            if let (Term::Call(call), Term::Bool(flag)) = (call, other)
                && call.name != "size"
            {
                let condition = self.function(call)?;
                let plain = (symbol == "=") == *flag;
                return Ok(if plain { condition } else { Condition::Not(Box::new(condition)) });
            }
        }
        let (a, b) = (self.operand(a)?, self.operand(b)?);
        let comparator = Comparator::of(symbol);
        if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
            check_ordered(symbol, [&a, &b]).map_err(Invalid)?;
        }
        Ok(Condition::Compare(comparator, a, b))
    }

    fn operand(&self, term: &Term) -> Result<Operand, Invalid> {
        match term {
            Term::Path(path, _) => Ok(Operand::Path(path.clone())),
            Term::Call(call) if call.name == "size" => {
                let [argument] = call.arguments.as_slice() else {
                    return Err(wrong_count(call));
                };
                Ok(Operand::Size(Box::new(self.operand(argument)?)))
            }
            Term::Call(call) => Err(unknown_function(call)),
            other => self.value(other).map(Operand::Value),
        }
    }

    fn function(&self, call: &Call) -> Result<Condition, Invalid> {
        let expected = match call.name.as_str() {
            "attribute_exists" | "attribute_not_exists" => 1,
            "attribute_type" | "begins_with" | "contains" => 2,
            _ => return Err(unknown_function(call)),
        };
        if call.arguments.len() != expected {
            return Err(wrong_count(call));
        }
        let arguments: Vec<Operand> =
            call.arguments.iter().map(|term| self.operand(term)).collect::<Result<_, _>>()?;
        let mut arguments = arguments.into_iter();
        match (call.name.as_str(), arguments.next(), arguments.next()) {
            ("attribute_exists", Some(Operand::Path(path)), _) => Ok(Condition::Exists(path)),
            ("attribute_not_exists", Some(Operand::Path(path)), _) => {
                Ok(Condition::NotExists(path))
            }
            ("attribute_type", Some(a), Some(b)) => {
                Ok(Condition::IsType(a, type_named(&b).map_err(Invalid)?))
            }
            ("begins_with", Some(a), Some(b)) => {
                let wrong = [&a, &b].into_iter().find_map(|operand| match operand {
                    Operand::Value(value) => Some(value.kind()),
                    _ => None,
                });
                match wrong.filter(|kind| !matches!(kind, Kind::S | Kind::B)) {
                    Some(kind) => Err(Invalid(calls::wrong_type("begins_with", kind.code()))),
                    None => Ok(Condition::BeginsWith(a, b)),
                }
            }
            ("contains", Some(a), Some(b)) => Ok(Condition::Contains(a, b)),
            (name, ..) => Err(Invalid(calls::needs_path(name))),
        }
    }

    fn is_type(&self, term: &Term, name: &str) -> Result<Condition, Invalid> {
        let operand = self.operand(term)?;
        let kinds: &[Kind] = match name {
            "MISSING" => {
                return match operand {
                    Operand::Path(path) => Ok(Condition::NotExists(path)),
                    // A value is never missing.
                    _ => Ok(Condition::Or(Vec::new())),
                };
            }
            "NULL" => &[Kind::Null],
            "BOOL" | "BOOLEAN" => &[Kind::Bool],
            "STRING" | "CHAR" | "VARCHAR" | "SYMBOL" | "CLOB" => &[Kind::S],
            "BLOB" => &[Kind::B],
            "STRUCT" | "TUPLE" => &[Kind::M],
            "LIST" | "SEXP" => &[Kind::L],
            "BAG" => &[Kind::Ss, Kind::Ns, Kind::Bs],
            "TIMESTAMP" | "DATE" | "TIME" | "ANY" => {
                return Err(Invalid(format!("Unsupported type: {name}")));
            }
            _ => &[Kind::N],
        };
        let mut all: Vec<Condition> =
            kinds.iter().map(|kind| Condition::IsType(operand.clone(), *kind)).collect();
        Ok(match (all.len(), all.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                all.extend(last);
                Condition::Or(all)
            }
        })
    }

    fn update(&self, changes: Vec<Change>) -> Result<Update, Invalid> {
        let mut actions = Vec::with_capacity(changes.len());
        for change in changes {
            actions.push(match change {
                Change::Remove(path) => update::Action { path, what: What::Remove },
                Change::Set(path, term) => {
                    let what = self.set(&path, &term)?;
                    update::Action { path, what }
                }
            });
        }
        if let Some(clash) = crate::path::clash_of(actions.iter().map(|action| &action.path)) {
            return Err(Invalid(clash));
        }
        Ok(Update { actions })
    }

    fn set(&self, path: &Path, term: &Term) -> Result<What, Invalid> {
        match term {
            Term::Call(call) if matches!(call.name.as_str(), "set_add" | "set_delete") => {
                self.change_set(path, call)
            }
            other => self.source(other).map(What::Set),
        }
    }

    fn change_set(&self, path: &Path, call: &Call) -> Result<What, Invalid> {
        let name = call.name.to_ascii_uppercase();
        let [first, second] = call.arguments.as_slice() else {
            return Err(Invalid(format!("{name} must have exactly two arguments at {}", call.at)));
        };
        if !matches!(first, Term::Path(same, _) if same == path) {
            return Err(Invalid(format!(
                "The first argument to {name} must equal the assignment value at {}",
                call.at
            )));
        }
        let value = match second {
            Term::Path(..) | Term::Call(_) => None,
            other => Some(self.value(other)?).filter(|value| value.kind().is_set()),
        };
        let value = value.ok_or_else(|| {
            Invalid(format!(
                "The second argument to {name} must be a value with type SET at {}",
                call.first_at
            ))
        })?;
        Ok(if call.name == "set_add" { What::Add(value) } else { What::Delete(value) })
    }

    fn source(&self, term: &Term) -> Result<Source, Invalid> {
        let boxed = |term: &Term| self.source(term).map(Box::new);
        match term {
            Term::Path(path, _) => Ok(Source::Path(path.clone())),
            Term::Sum('+', a, b) => Ok(Source::Plus(boxed(a)?, boxed(b)?)),
            Term::Sum(_, a, b) => Ok(Source::Minus(boxed(a)?, boxed(b)?)),
            Term::Call(call) => match (call.name.as_str(), call.arguments.as_slice()) {
                ("list_append", [a, b]) => Ok(Source::ListAppend(boxed(a)?, boxed(b)?)),
                ("if_not_exists", [Term::Path(path, _), b]) => {
                    Ok(Source::IfNotExists(path.clone(), boxed(b)?))
                }
                ("if_not_exists", [_, _]) => Err(Invalid(calls::needs_path("if_not_exists"))),
                ("list_append" | "if_not_exists", _) => Err(wrong_count(call)),
                _ => Err(unknown_function(call)),
            },
            other => self.value(other).map(Source::Value),
        }
    }

    fn item(&self, term: &Term) -> Result<Item, Invalid> {
        match term {
            Term::Map(members) => {
                let mut item = Item::with_capacity(members.len());
                for (name, member) in members {
                    // The path of an error begins anew in each attribute.
                    item.insert(self.name(name)?, self.value(member)?);
                }
                Ok(item)
            }
            Term::Parameter(number) => match self.parameter(*number)? {
                Value::M(item) => Ok(item),
                _ => Err(Invalid::new("Unsupported type for INSERT: a map is expected")),
            },
            _ => Err(Invalid::new("Unsupported type for INSERT: a map is expected")),
        }
    }

    fn name(&self, term: &Term) -> Result<String, Invalid> {
        match term {
            Term::Text(name) => Ok(name.clone()),
            Term::Parameter(number) => match self.parameter(*number)? {
                Value::S(name) => Ok(name),
                _ => Err(malformed("Unexpected term")),
            },
            _ => Err(malformed("Unexpected term")),
        }
    }

    fn value(&self, term: &Term) -> Result<Value, Invalid> {
        self.nested(term, &mut Vec::new())
    }

    fn nested(&self, term: &Term, place: &mut Vec<Step>) -> Result<Value, Invalid> {
        Ok(match term {
            Term::Text(text) => Value::S(text.clone()),
            Term::Number(text) => Value::N(
                Number::parse(text)
                    .map_err(|Invalid(what)| Invalid(format!("{what} under {}", shown(place))))?,
            ),
            Term::Bool(flag) => Value::Bool(*flag),
            Term::Null => Value::Null,
            Term::Parameter(number) => self.parameter(*number)?,
            Term::List(terms) => Value::L(self.members(terms, place)?),
            Term::Bag(terms) => set(self.members(terms, place)?)?,
            Term::Map(members) => {
                let mut map = Item::with_capacity(members.len());
                for (name, member) in members {
                    let name = self.name(name)?;
                    place.push(Step::Name(name.clone()));
                    map.insert(name, self.nested(member, place)?);
                    place.pop();
                }
                Value::M(map)
            }
            Term::Call(call) => {
                return Err(Invalid(format!(
                    "Unsupported data type: {} under key {} at {}",
                    call.name,
                    shown(place),
                    call.at
                )));
            }
            _ => {
                return Err(Invalid(format!("Unsupported data type under key {}", shown(place))));
            }
        })
    }

    fn members(&self, terms: &[Term], place: &mut Vec<Step>) -> Result<Vec<Value>, Invalid> {
        let mut values = Vec::with_capacity(terms.len());
        for (index, term) in terms.iter().enumerate() {
            place.push(Step::Index(index));
            values.push(self.nested(term, place)?);
            place.pop();
        }
        Ok(values)
    }
}

fn shown(place: &[Step]) -> String {
    place.iter().fold("root".to_owned(), |text, step| match step {
        Step::Name(name) => format!("{text}.{name}"),
        Step::Index(index) => format!("{text}[{index}]"),
    })
}

/// `<< >>`: all of one type, each once.
fn set(values: Vec<Value>) -> Result<Value, Invalid> {
    if values.is_empty() {
        return Err(Invalid::new("Empty bags are not supported"));
    }
    let (mut texts, mut numbers, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
    let count = values.len();
    for value in values {
        match value {
            Value::S(text) => texts.push(text),
            Value::N(number) => numbers.push(number),
            Value::B(bytes) => blobs.push(bytes),
            _ => {}
        }
    }
    let refuse = |what: &str| {
        Err(Invalid(format!("One or more parameter values were invalid: Input collection {what}")))
    };
    if texts.len() == count {
        if duplicate(&texts).is_some() {
            return refuse(&format!("[{}] contains duplicates.", texts.join(", ")));
        }
        return Ok(Value::Ss(texts));
    }
    if numbers.len() == count {
        if duplicate(&numbers).is_some() {
            return Err(Invalid::new("Input collection contains duplicates"));
        }
        return Ok(Value::Ns(numbers));
    }
    if blobs.len() == count {
        if duplicate(&blobs).is_some() {
            let all: Vec<String> = blobs.iter().map(|bytes| base64(bytes)).collect();
            return refuse(&format!("[{}]of type BS contains duplicates.", all.join(", ")));
        }
        return Ok(Value::Bs(blobs));
    }
    Err(Invalid::new("Bags must have members of one type: string, number or binary"))
}

fn wrong_count(call: &Call) -> Invalid {
    Invalid(calls::wrong_count(&call.name, call.arguments.len()))
}

fn unknown_function(call: &Call) -> Invalid {
    Invalid(format!("Unrecognized function: {} at {}", call.name, call.at))
}
