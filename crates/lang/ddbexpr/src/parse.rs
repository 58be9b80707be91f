//! Grammar shared by the languages: paths, operands, function calls; and that of conditions.

use crate::Invalid;
use crate::lex::{Lexer, Token};
use crate::tree::{Call, Operand, RawPath, RawStep};

/// Deeper nesting is either redundant parentheses or more operators than allowed.
const DEPTH_MAX: usize = 160;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// An operand, which is a condition only if it is a function call.
    Operand(Operand),
    Compare(&'static str, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

pub(crate) struct Parser<'a> {
    pub(crate) lexer: Lexer<'a>,
    /// Words that end a path or a value here.
    pub(crate) keywords: &'static [&'static str],
    pub(crate) redundant_parentheses: bool,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(lexer: Lexer<'a>, keywords: &'static [&'static str]) -> Self {
        Self { lexer, keywords, redundant_parentheses: false, depth: 0 }
    }

    fn at_keyword(&self) -> bool {
        self.keywords.iter().any(|keyword| self.lexer.is_keyword(keyword))
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        if self.depth >= DEPTH_MAX {
            return Err(self.lexer.parameter.invalid("The expression has redundant parentheses;"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// A name and whatever `.name` and `[1]` follow.
    pub(crate) fn path(&mut self) -> Result<RawPath, Invalid> {
        let head = self.name()?;
        self.path_tail(RawPath(vec![head]))
    }

    fn name(&mut self) -> Result<RawStep, Invalid> {
        match self.lexer.peek() {
            Token::Word if !self.at_keyword() => Ok(RawStep::Name(self.lexer.advance().into())),
            Token::NameRef => Ok(RawStep::Placeholder(self.lexer.advance().into())),
            _ => Err(self.lexer.syntax_error()),
        }
    }

    fn path_tail(&mut self, mut path: RawPath) -> Result<RawPath, Invalid> {
        loop {
            if self.lexer.take_symbol(".") {
                path.0.push(self.name()?);
            } else if self.lexer.take_symbol("[") {
                if self.lexer.peek() != Token::Digits {
                    return Err(self.lexer.syntax_error());
                }
                path.0.push(RawStep::Index(self.lexer.advance().into()));
                self.lexer.expect_symbol("]")?;
            } else {
                return Ok(path);
            }
        }
    }

    /// A path, `:value` or call, without parentheses around it.
    pub(crate) fn bare_operand(&mut self) -> Result<Operand, Invalid> {
        match self.lexer.peek() {
            Token::ValueRef => Ok(Operand::Value(self.lexer.advance().into())),
            Token::Word if !self.at_keyword() && self.lexer.peek_second() == Token::Symbol("(") => {
                self.deeper(Self::call)
            }
            _ => Ok(Operand::Path(self.path()?)),
        }
    }

    fn call(&mut self) -> Result<Operand, Invalid> {
        let name = self.lexer.advance().to_owned();
        self.lexer.expect_symbol("(")?;
        let arguments = self.operands()?;
        Ok(Operand::Call(Call { name, arguments }))
    }

    /// One or more operands up to the closing parenthesis.
    fn operands(&mut self) -> Result<Vec<Operand>, Invalid> {
        let mut operands = vec![self.operand()?];
        while self.lexer.take_symbol(",") {
            operands.push(self.operand()?);
        }
        self.lexer.expect_symbol(")")?;
        Ok(operands)
    }

    /// An operand, perhaps in parentheses; `(a.b).c` is a path in conditions.
    pub(crate) fn operand(&mut self) -> Result<Operand, Invalid> {
        if !self.lexer.is_symbol("(") {
            return self.bare_operand();
        }
        self.deeper(|parser| {
            parser.lexer.advance();
            let start = parser.lexer.position();
            let inner = parser.operand()?;
            parser.note_redundant(start);
            parser.lexer.expect_symbol(")")?;
            parser.grouped(inner)
        })
    }

    /// What may follow the closing parenthesis of an operand.
    fn grouped(&mut self, operand: Operand) -> Result<Operand, Invalid> {
        match operand {
            Operand::Path(path) => Ok(Operand::Path(self.path_tail(path)?)),
            other => Ok(other),
        }
    }

    /// Called at the end of a group's inside, which began at `start`: if the inside is itself one
    /// group, one pair is too many. `((a).b)` and `((a = b) or (a = c))` are not.
    fn note_redundant(&mut self, start: usize) {
        if self.lexer.is_symbol(")") && self.lexer.is_group(start) {
            self.redundant_parentheses = true;
        }
    }

    pub(crate) fn condition(&mut self) -> Result<Node, Invalid> {
        let node = self.logic()?;
        self.lexer.expect_end()?;
        self.must_be_condition(&node)?;
        Ok(node)
    }

    /// `or` of `and` of `not`: one function, so that nesting costs little stack.
    fn logic(&mut self) -> Result<Node, Invalid> {
        let (mut alternatives, mut conjuncts) = (Vec::new(), Vec::new());
        loop {
            conjuncts.push(self.negated()?);
            let another = if self.lexer.is_keyword("and") {
                true
            } else {
                let ended = !self.lexer.is_keyword("or");
                if ended && alternatives.is_empty() && conjuncts.len() == 1 {
                    // Perhaps only an operand: the caller knows whether that will do.
                    return Ok(single(conjuncts, Node::And));
                }
                !ended
            };
            self.must_be_condition(&conjuncts[conjuncts.len() - 1])?;
            if !self.lexer.is_keyword("and") {
                alternatives.push(single(std::mem::take(&mut conjuncts), Node::And));
            }
            if !another {
                return Ok(single(alternatives, Node::Or));
            }
            self.lexer.advance();
        }
    }

    fn negated(&mut self) -> Result<Node, Invalid> {
        let mut negations = 0;
        while self.lexer.take_keyword("not") {
            negations += 1;
        }
        let mut node = self.comparison()?;
        if negations > 0 {
            self.must_be_condition(&node)?;
        }
        for _ in 0..negations {
            node = Node::Not(Box::new(node));
        }
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Invalid> {
        let node = self.primary()?;
        let Node::Operand(left) = node else { return Ok(node) };
        if let Some(comparator) = self.comparator() {
            return Ok(Node::Compare(comparator, left, self.operand()?));
        }
        if self.lexer.take_keyword("between") {
            let low = self.operand()?;
            if !self.lexer.take_keyword("and") {
                return Err(self.lexer.syntax_error());
            }
            return Ok(Node::Between(left, low, self.operand()?));
        }
        if self.lexer.take_keyword("in") {
            self.lexer.expect_symbol("(")?;
            return Ok(Node::In(left, self.operands()?));
        }
        Ok(Node::Operand(left))
    }

    fn comparator(&mut self) -> Option<&'static str> {
        match self.lexer.peek() {
            Token::Symbol(symbol @ ("=" | "<>" | "<" | "<=" | ">" | ">=")) => {
                self.lexer.advance();
                Some(symbol)
            }
            _ => None,
        }
    }

    /// An operand, or anything in parentheses.
    fn primary(&mut self) -> Result<Node, Invalid> {
        if !self.lexer.is_symbol("(") {
            return Ok(Node::Operand(self.bare_operand()?));
        }
        self.deeper(|parser| {
            parser.lexer.advance();
            let start = parser.lexer.position();
            let node = parser.logic()?;
            parser.note_redundant(start);
            parser.lexer.expect_symbol(")")?;
            match node {
                Node::Operand(operand) => Ok(Node::Operand(parser.grouped(operand)?)),
                node => Ok(node),
            }
        })
    }

    /// A path or a value is no condition: the parser wanted a comparator where it stands now.
    fn must_be_condition(&self, node: &Node) -> Result<(), Invalid> {
        match node {
            Node::Operand(Operand::Path(_) | Operand::Value(_)) => Err(self.lexer.syntax_error()),
            _ => Ok(()),
        }
    }
}

fn single(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            several(nodes)
        }
        None => several(nodes),
    }
}
