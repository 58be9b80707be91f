//! `UpdateExpression`: text to checked actions. [`crate::update_apply`] carries them out.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
//!
//! Order of errors, as recorded by dynalite's suite on AWS: syntax, reserved word, unknown function,
//! section used twice, undefined name, undefined value, overlapping paths, conflicting paths, operand
//! of ADD and DELETE, operands of functions.

use crate::lex::Lexer;
use crate::parse::Parser;
use crate::path::{Path, clash_of};
use crate::placeholders::Placeholders;
use crate::tree::{self, Operand as Raw, RawPath};
use crate::value::{Kind, Value};
use crate::{Invalid, Parameter};

#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub actions: Vec<Action>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    pub path: Path,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Set(Source),
    Remove,
    /// A number or a set.
    Add(Value),
    /// A set.
    Delete(Value),
}

/// Where a value of SET comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Value(Value),
    Path(Path),
    IfNotExists(Path, Box<Source>),
    ListAppend(Box<Source>, Box<Source>),
    Plus(Box<Source>, Box<Source>),
    Minus(Box<Source>, Box<Source>),
}

impl Source {
    /// The type if the expression alone decides it.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Source::Value(value) => Some(value.kind()),
            Source::Path(_) => None,
            Source::IfNotExists(_, otherwise) => otherwise.kind(),
            Source::ListAppend(..) => Some(Kind::L),
            Source::Plus(..) | Source::Minus(..) => Some(Kind::N),
        }
    }

    /// The type of a `:value`; of nothing else are types checked before an item is read
    /// (recorded: dynalite, updateItem).
    fn constant(&self) -> Option<Kind> {
        match self {
            Source::Value(value) => Some(value.kind()),
            _ => None,
        }
    }

    fn paths<'a>(&'a self, out: &mut Vec<&'a Path>) {
        match self {
            Source::Value(_) => {}
            Source::Path(path) => out.push(path),
            Source::IfNotExists(path, otherwise) => {
                out.push(path);
                otherwise.paths(out);
            }
            Source::ListAppend(a, b) | Source::Plus(a, b) | Source::Minus(a, b) => {
                a.paths(out);
                b.paths(out);
            }
        }
    }
}

impl Action {
    /// The type the attribute will have, if the expression alone decides it.
    pub fn kind(&self) -> Option<Kind> {
        match &self.what {
            What::Set(source) => source.kind(),
            What::Remove => None,
            What::Add(value) | What::Delete(value) => Some(value.kind()),
        }
    }
}

const SECTIONS: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];

enum RawWhat {
    Set(RawSource),
    Remove,
    Change(&'static str, String),
}

enum RawSource {
    Operand(Raw),
    Sum(&'static str, Raw, Raw),
}

impl RawSource {
    fn operands(&self) -> Vec<&Raw> {
        match self {
            RawSource::Operand(operand) => vec![operand],
            RawSource::Sum(_, a, b) => vec![a, b],
        }
    }
}

impl Update {
    pub fn parse(text: &str, placeholders: &Placeholders) -> Result<Update, Invalid> {
        let parameter = Parameter::Update;
        let raw = Text::parse(text)?;
        raw.check(placeholders)?;
        let actions = raw
            .actions
            .iter()
            .map(|(path, what)| {
                Ok(Action { path: path.resolve(placeholders)?, what: build(what, placeholders)? })
            })
            .collect::<Result<Vec<_>, String>>()
            .map_err(|error| parameter.invalid(error))?;
        Ok(Update { actions })
    }

    /// Every path that it reads or writes.
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        for action in &self.actions {
            paths.push(&action.path);
            if let What::Set(source) = &action.what {
                source.paths(&mut paths);
            }
        }
        paths
    }
}

struct Text {
    actions: Vec<(RawPath, RawWhat)>,
    repeated_section: Option<&'static str>,
}

impl Text {
    fn parse(text: &str) -> Result<Text, Invalid> {
        let mut parser = Parser::new(Lexer::new(Parameter::Update, text)?, &SECTIONS);
        let (mut actions, mut seen, mut repeated_section) = (Vec::new(), Vec::new(), None);
        loop {
            let section = SECTIONS.into_iter().find(|section| parser.lexer.is_keyword(section));
            let Some(section) = section else { return Err(parser.lexer.syntax_error()) };
            parser.lexer.advance();
            if seen.contains(&section) {
                repeated_section.get_or_insert(section);
            }
            seen.push(section);
            actions.push(action(&mut parser, section)?);
            while parser.lexer.take_symbol(",") {
                actions.push(action(&mut parser, section)?);
            }
            if parser.lexer.expect_end().is_ok() {
                return Ok(Text { actions, repeated_section });
            }
        }
    }

    fn check(&self, placeholders: &Placeholders) -> Result<(), Invalid> {
        let parameter = Parameter::Update;
        let sources = || {
            self.actions.iter().flat_map(|(_, what)| match what {
                RawWhat::Set(source) => source.operands(),
                _ => Vec::new(),
            })
        };
        let invalid = |error: String| parameter.invalid(error);
        for (path, what) in &self.actions {
            path.check().map_err(invalid)?;
            if let RawWhat::Set(source) = what {
                tree::check_paths(parameter, source.operands().into_iter())?;
            }
        }
        tree::check_functions(parameter, sources())?;
        if let Some(section) = self.repeated_section {
            return Err(parameter.invalid(format_args!(
                "The \"{section}\" section can only be used once in an update expression;"
            )));
        }
        self.check_defined(placeholders).map_err(invalid)?;
        let targets = self
            .actions
            .iter()
            .map(|(path, _)| path.resolve(placeholders))
            .collect::<Result<Vec<_>, _>>()
            .map_err(invalid)?;
        if let Some(clash) = clash_of(targets.iter()) {
            return Err(parameter.invalid(clash));
        }
        for (_, what) in &self.actions {
            if let RawWhat::Change(section, value) = what {
                check_change(section, placeholders.value(value)).map_err(invalid)?;
            }
        }
        Ok(())
    }

    /// All names come before any value.
    fn check_defined(&self, placeholders: &Placeholders) -> Result<(), String> {
        let (mut name_error, mut value_error) = (None, None);
        let mut value = |name: &String| {
            if placeholders.value(name).is_none() {
                value_error.get_or_insert_with(|| tree::undefined_value(name));
            }
        };
        for (path, what) in &self.actions {
            name_error = name_error.or(path.resolve(placeholders).err());
            match what {
                RawWhat::Remove => {}
                RawWhat::Change(_, name) => value(name),
                RawWhat::Set(source) => {
                    for operand in source.operands() {
                        operand.visit(&mut |operand| match operand {
                            Raw::Path(path) if name_error.is_none() => {
                                name_error = path.resolve(placeholders).err();
                            }
                            Raw::Value(name) => value(name),
                            _ => {}
                        });
                    }
                }
            }
        }
        name_error.or(value_error).map_or(Ok(()), Err)
    }
}

fn action(parser: &mut Parser<'_>, section: &'static str) -> Result<(RawPath, RawWhat), Invalid> {
    let path = parser.path()?;
    let what = match section {
        "SET" => {
            parser.lexer.expect_symbol("=")?;
            RawWhat::Set(source(parser)?)
        }
        "REMOVE" => RawWhat::Remove,
        _ if parser.lexer.peek() == crate::lex::Token::ValueRef => {
            RawWhat::Change(section, parser.lexer.advance().to_owned())
        }
        _ => return Err(parser.lexer.syntax_error()),
    };
    Ok((path, what))
}

/// `operand`, `operand + operand`, or one of these in parentheses.
fn source(parser: &mut Parser<'_>) -> Result<RawSource, Invalid> {
    if parser.lexer.is_symbol("(") && parser.lexer.group_is_followed_by_more() {
        return sum(parser);
    }
    if parser.lexer.take_symbol("(") {
        let inner = sum(parser)?;
        parser.lexer.expect_symbol(")")?;
        return Ok(inner);
    }
    sum(parser)
}

fn sum(parser: &mut Parser<'_>) -> Result<RawSource, Invalid> {
    let first = grouped_operand(parser)?;
    for operator in ["+", "-"] {
        if parser.lexer.take_symbol(operator) {
            return Ok(RawSource::Sum(operator, first, grouped_operand(parser)?));
        }
    }
    Ok(RawSource::Operand(first))
}

/// Here, unlike in conditions, `(a.b).c` is no path.
fn grouped_operand(parser: &mut Parser<'_>) -> Result<Raw, Invalid> {
    if !parser.lexer.take_symbol("(") {
        return parser.bare_operand();
    }
    let operand = parser.bare_operand()?;
    parser.lexer.expect_symbol(")")?;
    Ok(operand)
}

fn check_change(section: &str, value: Option<&Value>) -> Result<(), String> {
    let Some(kind) = value.map(Value::kind) else { return Ok(()) };
    if kind.is_set() || (section == "ADD" && kind == Kind::N) {
        return Ok(());
    }
    Err(format!(
        "Incorrect operand type for operator or function; operator: {section}, operand type: {}",
        kind.word()
    ))
}

fn build(what: &RawWhat, placeholders: &Placeholders) -> Result<What, String> {
    Ok(match what {
        RawWhat::Remove => What::Remove,
        RawWhat::Change(section, name) => {
            let value = placeholders.value(name).ok_or_else(|| tree::undefined_value(name))?;
            if *section == "ADD" { What::Add(value.clone()) } else { What::Delete(value.clone()) }
        }
        RawWhat::Set(RawSource::Operand(operand)) => {
            What::Set(build_source(operand, placeholders)?)
        }
        RawWhat::Set(RawSource::Sum(operator, a, b)) => {
            let a = Box::new(build_source(a, placeholders)?);
            let b = Box::new(build_source(b, placeholders)?);
            for operand in [&a, &b] {
                if let Some(kind) = operand.constant().filter(|kind| *kind != Kind::N) {
                    return Err(tree::wrong_type(operator, kind.code()));
                }
            }
            What::Set(if *operator == "+" { Source::Plus(a, b) } else { Source::Minus(a, b) })
        }
    })
}

fn build_source(operand: &Raw, placeholders: &Placeholders) -> Result<Source, String> {
    let call = match operand {
        Raw::Path(path) => return path.resolve(placeholders).map(Source::Path),
        Raw::Value(name) => {
            let value = placeholders.value(name).ok_or_else(|| tree::undefined_value(name))?;
            return Ok(Source::Value(value.clone()));
        }
        Raw::Call(call) => call,
    };
    let name = call.name.as_str();
    let [a, b] = call.arguments.as_slice() else {
        return Err(tree::wrong_count(name, call.arguments.len()));
    };
    if name == "if_not_exists" {
        let path = match a {
            Raw::Path(path) => path.resolve(placeholders)?,
            other => {
                build_source(other, placeholders)?;
                return Err(tree::needs_path(name));
            }
        };
        return Ok(Source::IfNotExists(path, Box::new(build_source(b, placeholders)?)));
    }
    // list_append takes no list_append (seen by Alternator's suite on AWS).
    if let Some(inner) = [a, b].into_iter().find_map(|raw| match raw {
        Raw::Call(inner) if inner.name == "list_append" => Some(inner),
        _ => None,
    }) {
        return Err(tree::misused(&inner.name));
    }
    let (a, b) = (build_source(a, placeholders)?, build_source(b, placeholders)?);
    for source in [&a, &b] {
        if let Some(kind) = source.constant().filter(|kind| *kind != Kind::L) {
            return Err(tree::wrong_type(name, kind.code()));
        }
    }
    Ok(Source::ListAppend(Box::new(a), Box::new(b)))
}
