//! PartiQL tokens to a [`Raw`] statement. Sentences recorded: paritysuite, partiqlGrammar.

use super::lex::{At, Token, tokens};
use super::malformed;
use super::tree::{Change, Order, Raw, Returning, Select, Term};
use crate::Invalid;
use crate::path::{Path, Step};

/// Words that are no names unless they are quoted. Operators are in [`OPERATORS`].
const KEYWORDS: [&str; 44] = [
    "all",
    "as",
    "asc",
    "at",
    "by",
    "case",
    "cross",
    "delete",
    "desc",
    "else",
    "end",
    "except",
    "from",
    "full",
    "group",
    "having",
    "inner",
    "insert",
    "intersect",
    "into",
    "join",
    "left",
    "limit",
    "on",
    "order",
    "outer",
    "pivot",
    "remove",
    "returning",
    "right",
    "select",
    "set",
    "then",
    "union",
    "unpivot",
    "update",
    "value",
    "values",
    "when",
    "where",
    "true",
    "false",
    "null",
    "missing",
];
pub(super) const OPERATORS: [&str; 6] = ["and", "or", "in", "between", "is", "like"];

pub struct Parser {
    tokens: Vec<(Token, At)>,
    pub(super) next: usize,
    pub(super) parameters: usize,
    pub(super) depth: usize,
}

pub fn parse(text: &str) -> Result<(Raw, usize), Invalid> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, parameters: 0, depth: 0 };
    let statement = parser.statement()?;
    parser.end()?;
    Ok((statement, parser.parameters))
}

pub(super) fn is_name(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    !KEYWORDS.contains(&word.as_str()) && !OPERATORS.contains(&word.as_str()) && word != "not"
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        // The last token is End, and nothing goes past it.
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn peek_second(&self) -> &Token {
        self.tokens.get(self.next + 1).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn at(&self) -> At {
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .map_or(At { line: 1, column: 1, length: 0 }, |(_, at)| *at)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(have) if have.eq_ignore_ascii_case(word))
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next += 1;
        }
        found
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), Invalid> {
        if self.take_word(word) {
            return Ok(());
        }
        Err(malformed(&format!("Expected keyword {}", word.to_ascii_uppercase())))
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(have) if *have == symbol);
        if found {
            self.next += 1;
        }
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<(), Invalid> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        Err(malformed(&format!("Expected {symbol}")))
    }

    fn end(&mut self) -> Result<(), Invalid> {
        self.take_symbol(";");
        match self.peek() {
            Token::End => Ok(()),
            _ => Err(malformed("Unexpected token after expression")),
        }
    }

    fn statement(&mut self) -> Result<Raw, Invalid> {
        if self.is_word("select") {
            return self.select().map(Raw::Select);
        }
        if self.is_word("exists") && *self.peek_second() == Token::Symbol("(") {
            self.next += 2;
            let select = self.select()?;
            self.expect_symbol(")")?;
            return Ok(Raw::Exists(select));
        }
        if self.take_word("insert") {
            self.expect_word("into")?;
            let table = self.simple_table()?;
            if !self.take_word("value") {
                return Err(malformed("Unexpected token after expression"));
            }
            return Ok(Raw::Insert { table, value: self.term()? });
        }
        if self.take_word("update") {
            let table = self.simple_table()?;
            self.no_alias()?;
            let changes = self.changes()?;
            let condition = self.condition()?;
            return Ok(Raw::Update { table, changes, condition, returning: self.returning()? });
        }
        if self.take_word("delete") {
            self.expect_word("from")?;
            let table = self.simple_table()?;
            self.no_alias()?;
            let condition = self.condition()?;
            return Ok(Raw::Delete { table, condition, returning: self.returning()? });
        }
        if self.take_word("from") {
            let table = self.simple_table()?;
            self.no_alias()?;
            let condition = self.condition()?;
            let changes = self.changes()?;
            return Ok(Raw::Update { table, changes, condition, returning: self.returning()? });
        }
        let term = self.term()?;
        self.end()?;
        let what = if matches!(term, Term::Is(..)) { "IsType" } else { "Expression" };
        Err(Invalid(format!("Unsupported operation: {what}")))
    }

    fn select(&mut self) -> Result<Select, Invalid> {
        self.expect_word("select")?;
        let columns = if self.take_symbol("*") { None } else { Some(self.columns()?) };
        self.expect_word("from")?;
        let table = match self.name() {
            Some(table) => table,
            None => return Err(self.no_term()),
        };
        let index = if self.take_symbol(".") { Some(self.path_name()?) } else { None };
        self.no_alias()?;
        let condition = self.condition()?;
        let mut order = Vec::new();
        if self.take_word("order") {
            self.expect_word("by")?;
            loop {
                let attribute = self.path()?;
                let descending = self.take_word("desc");
                if !descending {
                    self.take_word("asc");
                }
                order.push(Order { attribute, descending });
                if !self.take_symbol(",") {
                    break;
                }
            }
        }
        Ok(Select { columns, table, index, condition, order })
    }

    fn columns(&mut self) -> Result<Vec<Path>, Invalid> {
        let mut columns = Vec::new();
        loop {
            match self.term()? {
                Term::Path(path, _) => columns.push(path),
                Term::Call(call) => {
                    return Err(Invalid(format!("Unexpected path component at {}", call.at)));
                }
                _ => return Err(Invalid::new("Unexpected path component")),
            }
            if self.is_word("as") {
                return Err(aliasing());
            }
            if !self.take_symbol(",") {
                return Ok(columns);
            }
        }
    }

    /// A name that is no keyword.
    fn name(&mut self) -> Option<String> {
        let name = match self.peek() {
            Token::Quoted(name) => name.clone(),
            Token::Word(word) if is_name(word) => word.clone(),
            _ => return None,
        };
        self.next += 1;
        Some(name)
    }

    fn simple_table(&mut self) -> Result<String, Invalid> {
        self.name().ok_or_else(|| malformed("Expected identifier for simple path"))
    }

    fn no_alias(&self) -> Result<(), Invalid> {
        let alias = match self.peek() {
            Token::Quoted(_) => true,
            Token::Word(word) => is_name(word) || word.eq_ignore_ascii_case("as"),
            _ => false,
        };
        if alias { Err(aliasing()) } else { Ok(()) }
    }

    fn condition(&mut self) -> Result<Option<Term>, Invalid> {
        if self.take_word("where") { self.term().map(Some) } else { Ok(None) }
    }

    fn changes(&mut self) -> Result<Vec<Change>, Invalid> {
        let mut changes = Vec::new();
        loop {
            if self.take_word("set") {
                changes.push(self.set()?);
                while self.take_symbol(",") {
                    changes.push(self.set()?);
                }
            } else if self.take_word("remove") {
                changes.push(Change::Remove(self.path()?));
            } else if changes.is_empty() {
                return Err(malformed("Expected data manipulation"));
            } else {
                return Ok(changes);
            }
        }
    }

    fn set(&mut self) -> Result<Change, Invalid> {
        let path = self.path()?;
        self.expect_symbol("=")?;
        Ok(Change::Set(path, self.term()?))
    }

    fn returning(&mut self) -> Result<Option<Returning>, Invalid> {
        if !self.take_word("returning") {
            return Ok(None);
        }
        let all = self.take_word("all");
        if !all {
            self.expect_word("modified")?;
        }
        let new = self.take_word("new");
        if !new {
            self.expect_word("old")?;
        }
        self.expect_symbol("*")?;
        Ok(Some(Returning { all, new }))
    }

    pub(super) fn path(&mut self) -> Result<Path, Invalid> {
        let head = self.name().ok_or_else(|| malformed("Expected identifier for simple path"))?;
        self.path_from(head)
    }

    fn path_name(&mut self) -> Result<String, Invalid> {
        self.name().ok_or_else(|| malformed("Invalid path dot component"))
    }

    fn path_from(&mut self, head: String) -> Result<Path, Invalid> {
        let mut path = Path::top(head);
        loop {
            if self.take_symbol(".") {
                let name = self.path_name()?;
                path.tail.push(Step::Name(name));
            } else if self.take_symbol("[") {
                let step = match self.advance() {
                    Token::Number(digits) => {
                        let index = digits.parse();
                        Step::Index(index.map_err(|_| malformed("Invalid path index"))?)
                    }
                    Token::Text(name) => Step::Name(name),
                    _ => return Err(malformed("Invalid path index")),
                };
                self.expect_symbol("]")?;
                path.tail.push(step);
            } else {
                return Ok(path);
            }
        }
    }
}

fn aliasing() -> Invalid {
    Invalid::new("Aliasing is not supported")
}
