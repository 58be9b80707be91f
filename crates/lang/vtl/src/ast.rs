//! What a template is once read: blocks of nodes, and expressions.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) type Block = Vec<Node>;
pub(crate) type Macros = HashMap<String, Arc<Macro>>;

#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    /// Text before a reference is a node of its own; `escape` is what a leading `\` made of it.
    Reference {
        reference: Reference,
        escape: Escape,
    },
    Set {
        target: Reference,
        value: Expr,
    },
    If {
        branches: Vec<(Expr, Block)>,
        otherwise: Block,
    },
    Foreach {
        variable: String,
        items: Expr,
        body: Block,
    },
    /// `#define`: the block is rendered where the reference stands.
    Define {
        name: String,
        body: Arc<Block>,
    },
    /// A word that may be a macro; if none has that name at the end, its source is printed.
    Call {
        name: String,
        arguments: Vec<Argument>,
        body: Option<Arc<Block>>,
        source: String,
    },
    Evaluate(Expr),
    Stop,
    Break(Option<Expr>),
}

/// An argument of a directive: an expression or a bare word.
#[derive(Debug, Clone)]
pub(crate) enum Argument {
    Expr(Arc<Expr>),
    Word(String),
}

#[derive(Debug)]
pub(crate) struct Macro {
    pub parameters: Vec<String>,
    pub body: Block,
}

/// Backslashes before a reference: pairs are printed as one, an odd one prints the source.
#[derive(Debug, Clone)]
pub(crate) struct Escape {
    pub slashes: usize,
    pub source: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub root: Name,
    pub steps: Vec<Step>,
}

/// Names are shared between threads (templates are kept compiled).
pub(crate) type Name = Arc<str>;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Property(Name),
    Method(Name, Vec<Expr>),
    Index(Box<Expr>),
}

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Int(i128),
    Double(f64),
    Bool(bool),
    Text(Name),
    /// A double-quoted string with references or directives in it.
    Interpolated(Arc<Block>),
    Reference(Reference),
    List(Vec<Expr>),
    Range(Box<Expr>, Box<Expr>),
    Map(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A block behind `#define`, as a value.
#[derive(Debug, Clone)]
pub(crate) struct Defined {
    pub body: Arc<Block>,
    pub depth: Rc<std::cell::Cell<usize>>,
}
