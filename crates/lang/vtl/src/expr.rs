//! Reads references and expressions: `$a.b(1)[2] == "x" && !$c`.

use std::sync::Arc;

use crate::ast::{Expr, Operator, Reference, Step};
use crate::lexis::Cursor;
use crate::parse::{self, ParseError};

type Result<T> = std::result::Result<T, ParseError>;

/// Operators by level, loosest first; longer spellings before their prefixes.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or), ("or", Operator::Or)],
    &[("&&", Operator::And), ("and", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("eq", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("ne", Operator::NotEqual),
    ],
    &[
        ("<=", Operator::LessEqual),
        ("le", Operator::LessEqual),
        (">=", Operator::GreaterEqual),
        ("ge", Operator::GreaterEqual),
        ("<", Operator::Less),
        ("lt", Operator::Less),
        (">", Operator::Greater),
        ("gt", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Modulo)],
];

/// A whole expression with the blanks around it.
pub(crate) fn expression(cursor: &mut Cursor) -> Result<Expr> {
    level(cursor, 0)
}

fn level(cursor: &mut Cursor, depth: usize) -> Result<Expr> {
    let Some(operators) = LEVELS.get(depth) else { return unary(cursor) };
    let mut left = level(cursor, depth + 1)?;
    while let Some(operator) = operator(cursor, operators) {
        let right = level(cursor, depth + 1)?;
        left = Expr::Binary(operator, Box::new(left), Box::new(right));
    }
    Ok(left)
}

fn operator(cursor: &mut Cursor, operators: &[(&str, Operator)]) -> Option<Operator> {
    let start = cursor.at;
    for (spelling, operator) in operators {
        if cursor.eat(spelling) {
            let word = spelling.as_bytes()[0].is_ascii_alphabetic();
            let goes_on =
                matches!(cursor.peek(), Some(c) if c.is_ascii_alphanumeric() || c == b'_');
            // `-1` is one word of the language: `$a -1` has no operator.
            let number = *spelling == "-" && matches!(cursor.peek(), Some(c) if c.is_ascii_digit());
            if !(word && goes_on || number) {
                return Some(*operator);
            }
            cursor.at = start;
        }
    }
    None
}

fn unary(cursor: &mut Cursor) -> Result<Expr> {
    cursor.skip_space();
    let start = cursor.at;
    let word = cursor.eat("not")
        && !matches!(cursor.peek(), Some(c) if c.is_ascii_alphanumeric() || c == b'_');
    if !word {
        cursor.at = start;
    }
    if word || (!cursor.rest().starts_with("!=") && cursor.eat("!")) {
        cursor.enter()?;
        let inner = unary(cursor)?;
        cursor.leave();
        return Ok(Expr::Not(Box::new(inner)));
    }
    let value = if cursor.eat("(") {
        cursor.enter()?;
        let inner = expression(cursor)?;
        cursor.leave();
        cursor.expect(")")?;
        inner
    } else {
        operand(cursor)?
    };
    cursor.skip_space();
    Ok(value)
}

/// A literal or a reference: what may be an argument.
pub(crate) fn operand(cursor: &mut Cursor) -> Result<Expr> {
    cursor.skip_space();
    match cursor.peek() {
        Some(b'"' | b'\'') => string(cursor),
        Some(b'[') => bracketed(cursor),
        Some(b'{') => map(cursor),
        Some(b'$') => match reference(cursor)? {
            Some(reference) => Ok(Expr::Reference(reference)),
            None => Err(cursor.error("expected a reference")),
        },
        Some(c) if c.is_ascii_digit() || c == b'-' || c == b'.' => number(cursor),
        _ if cursor.eat("true") => Ok(Expr::Bool(true)),
        _ if cursor.eat("false") => Ok(Expr::Bool(false)),
        _ => Err(cursor.error("expected a value")),
    }
}

fn operand_spaced(cursor: &mut Cursor) -> Result<Expr> {
    cursor.enter()?;
    let value = operand(cursor)?;
    cursor.leave();
    cursor.skip_space();
    Ok(value)
}

fn digits(cursor: &mut Cursor) -> usize {
    let start = cursor.at;
    while matches!(cursor.peek(), Some(c) if c.is_ascii_digit()) {
        cursor.at += 1;
    }
    cursor.at - start
}

fn number(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.at;
    cursor.eat("-");
    let whole = digits(cursor);
    let mut float = false;
    // `1..3` is a range, not the number `1.`
    if cursor.peek() == Some(b'.') && cursor.peek_at(1) != Some(b'.') {
        cursor.at += 1;
        float = true;
        if digits(cursor) + whole == 0 {
            return Err(cursor.error("expected a number"));
        }
    } else if whole == 0 {
        return Err(cursor.error("expected a number"));
    }
    let mantissa = cursor.at;
    if cursor.eat("e") || cursor.eat("E") {
        if !cursor.eat("+") {
            cursor.eat("-");
        }
        if digits(cursor) == 0 {
            cursor.at = mantissa;
        } else {
            float = true;
        }
    }
    let text = &cursor.text[start..cursor.at];
    if !float && let Ok(int) = text.parse::<i128>() {
        return Ok(Expr::Int(int));
    }
    text.parse().map(Expr::Double).map_err(|_| cursor.error("expected a number"))
}

/// `"..."` (references inside are replaced) or `'...'`; a doubled quote is one quote.
fn string(cursor: &mut Cursor) -> Result<Expr> {
    let quote = char::from(cursor.peek().unwrap_or(b'"'));
    let open = cursor.at;
    cursor.at += 1;
    loop {
        let Some(to) = cursor.rest().find(quote) else {
            cursor.at = open;
            return Err(cursor.error("a string is not closed"));
        };
        cursor.at += to + 1;
        let doubled = cursor.rest().starts_with(quote) && cursor.rest()[1..].contains(quote);
        if !doubled {
            break;
        }
        cursor.at += 1;
    }
    let raw = &cursor.text[open + 1..cursor.at - 1];
    let text = if quote == '"' { unescape(raw, cursor)? } else { raw.to_owned() };
    let text = text.replace(&format!("{quote}{quote}"), &quote.to_string());
    if quote == '"' && raw.contains(['$', '#']) {
        return interpolated(&text, cursor);
    }
    Ok(Expr::Text(text.into()))
}

/// Velocity reads a string as a template with one blank added, which keeps `"#end"` and the like
/// from eating a line's end; the blank is taken off again.
fn interpolated(text: &str, cursor: &mut Cursor) -> Result<Expr> {
    cursor.enter()?;
    let block = parse::inner(text, cursor.depth)?;
    cursor.leave();
    Ok(Expr::Interpolated(Arc::new(block)))
}

/// `\uXXXX` is the only escape of a double-quoted string.
fn unescape(raw: &str, cursor: &Cursor) -> Result<String> {
    if !raw.contains("\\u") {
        return Ok(raw.to_owned());
    }
    let mut units: Vec<u16> = Vec::new();
    let mut rest = raw;
    while let Some(at) = rest.find("\\u") {
        units.extend(rest[..at].encode_utf16());
        let unit = rest.get(at + 2..at + 6).and_then(|hex| u16::from_str_radix(hex, 16).ok());
        units.push(unit.ok_or_else(|| cursor.error("\\u needs four hex digits"))?);
        rest = &rest[at + 6..];
    }
    units.extend(rest.encode_utf16());
    Ok(String::from_utf16_lossy(&units))
}

/// `[a, b]` or `[1..$n]`.
fn bracketed(cursor: &mut Cursor) -> Result<Expr> {
    cursor.expect("[")?;
    cursor.skip_space();
    if cursor.eat("]") {
        return Ok(Expr::List(Vec::new()));
    }
    let first = operand_spaced(cursor)?;
    if cursor.eat("..") {
        let last = operand_spaced(cursor)?;
        cursor.expect("]")?;
        return Ok(Expr::Range(Box::new(first), Box::new(last)));
    }
    let mut items = vec![first];
    while cursor.eat(",") {
        items.push(operand_spaced(cursor)?);
    }
    cursor.expect("]")?;
    Ok(Expr::List(items))
}

fn map(cursor: &mut Cursor) -> Result<Expr> {
    cursor.expect("{")?;
    cursor.skip_space();
    let mut entries = Vec::new();
    if cursor.eat("}") {
        return Ok(Expr::Map(entries));
    }
    loop {
        let key = operand_spaced(cursor)?;
        cursor.expect(":")?;
        entries.push((key, operand_spaced(cursor)?));
        if !cursor.eat(",") {
            break;
        }
    }
    cursor.expect("}")?;
    Ok(Expr::Map(entries))
}

/// A reference at the cursor, or `None` (and the cursor where it was) if the `$` is text.
pub(crate) fn reference(cursor: &mut Cursor) -> Result<Option<Reference>> {
    let start = cursor.at;
    if !cursor.eat("$") {
        return Ok(None);
    }
    cursor.eat("!");
    let formal = cursor.eat("{");
    let Some(root) = cursor.identifier() else {
        cursor.at = start;
        return Ok(None);
    };
    cursor.enter()?;
    let mut steps = Vec::new();
    indexes(cursor, &mut steps)?;
    while cursor.peek() == Some(b'.')
        && matches!(cursor.peek_at(1), Some(c) if c.is_ascii_alphabetic())
    {
        cursor.at += 1;
        let name = cursor.identifier().unwrap_or_default();
        if cursor.eat("(") {
            let arguments = arguments(cursor)?;
            steps.push(Step::Method(name.into(), arguments));
        } else {
            steps.push(Step::Property(name.into()));
        }
        indexes(cursor, &mut steps)?;
    }
    cursor.leave();
    if formal {
        cursor.expect("}")?;
    }
    Ok(Some(Reference { root: root.into(), steps }))
}

fn indexes(cursor: &mut Cursor, steps: &mut Vec<Step>) -> Result<()> {
    while cursor.eat("[") {
        let index = operand_spaced(cursor)?;
        cursor.expect("]")?;
        steps.push(Step::Index(Box::new(index)));
    }
    Ok(())
}

fn arguments(cursor: &mut Cursor) -> Result<Vec<Expr>> {
    let mut arguments = Vec::new();
    cursor.skip_space();
    if cursor.eat(")") {
        return Ok(arguments);
    }
    loop {
        arguments.push(operand_spaced(cursor)?);
        if !cursor.eat(",") {
            break;
        }
    }
    cursor.expect(")")?;
    Ok(arguments)
}
