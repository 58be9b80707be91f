//! A document to a tree of elements. No DTDs (and so no entities but the five), no processing
//! instructions; prefixes are dropped, AWS never tells elements apart by namespace.

use crate::shape::ReadError;

/// Deeper documents are refused: the stack is finite.
const DEPTH_MAX: usize = 100;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    /// All text directly inside.
    pub text: String,
}

impl Element {
    pub fn parse(text: &str) -> Result<Element, ReadError> {
        let mut parser = Parser { rest: text.trim_start_matches('\u{feff}') };
        parser.misc()?;
        let root = parser.element(0)?;
        parser.misc()?;
        match parser.rest.is_empty() {
            true => Ok(root),
            false => Err(malformed()),
        }
    }

    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }
}

fn malformed() -> ReadError {
    ReadError::new(
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Everything up to `end`, which is consumed.
    fn until(&mut self, end: &str) -> Result<&'a str, ReadError> {
        let (found, rest) = self.rest.split_once(end).ok_or_else(malformed)?;
        self.rest = rest;
        Ok(found)
    }

    /// What may stand around the root.
    fn misc(&mut self) -> Result<(), ReadError> {
        loop {
            self.space();
            if self.eat("<?") {
                self.until("?>")?;
            } else if self.eat("<!--") {
                self.until("-->")?;
            } else {
                return Ok(());
            }
        }
    }

    fn name(&mut self) -> Result<&'a str, ReadError> {
        let end = self
            .rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/' | '=' | '<' | '"'))
            .ok_or_else(malformed)?;
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
        match local.is_empty() || name.starts_with(['!', '&']) {
            true => Err(malformed()),
            false => Ok(name),
        }
    }

    fn element(&mut self, depth: usize) -> Result<Element, ReadError> {
        if depth > DEPTH_MAX || !self.eat("<") {
            return Err(malformed());
        }
        let full = self.name()?;
        let mut element = Element { name: local(full), ..Element::default() };
        loop {
            self.space();
            if self.eat("/>") {
                return Ok(element);
            }
            if self.eat(">") {
                break;
            }
            self.attribute(&mut element)?;
        }
        self.content(&mut element, depth)?;
        let end = self.name()?;
        self.space();
        match end == full && self.eat(">") {
            true => Ok(element),
            false => Err(malformed()),
        }
    }

    fn attribute(&mut self, element: &mut Element) -> Result<(), ReadError> {
        let name = self.name()?;
        self.space();
        if !self.eat("=") {
            return Err(malformed());
        }
        self.space();
        let quote = if self.eat("\"") {
            "\""
        } else if self.eat("'") {
            "'"
        } else {
            return Err(malformed());
        };
        let mut value = String::new();
        unescape(self.until(quote)?, &mut value)?;
        element.attributes.push((name.to_owned(), value));
        Ok(())
    }

    /// Up to and with the `</` that ends the element.
    fn content(&mut self, element: &mut Element, depth: usize) -> Result<(), ReadError> {
        loop {
            let at = self.rest.find('<').ok_or_else(malformed)?;
            let (text, rest) = self.rest.split_at(at);
            unescape(text, &mut element.text)?;
            self.rest = rest;
            if self.eat("</") {
                return Ok(());
            } else if self.eat("<!--") {
                self.until("-->")?;
            } else if self.eat("<![CDATA[") {
                element.text.push_str(self.until("]]>")?);
            } else if self.eat("<?") {
                self.until("?>")?;
            } else {
                let child = self.element(depth + 1)?;
                element.children.push(child);
            }
        }
    }
}

fn local(name: &str) -> String {
    name.rsplit_once(':').map_or(name, |(_, local)| local).to_owned()
}

fn unescape(text: &str, out: &mut String) -> Result<(), ReadError> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, after) = after.split_once(';').ok_or_else(malformed)?;
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#').ok_or_else(malformed)?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                code.ok().and_then(char::from_u32).ok_or_else(malformed)?
            }
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(())
}
