//! What a PartiQL statement says, before parameters and meaning.

use super::lex::At;
use crate::path::Path;

#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    Select(Select),
    /// `EXISTS(SELECT ...)`
    Exists(Select),
    Insert {
        table: String,
        value: Term,
    },
    Update {
        table: String,
        changes: Vec<Change>,
        condition: Option<Term>,
        returning: Option<Returning>,
    },
    Delete {
        table: String,
        condition: Option<Term>,
        returning: Option<Returning>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// Nothing is `*`.
    pub columns: Option<Vec<Path>>,
    pub table: String,
    pub index: Option<String>,
    pub condition: Option<Term>,
    pub order: Vec<Order>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub attribute: Path,
    pub descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Set(Path, Term),
    Remove(Path),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returning {
    /// Otherwise only what was modified.
    pub all: bool,
    /// Otherwise the old one.
    pub new: bool,
}

/// Anything that can stand in a condition or be a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    Text(String),
    Number(String),
    Bool(bool),
    Null,
    Missing,
    /// `?`, counted from 0.
    Parameter(usize),
    Path(Path, At),
    List(Vec<Term>),
    Map(Vec<(Term, Term)>),
    /// `<< >>`: a set.
    Bag(Vec<Term>),
    Call(Call),
    Negative(Box<Term>),
    Sum(char, Box<Term>, Box<Term>),
    Compare(&'static str, Box<Term>, Box<Term>),
    Between(Box<Term>, Box<Term>, Box<Term>),
    In(Box<Term>, Box<Term>),
    /// A type's name in capitals.
    Is(Box<Term>, String),
    Not(Box<Term>),
    And(Vec<Term>),
    Or(Vec<Term>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// In small letters.
    pub name: String,
    pub arguments: Vec<Term>,
    pub at: At,
    /// Where the first argument stands.
    pub first_at: At,
}
