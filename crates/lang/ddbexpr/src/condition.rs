//! `ConditionExpression`, `FilterExpression` and the inside of `KeyConditionExpression`: text to a
//! checked [`Condition`].
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
//!
//! Order of errors, as recorded by dynalite's suite on AWS: syntax, redundant parentheses, unknown
//! function, misused function, reserved word; then for each comparison or function in turn:
//! undefined name or value, number of operands, equal operands, operand types.

use crate::lex::Lexer;
use crate::limits::IN_OPERANDS_MAX;
use crate::parse::{Node, Parser};
use crate::path::Path;
use crate::placeholders::Placeholders;
use crate::tree::{self, Call, Operand as Raw};
use crate::value::{Kind, Value};
use crate::{Invalid, Parameter};

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Comparator, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path),
    NotExists(Path),
    IsType(Operand, Kind),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    pub(crate) fn of(symbol: &str) -> Self {
        match symbol {
            "<>" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => Self::Equal,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Path(Path),
    Value(Value),
    Size(Box<Operand>),
}

impl Operand {
    /// The type if the expression alone decides it.
    fn kind(&self) -> Option<Kind> {
        match self {
            Operand::Path(_) => None,
            Operand::Value(value) => Some(value.kind()),
            Operand::Size(_) => Some(Kind::N),
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Operand::Path(path) => Some(path),
            Operand::Value(_) => None,
            Operand::Size(inner) => inner.path(),
        }
    }
}

impl Condition {
    pub fn parse(
        parameter: Parameter,
        text: &str,
        placeholders: &Placeholders,
    ) -> Result<Condition, Invalid> {
        const KEYWORDS: &[&str] = &["and", "or", "not", "between", "in"];
        let mut parser = Parser::new(Lexer::new(parameter, text)?, KEYWORDS);
        let node = parser.condition()?;
        if parser.redundant_parentheses {
            return Err(parameter.invalid("The expression has redundant parentheses;"));
        }
        let operands = || node.operands().into_iter();
        tree::check_functions(parameter, operands())?;
        node.check_use(true).map_err(|error| parameter.invalid(error))?;
        tree::check_paths(parameter, operands())?;
        build(&node, placeholders).map_err(|error| parameter.invalid(error))
    }

    /// Every path that it reads.
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        self.collect_paths(&mut paths);
        paths
    }

    fn collect_paths<'a>(&'a self, out: &mut Vec<&'a Path>) {
        match self {
            Condition::And(all) | Condition::Or(all) => {
                all.iter().for_each(|condition| condition.collect_paths(out));
            }
            Condition::Not(inner) => inner.collect_paths(out),
            Condition::Compare(_, a, b)
            | Condition::BeginsWith(a, b)
            | Condition::Contains(a, b) => out.extend([a, b].into_iter().filter_map(Operand::path)),
            Condition::Between(a, b, c) => {
                out.extend([a, b, c].into_iter().filter_map(Operand::path));
            }
            Condition::In(a, list) => {
                out.extend(std::iter::once(a).chain(list).filter_map(Operand::path));
            }
            Condition::IsType(a, _) => out.extend(a.path()),
            Condition::Exists(path) | Condition::NotExists(path) => out.push(path),
        }
    }
}

impl Node {
    fn operands(&self) -> Vec<&Raw> {
        match self {
            Node::Operand(operand) => vec![operand],
            Node::Compare(_, a, b) => vec![a, b],
            Node::Between(a, b, c) => vec![a, b, c],
            Node::In(a, list) => std::iter::once(a).chain(list).collect(),
            Node::Not(inner) => inner.operands(),
            Node::And(all) | Node::Or(all) => all.iter().flat_map(Node::operands).collect(),
        }
    }

    /// Only `size` gives an operand; everything else stands alone.
    fn check_use(&self, top: bool) -> Result<(), String> {
        match self {
            Node::Operand(Raw::Call(call)) => {
                check_arguments(call)?;
                if top && call.name == "size" { Err(tree::misused("size")) } else { Ok(()) }
            }
            Node::Not(inner) => inner.check_use(true),
            Node::And(all) | Node::Or(all) => all.iter().try_for_each(|node| node.check_use(true)),
            _ => self.operands().into_iter().try_for_each(check_argument),
        }
    }
}

fn check_arguments(call: &Call) -> Result<(), String> {
    call.arguments.iter().try_for_each(check_argument)
}

fn check_argument(operand: &Raw) -> Result<(), String> {
    let Raw::Call(call) = operand else { return Ok(()) };
    check_arguments(call)?;
    if call.name == "size" { Ok(()) } else { Err(tree::misused(&call.name)) }
}

fn build(node: &Node, placeholders: &Placeholders) -> Result<Condition, String> {
    let all = |nodes: &[Node]| -> Result<Vec<_>, String> {
        nodes.iter().map(|node| build(node, placeholders)).collect()
    };
    Ok(match node {
        Node::And(nodes) => Condition::And(all(nodes)?),
        Node::Or(nodes) => Condition::Or(all(nodes)?),
        Node::Not(inner) => Condition::Not(Box::new(build(inner, placeholders)?)),
        Node::Operand(Raw::Call(call)) => function(call, placeholders)?,
        // The parser lets no bare path or value through.
        Node::Operand(_) => return Err("Syntax error".into()),
        Node::Compare(symbol, a, b) => compare(symbol, a, b, placeholders)?,
        Node::Between(a, low, high) => {
            let raw = [a, low, high];
            define(&raw, placeholders)?;
            let [a, low, high] = checked(raw, placeholders)?;
            check_between(&low, &high)?;
            Condition::Between(a, low, high)
        }
        Node::In(a, list) => {
            let raw: Vec<&Raw> = std::iter::once(a).chain(list).collect();
            define(&raw, placeholders)?;
            if list.len() > IN_OPERANDS_MAX {
                return Err(format!(
                    "The IN operator is provided with too many operands; number of operands: {}",
                    list.len()
                ));
            }
            let list =
                list.iter().map(|one| operand(one, placeholders)).collect::<Result<_, _>>()?;
            Condition::In(operand(a, placeholders)?, list)
        }
    })
}

fn compare(
    symbol: &'static str,
    a: &Raw,
    b: &Raw,
    placeholders: &Placeholders,
) -> Result<Condition, String> {
    let raw = [a, b];
    define(&raw, placeholders)?;
    count_of_calls(&raw)?;
    check_distinct(symbol, &raw, placeholders)?;
    let [a, b] = checked(raw, placeholders)?;
    let comparator = Comparator::of(symbol);
    if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
        check_ordered(symbol, [&a, &b])?;
    }
    Ok(Condition::Compare(comparator, a, b))
}

/// A constant that has no order cannot be compared (seen by Alternator's suite on AWS); an
/// attribute of such a type makes the condition false instead.
pub(crate) fn check_ordered<const N: usize>(
    operator: &str,
    operands: [&Operand; N],
) -> Result<(), String> {
    match operands.iter().filter_map(|operand| operand.kind()).find(|kind| !kind.is_ordered()) {
        Some(kind) => Err(tree::wrong_type(operator, kind.code())),
        None => Ok(()),
    }
}

pub(crate) fn check_between(low: &Operand, high: &Operand) -> Result<(), String> {
    check_ordered("BETWEEN", [low, high])?;
    let (Operand::Value(low), Operand::Value(high)) = (low, high) else { return Ok(()) };
    let rule = match low.compare(high) {
        None => "same data type for lower and upper bounds",
        Some(std::cmp::Ordering::Greater) => {
            "upper bound to be greater than or equal to lower bound"
        }
        Some(_) => return Ok(()),
    };
    Err(format!(
        "The BETWEEN operator requires {rule}; lower bound operand: AttributeValue: {}, upper \
         bound operand: AttributeValue: {}",
        low.display(),
        high.display()
    ))
}

fn function(call: &Call, placeholders: &Placeholders) -> Result<Condition, String> {
    let raw: Vec<&Raw> = call.arguments.iter().collect();
    define(&raw, placeholders)?;
    count_of_calls(&raw)?;
    let expected = argument_count(&call.name);
    if raw.len() != expected {
        return Err(tree::wrong_count(&call.name, raw.len()));
    }
    check_distinct(&call.name, &raw, placeholders)?;
    let mut arguments =
        raw.iter().map(|raw| operand(raw, placeholders)).collect::<Result<Vec<_>, _>>()?;
    let second = if expected == 2 { arguments.pop() } else { None };
    match (call.name.as_str(), arguments.pop(), second) {
        ("attribute_exists", Some(Operand::Path(path)), None) => Ok(Condition::Exists(path)),
        ("attribute_not_exists", Some(Operand::Path(path)), None) => Ok(Condition::NotExists(path)),
        ("attribute_type", Some(a), Some(b)) => Ok(Condition::IsType(a, type_named(&b)?)),
        ("begins_with", Some(a), Some(b)) => {
            let text = |kind: &Kind| matches!(kind, Kind::S | Kind::B);
            let wrong = [a.kind(), b.kind()].into_iter().flatten().find(|kind| !text(kind));
            match wrong {
                Some(kind) => Err(tree::wrong_type("begins_with", kind.code())),
                None => Ok(Condition::BeginsWith(a, b)),
            }
        }
        ("contains", Some(a), Some(b)) => Ok(Condition::Contains(a, b)),
        (name, ..) => Err(tree::needs_path(name)),
    }
}

fn argument_count(function: &str) -> usize {
    match function {
        "attribute_exists" | "attribute_not_exists" | "size" => 1,
        _ => 2,
    }
}

pub(crate) fn type_named(operand: &Operand) -> Result<Kind, String> {
    match operand {
        Operand::Value(Value::S(code)) => Kind::from_code(code).ok_or_else(|| {
            format!(
                "Invalid attribute type name found; type: {code}, valid types: \
                 {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
            )
        }),
        other => Err(tree::wrong_type(
            "attribute_type",
            other.kind().map_or("{NS,SS,L,BS,N,M,B,BOOL,NULL,S}", Kind::code),
        )),
    }
}

/// All names and values of one comparison, in the order written.
fn define(operands: &[&Raw], placeholders: &Placeholders) -> Result<(), String> {
    let mut error = None;
    for operand in operands {
        operand.visit(&mut |operand| {
            if error.is_some() {
                return;
            }
            error = match operand {
                Raw::Path(path) => path.resolve(placeholders).err(),
                Raw::Value(name) if placeholders.value(name).is_none() => {
                    Some(tree::undefined_value(name))
                }
                _ => None,
            };
        });
    }
    error.map_or(Ok(()), Err)
}

/// Operand counts of `size` inside other things.
fn count_of_calls(operands: &[&Raw]) -> Result<(), String> {
    operands.iter().try_for_each(|operand| match operand {
        Raw::Call(call) => {
            count_of_calls(&call.arguments.iter().collect::<Vec<_>>())?;
            let expected = argument_count(&call.name);
            if call.arguments.len() == expected {
                Ok(())
            } else {
                Err(tree::wrong_count(&call.name, call.arguments.len()))
            }
        }
        _ => Ok(()),
    })
}

fn check_distinct(
    operator: &str,
    operands: &[&Raw],
    placeholders: &Placeholders,
) -> Result<(), String> {
    let [Raw::Path(a), Raw::Path(b)] = operands else { return Ok(()) };
    let (a, b) = (a.resolve(placeholders)?, b.resolve(placeholders)?);
    if a != b {
        return Ok(());
    }
    Err(format!(
        "The first operand must be distinct from the remaining operands for this operator or \
         function; operator: {operator}, first operand: {a}"
    ))
}

fn checked<const N: usize>(
    raw: [&Raw; N],
    placeholders: &Placeholders,
) -> Result<[Operand; N], String> {
    let operands =
        raw.into_iter().map(|raw| operand(raw, placeholders)).collect::<Result<Vec<_>, _>>()?;
    // As many come out as went in.
    operands.try_into().map_err(|_| String::new())
}

fn operand(raw: &Raw, placeholders: &Placeholders) -> Result<Operand, String> {
    match raw {
        Raw::Path(path) => path.resolve(placeholders).map(Operand::Path),
        Raw::Value(name) => match placeholders.value(name) {
            Some(value) => Ok(Operand::Value(value.clone())),
            None => Err(tree::undefined_value(name)),
        },
        Raw::Call(call) => {
            let [argument] = call.arguments.as_slice() else {
                return Err(tree::wrong_count(&call.name, call.arguments.len()));
            };
            let inner = operand(argument, placeholders)?;
            match inner.kind() {
                Some(kind @ (Kind::N | Kind::Bool | Kind::Null)) => {
                    Err(tree::wrong_type("size", kind.code()))
                }
                _ => Ok(Operand::Size(Box::new(inner))),
            }
        }
    }
}
