//! Reads a template's text: directives, references, comments, escapes.
//!
//! The rules of white space follow the token rules of Velocity 1.7: text runs up to the next `$`,
//! `#` or `\`; `#set` eats the blanks before it only where a token starts with them; `)`, `#end` and
//! `#else` eat blanks and one line's end after them; `##` eats its line's end.

use std::fmt;
use std::sync::Arc;

use crate::Template;
use crate::ast::{Argument, Block, Escape, Expr, Macro, Macros, Node, Reference, Step};
use crate::expr;
use crate::lexis::Cursor;

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.message, self.line, self.column)
    }
}

impl std::error::Error for ParseError {}

type Result<T> = std::result::Result<T, ParseError>;

/// Directives of the language; a backslash before them escapes, other words are left alone.
const DIRECTIVES: [&str; 14] = [
    "if", "elseif", "else", "end", "set", "foreach", "define", "macro", "stop", "break",
    "evaluate", "literal", "include", "parse",
];

/// What ended a block.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Eof,
    End,
    Else,
    ElseIf,
}

pub(crate) fn template(source: &str) -> Result<Template> {
    let mut reader = Reader { cursor: Cursor::new(source, 0), macros: Macros::new(), inner: false };
    let root = reader.whole()?;
    Ok(Template { root, macros: reader.macros })
}

/// A template inside a double-quoted string; its macros are known in the string only.
pub(crate) fn inner(source: &str, depth: usize) -> Result<Block> {
    Reader { cursor: Cursor::new(source, depth), macros: Macros::new(), inner: true }.whole()
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    macros: Macros,
    /// Inside a string, where Velocity adds a blank so that nothing stands at the end.
    inner: bool,
}

impl Reader<'_> {
    fn whole(&mut self) -> Result<Block> {
        match self.block()? {
            (block, Ended::Eof) => Ok(block),
            _ => Err(self.cursor.error("#end, #else or #elseif without its directive")),
        }
    }

    fn block(&mut self) -> Result<(Block, Ended)> {
        self.cursor.enter()?;
        let mut block = Block::new();
        loop {
            if self.set(&mut block)? {
                continue;
            }
            let ended = match self.cursor.peek() {
                None => Some(Ended::Eof),
                Some(b'\\') => self.backslashes(&mut block)?,
                Some(b'$') => {
                    self.dollar(&mut block, 0, self.cursor.at)?;
                    None
                }
                Some(b'#') => self.hash(&mut block)?,
                Some(_) => {
                    let rest = self.cursor.rest();
                    let run = rest.find(['$', '#', '\\']).unwrap_or(rest.len());
                    push_text(&mut block, &rest[..run]);
                    self.cursor.at += run;
                    None
                }
            };
            if let Some(ended) = ended {
                self.cursor.leave();
                return Ok((block, ended));
            }
        }
    }

    /// A block that must end with `#end`.
    fn block_to_end(&mut self) -> Result<Block> {
        match self.block()? {
            (block, Ended::End) => Ok(block),
            _ => Err(self.cursor.error("expected #end")),
        }
    }

    /// `[ \t]*#set *(`: the blanks before it belong to it.
    fn set(&mut self, block: &mut Block) -> Result<bool> {
        let start = self.cursor.at;
        while matches!(self.cursor.peek(), Some(b' ' | b'\t')) {
            self.cursor.at += 1;
        }
        if self.cursor.eat("#set") || self.cursor.eat("#{set}") {
            while self.cursor.eat(" ") {}
            if self.cursor.eat("(") {
                self.cursor.skip_space();
                let Some(target) = self.reference_here()? else {
                    return Err(self.cursor.error("#set needs a reference"));
                };
                self.cursor.skip_space();
                self.cursor.expect("=")?;
                let value = expr::expression(&mut self.cursor)?;
                self.cursor.expect(")")?;
                self.cursor.skip_line_end();
                block.push(Node::Set { target, value });
                return Ok(true);
            }
        }
        self.cursor.at = start;
        Ok(false)
    }

    /// A run of backslashes: they escape a reference or a directive after them, else are text.
    fn backslashes(&mut self, block: &mut Block) -> Result<Option<Ended>> {
        let start = self.cursor.at;
        while self.cursor.eat("\\") {}
        let slashes = self.cursor.at - start;
        match self.cursor.peek() {
            Some(b'$') => {
                self.dollar(block, slashes, start)?;
                Ok(None)
            }
            Some(b'#') => {
                let hash = self.cursor.at;
                self.cursor.at += 1;
                let name = self.cursor.directive_name().unwrap_or_default();
                let known = DIRECTIVES.contains(&name) || self.macros.contains_key(name);
                if name.is_empty() || !known {
                    if slashes % 2 == 1 && !name.is_empty() {
                        push_text(block, &self.cursor.text[start..self.cursor.at]);
                    } else {
                        self.cursor.at = hash;
                        push_text(block, &self.cursor.text[start..hash]);
                    }
                    return Ok(None);
                }
                if name == "set" && slashes.is_multiple_of(2) {
                    self.cursor.at = hash;
                    push_text(block, &self.cursor.text[start..hash]);
                    return Ok(None);
                }
                push_text(block, &"\\".repeat(slashes / 2));
                if slashes % 2 == 1 {
                    push_text(block, &self.cursor.text[hash..self.cursor.at]);
                    return Ok(None);
                }
                self.cursor.at = hash;
                self.hash(block)
            }
            _ => {
                push_text(block, &self.cursor.text[start..self.cursor.at]);
                Ok(None)
            }
        }
    }

    /// At `$`: a reference, or a dollar sign that is text.
    fn dollar(&mut self, block: &mut Block, slashes: usize, start: usize) -> Result<()> {
        let at = self.cursor.at;
        if let Some(reference) = self.reference_here()? {
            // After a property `##` is not a word of the language, so it starts no comment.
            let comment_is_text = matches!(reference.steps.last(), Some(Step::Property(_)))
                && !self.cursor.text[..self.cursor.at].ends_with('}')
                && self.cursor.rest().starts_with("##");
            let source =
                (slashes % 2 == 1).then(|| self.cursor.text[at..self.cursor.at].to_owned());
            block.push(Node::Reference {
                reference,
                escape: Escape { slashes: slashes / 2, source },
            });
            if comment_is_text {
                self.cursor.at += 2;
                push_text(block, "##");
            }
            return Ok(());
        }
        // A lone `$` is text, but not at the very end; its `!` is lost, and before a `#` all of it
        // (Velocity keeps it as a special token, which only text prints).
        let slashes = &self.cursor.text[start..at];
        self.cursor.at = at + 1;
        let bang = self.cursor.eat("!");
        match self.cursor.peek() {
            None if !self.inner => return Err(self.cursor.error("unexpected end after '$'")),
            Some(b'#') if slashes.is_empty() => {}
            Some(b'{') if self.cursor.peek_at(1) == Some(b'$') => {
                return Err(self.cursor.error("expected a name after '${'"));
            }
            Some(b'{' | b'[') if bang => push_text(block, &format!("{slashes}$!")),
            _ => push_text(block, &format!("{slashes}$")),
        }
        Ok(())
    }

    /// `$name`, `$!name`, `${name}`, `$!{name}` with what follows; the cursor stays if there is none.
    fn reference_here(&mut self) -> Result<Option<Reference>> {
        expr::reference(&mut self.cursor)
    }

    /// At `#`: a comment, a raw block, a directive, or a hash that is text.
    fn hash(&mut self, block: &mut Block) -> Result<Option<Ended>> {
        let start = self.cursor.at;
        if self.cursor.eat("##") {
            let rest = self.cursor.rest();
            self.cursor.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            if !self.cursor.eat("\r\n") && !self.cursor.eat("\n") {
                self.cursor.eat("\r");
            }
            return Ok(None);
        }
        if self.cursor.eat("#[[") {
            let inside = self.up_to("]]#", "a raw block is not closed")?;
            push_text(block, inside);
            return Ok(None);
        }
        if self.cursor.eat("#*") {
            self.up_to("*#", "a comment is not closed")?;
            return Ok(None);
        }
        self.cursor.at += 1;
        if self.cursor.rest().is_empty() && !self.inner {
            return Err(self.cursor.error("unexpected end after '#'"));
        }
        let Some(name) = self.cursor.directive_name() else {
            push_text(block, "#");
            return Ok(None);
        };
        match name {
            "end" => {
                self.cursor.skip_line_end();
                return Ok(Some(Ended::End));
            }
            "else" => {
                self.cursor.skip_line_end();
                return Ok(Some(Ended::Else));
            }
            "elseif" => return Ok(Some(Ended::ElseIf)),
            "if" => {
                let node = self.conditional()?;
                block.push(node);
            }
            "set" => return Err(self.cursor.error("#set needs '('")),
            _ => {
                if let Some(node) = self.directive(name.to_owned(), start)? {
                    block.push(node);
                }
            }
        }
        Ok(None)
    }

    fn up_to(&mut self, end: &str, otherwise: &str) -> Result<&str> {
        let rest = self.cursor.rest();
        let Some(length) = rest.find(end) else { return Err(self.cursor.error(otherwise)) };
        self.cursor.at += length + end.len();
        Ok(&rest[..length])
    }

    fn condition(&mut self) -> Result<Expr> {
        self.cursor.skip_space();
        self.cursor.expect("(")?;
        let condition = expr::expression(&mut self.cursor)?;
        self.cursor.expect(")")?;
        self.cursor.skip_line_end();
        Ok(condition)
    }

    fn conditional(&mut self) -> Result<Node> {
        let mut branches = Vec::new();
        let mut condition = self.condition()?;
        loop {
            let (body, ended) = self.block()?;
            branches.push((condition, body));
            match ended {
                Ended::ElseIf => condition = self.condition()?,
                Ended::End => return Ok(Node::If { branches, otherwise: Block::new() }),
                Ended::Else => {
                    let otherwise = self.block_to_end()?;
                    return Ok(Node::If { branches, otherwise });
                }
                Ended::Eof => return Err(self.cursor.error("#if without #end")),
            }
        }
    }

    /// Any other directive; `name` was read, `start` is its hash.
    fn directive(&mut self, name: String, start: usize) -> Result<Option<Node>> {
        let arguments = self.arguments()?;
        let line = self.cursor.error("");
        let misused = |why: &str| ParseError { message: format!("#{name}: {why}"), ..line.clone() };
        match (name.as_str(), arguments) {
            ("foreach", Some(given)) => {
                let body = self.block_to_end()?;
                self.foreach(given, body, &misused).map(Some)
            }
            ("define", Some(given)) => {
                let body = Arc::new(self.block_to_end()?);
                match given.as_slice() {
                    [Argument::Expr(key)] => match &**key {
                        Expr::Reference(key) => {
                            Ok(Some(Node::Define { name: key.root.to_string(), body }))
                        }
                        _ => Err(misused("needs a reference")),
                    },
                    _ => Err(misused("needs one reference")),
                }
            }
            ("macro", Some(given)) => {
                let body = self.block_to_end()?;
                self.define_macro(given, body, &misused)?;
                Ok(None)
            }
            ("stop", _) => Ok(Some(Node::Stop)),
            ("break", given) => match given.as_deref() {
                None | Some([]) => Ok(Some(Node::Break(None))),
                Some([Argument::Expr(scope)]) => Ok(Some(Node::Break(Some(Expr::clone(scope))))),
                Some(_) => Err(misused("takes one scope")),
            },
            ("evaluate", Some(given)) => match given.as_slice() {
                [Argument::Expr(source)] => Ok(Some(Node::Evaluate(Expr::clone(source)))),
                _ => Err(misused("needs one argument")),
            },
            ("literal", Some(_)) => {
                let from = self.cursor.at;
                self.block_to_end()?;
                let source = &self.cursor.text[from..self.cursor.at];
                let length = source.rfind("#end").or_else(|| source.rfind("#{end}"));
                Ok(Some(Node::Text(source[..length.unwrap_or(source.len())].to_owned())))
            }
            ("include" | "parse", _) => Err(misused("there are no other templates to read")),
            ("foreach" | "define" | "macro" | "evaluate" | "literal", None) => {
                Err(misused("needs arguments"))
            }
            (_, given) => {
                let source = self.cursor.text[start..self.cursor.at].to_owned();
                let block_call = name.starts_with('@') && given.is_some();
                let body = if block_call { Some(Arc::new(self.block_to_end()?)) } else { None };
                let name = name.trim_start_matches('@').to_owned();
                Ok(Some(Node::Call { name, arguments: given.unwrap_or_default(), body, source }))
            }
        }
    }

    fn foreach(
        &self,
        given: Vec<Argument>,
        body: Block,
        misused: &dyn Fn(&str) -> ParseError,
    ) -> Result<Node> {
        let [Argument::Expr(variable), Argument::Word(word), Argument::Expr(items)] = &given[..]
        else {
            return Err(misused("needs ($item in $items)"));
        };
        let Expr::Reference(Reference { root, .. }) = &**variable else {
            return Err(misused("needs a reference for its item"));
        };
        if word != "in" {
            return Err(misused("needs ($item in $items)"));
        }
        let variable = root.to_string();
        Ok(Node::Foreach { variable, items: Expr::clone(items), body })
    }

    fn define_macro(
        &mut self,
        given: Vec<Argument>,
        body: Block,
        misused: &dyn Fn(&str) -> ParseError,
    ) -> Result<()> {
        let mut given = given.into_iter();
        let Some(Argument::Word(name)) = given.next() else {
            return Err(misused("needs a name"));
        };
        let parameters = given
            .map(|parameter| match parameter {
                Argument::Expr(expr) => match &*expr {
                    Expr::Reference(Reference { root, .. }) => Ok(root.to_string()),
                    _ => Err(misused("takes references as parameters")),
                },
                Argument::Word(_) => Err(misused("takes references as parameters")),
            })
            .collect::<Result<Vec<_>>>()?;
        // The first definition stands (velocimacro.permissions.allow.inline.to.replace.global).
        self.macros.entry(name).or_insert_with(|| Arc::new(Macro { parameters, body }));
        Ok(())
    }

    /// `( argument ... )` after a directive's name, separated by blanks or commas; `None` without.
    fn arguments(&mut self) -> Result<Option<Vec<Argument>>> {
        let start = self.cursor.at;
        self.cursor.skip_space();
        if !self.cursor.eat("(") {
            self.cursor.at = start;
            return Ok(None);
        }
        let mut arguments = Vec::new();
        loop {
            self.cursor.skip_space();
            if self.cursor.eat(",") {
                self.cursor.skip_space();
            }
            if self.cursor.eat(")") {
                self.cursor.skip_line_end();
                return Ok(Some(arguments));
            }
            arguments.push(self.argument()?);
        }
    }

    fn argument(&mut self) -> Result<Argument> {
        let start = self.cursor.at;
        match self.cursor.word() {
            Some("true") => Ok(Argument::Expr(Arc::new(Expr::Bool(true)))),
            Some("false") => Ok(Argument::Expr(Arc::new(Expr::Bool(false)))),
            Some(word) => Ok(Argument::Word(word.to_owned())),
            None => {
                self.cursor.at = start;
                Ok(Argument::Expr(Arc::new(expr::operand(&mut self.cursor)?)))
            }
        }
    }
}

fn push_text(block: &mut Block, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(Node::Text(last)) = block.last_mut() {
        last.push_str(text);
    } else {
        block.push(Node::Text(text.to_owned()));
    }
}

/// A reference's last step, for `#set`.
pub(crate) fn split_last(reference: &Reference) -> Option<(&[Step], &Step)> {
    reference.steps.split_last().map(|(last, before)| (before, last))
}
