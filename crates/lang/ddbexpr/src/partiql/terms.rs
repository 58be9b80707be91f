//! The terms of PartiQL statements: conditions and values.
//! OR binds weakest, then AND, NOT, comparisons, sums.

use super::lex::Token;
use super::malformed;
use super::parse::{OPERATORS, Parser, is_name};
use super::tree::{Call, Term};
use crate::Invalid;

/// Deeper ones are no statements of people.
const DEPTH_MAX: usize = 100;

impl Parser {
    /// What is said when a term should begin but does not.
    pub(super) fn no_term(&self) -> Invalid {
        malformed(match self.peek() {
            Token::Word(word) => {
                let word = word.to_ascii_lowercase();
                if OPERATORS.contains(&word.as_str()) {
                    "Unexpected operator"
                } else {
                    "Unexpected keyword"
                }
            }
            _ => "Unexpected term",
        })
    }

    /// The right side of an operator.
    fn right(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Term, Invalid>,
    ) -> Result<Term, Invalid> {
        if matches!(self.peek(), Token::End | Token::Symbol(";")) {
            return Err(malformed("Missing right-hand side expression of infix operator"));
        }
        parse(self)
    }

    pub(super) fn term(&mut self) -> Result<Term, Invalid> {
        let mut all = vec![self.conjunction()?];
        while self.take_word("or") {
            all.push(self.right(Self::conjunction)?);
        }
        Ok(single_or(all, Term::Or))
    }

    fn conjunction(&mut self) -> Result<Term, Invalid> {
        let mut all = vec![self.negation()?];
        while self.take_word("and") {
            all.push(self.right(Self::negation)?);
        }
        Ok(single_or(all, Term::And))
    }

    fn negation(&mut self) -> Result<Term, Invalid> {
        let mut count = 0usize;
        while self.take_word("not") {
            count += 1;
        }
        let term = self.comparison()?;
        Ok(if count % 2 == 1 { Term::Not(Box::new(term)) } else { term })
    }

    fn comparison(&mut self) -> Result<Term, Invalid> {
        const SYMBOLS: [(&str, &str); 7] = [
            ("=", "="),
            ("<>", "<>"),
            ("!=", "<>"),
            ("<=", "<="),
            (">=", ">="),
            ("<", "<"),
            (">", ">"),
        ];
        let left = self.sum()?;
        for (symbol, meaning) in SYMBOLS {
            if self.take_symbol(symbol) {
                let right = self.right(Self::sum)?;
                return Ok(Term::Compare(meaning, Box::new(left), Box::new(right)));
            }
        }
        let negated = self.is_word("not")
            && matches!(self.peek_second(), Token::Word(word)
                if ["in", "between"].iter().any(|known| word.eq_ignore_ascii_case(known)));
        if negated {
            self.next += 1;
        }
        let term = if self.take_word("between") {
            let low = self.right(Self::sum)?;
            self.expect_word("and")?;
            let high = self.right(Self::sum)?;
            Term::Between(Box::new(left), Box::new(low), Box::new(high))
        } else if self.take_word("in") {
            let list = if self.take_symbol("(") {
                Term::List(self.items(")")?)
            } else {
                self.right(Self::sum)?
            };
            Term::In(Box::new(left), Box::new(list))
        } else if self.take_word("is") {
            let negated = self.take_word("not");
            let term = Term::Is(Box::new(left), self.type_name()?);
            return Ok(if negated { Term::Not(Box::new(term)) } else { term });
        } else {
            return Ok(left);
        };
        Ok(if negated { Term::Not(Box::new(term)) } else { term })
    }

    fn type_name(&mut self) -> Result<String, Invalid> {
        const NAMES: [&str; 31] = [
            "NULL",
            "MISSING",
            "BOOL",
            "BOOLEAN",
            "SMALLINT",
            "INT",
            "INT2",
            "INT4",
            "INT8",
            "INTEGER",
            "INTEGER2",
            "INTEGER4",
            "INTEGER8",
            "BIGINT",
            "FLOAT",
            "REAL",
            "DECIMAL",
            "NUMERIC",
            "TIMESTAMP",
            "DATE",
            "TIME",
            "CHAR",
            "VARCHAR",
            "STRING",
            "SYMBOL",
            "CLOB",
            "BLOB",
            "STRUCT",
            "LIST",
            "BAG",
            "ANY",
        ];
        let Token::Word(word) = self.peek() else { return Err(malformed("Expected type name")) };
        let word = word.to_ascii_uppercase();
        for (first, second, meaning) in
            [("DOUBLE", "precision", "FLOAT"), ("CHARACTER", "varying", "STRING")]
        {
            if word == first {
                self.next += 1;
                let whole = self.take_word(second) || first == "CHARACTER";
                return if whole {
                    Ok(meaning.to_owned())
                } else {
                    Err(malformed("Expected type name"))
                };
            }
        }
        if !NAMES.contains(&word.as_str()) && word != "TUPLE" && word != "SEXP" {
            return Err(malformed("Expected type name"));
        }
        self.next += 1;
        Ok(word)
    }

    fn sum(&mut self) -> Result<Term, Invalid> {
        let mut left = self.unary()?;
        loop {
            let sign = if self.take_symbol("+") {
                '+'
            } else if self.take_symbol("-") {
                '-'
            } else {
                return Ok(left);
            };
            let right = self.right(Self::unary)?;
            left = Term::Sum(sign, Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self) -> Result<Term, Invalid> {
        if self.take_symbol("-") {
            return Ok(match self.primary()? {
                Term::Number(text) => Term::Number(format!("-{text}")),
                other => Term::Negative(Box::new(other)),
            });
        }
        self.take_symbol("+");
        self.primary()
    }

    /// Every nesting goes through here.
    fn primary(&mut self) -> Result<Term, Invalid> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(malformed("Expression is nested too deeply"));
        }
        let term = self.shallow();
        self.depth -= 1;
        term
    }

    fn shallow(&mut self) -> Result<Term, Invalid> {
        let at = self.at();
        let word = match self.peek() {
            Token::Word(word) => word.to_ascii_lowercase(),
            _ => return self.literal(),
        };
        let literal = match word.as_str() {
            "true" => Some(Term::Bool(true)),
            "false" => Some(Term::Bool(false)),
            "null" => Some(Term::Null),
            "missing" => Some(Term::Missing),
            _ => None,
        };
        if let Some(literal) = literal {
            self.next += 1;
            return Ok(literal);
        }
        if !is_name(&word) {
            return Err(self.no_term());
        }
        if *self.peek_second() == Token::Symbol("(") {
            self.next += 2;
            let first_at = self.at();
            let arguments = self.items(")")?;
            return Ok(Term::Call(Call { name: word, arguments, at, first_at }));
        }
        Ok(Term::Path(self.path()?, at))
    }

    fn literal(&mut self) -> Result<Term, Invalid> {
        let at = self.at();
        let term = match self.peek().clone() {
            Token::Quoted(_) => return Ok(Term::Path(self.path()?, at)),
            Token::Text(text) => Term::Text(text),
            Token::Number(text) => Term::Number(text),
            Token::Symbol("?") => {
                self.parameters += 1;
                Term::Parameter(self.parameters - 1)
            }
            Token::Symbol("(") => {
                self.next += 1;
                let mut all = vec![self.term()?];
                while self.take_symbol(",") {
                    all.push(self.term()?);
                }
                self.expect_symbol(")")?;
                return Ok(single_or(all, Term::List));
            }
            Token::Symbol("[") => {
                self.next += 1;
                return self.items("]").map(Term::List);
            }
            Token::Symbol("<<") => {
                self.next += 1;
                return self.items(">>").map(Term::Bag);
            }
            Token::Symbol("{") => {
                self.next += 1;
                return self.map();
            }
            _ => return Err(self.no_term()),
        };
        self.next += 1;
        Ok(term)
    }

    /// Terms up to the symbol that ends them.
    fn items(&mut self, end: &str) -> Result<Vec<Term>, Invalid> {
        let mut items = Vec::new();
        if self.take_symbol(end) {
            return Ok(items);
        }
        loop {
            items.push(self.term()?);
            if self.take_symbol(end) {
                return Ok(items);
            }
            self.expect_symbol(",")?;
        }
    }

    fn map(&mut self) -> Result<Term, Invalid> {
        let mut members = Vec::new();
        if self.take_symbol("}") {
            return Ok(Term::Map(members));
        }
        loop {
            let name = self.primary()?;
            self.expect_symbol(":")?;
            members.push((name, self.term()?));
            if self.take_symbol("}") {
                return Ok(Term::Map(members));
            }
            self.expect_symbol(",")?;
        }
    }
}

fn single_or(mut all: Vec<Term>, join: impl FnOnce(Vec<Term>) -> Term) -> Term {
    match (all.len(), all.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            all.extend(last);
            join(all)
        }
    }
}
