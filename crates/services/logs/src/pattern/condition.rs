//! Comparing a value of a log event with what a pattern says.

use super::Invalid;
use super::scan::Scanner;
use regex::Regex;

/// AWS refuses longer regular expressions only by the length of the pattern; this bounds their work.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub fn parse(scanner: &mut Scanner<'_>) -> Result<Comparison, Invalid> {
        for (token, comparison) in [
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ] {
            if scanner.take(token) {
                return Ok(comparison);
            }
        }
        Err(Invalid)
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }
}

/// What a value is compared with.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A text with `*` for anything; a word that is a number compares as one too.
    Text {
        pieces: Vec<String>,
        number: Option<f64>,
    },
    Expression(Regex),
}

impl Operand {
    pub fn text(text: &str) -> Operand {
        Operand::Text { pieces: text.split('*').map(str::to_owned).collect(), number: None }
    }

    pub fn word(word: &str) -> Operand {
        let pieces = word.split('*').map(str::to_owned).collect();
        Operand::Text { pieces, number: number(word) }
    }

    pub fn expression(expression: &str) -> Result<Operand, Invalid> {
        regex::RegexBuilder::new(expression)
            .size_limit(EXPRESSION_BYTES_MAX)
            .build()
            .map(Operand::Expression)
            .map_err(|_| Invalid)
    }

    /// Whether `value` compares so with this.
    pub fn compares(&self, comparison: Comparison, value: &str) -> bool {
        match (comparison, self) {
            (_, Operand::Text { number: Some(right), .. }) if number(value).is_some() => {
                number(value).is_some_and(|left| comparison.holds(left, *right))
            }
            (Comparison::Equal, operand) => operand.is(value),
            (Comparison::NotEqual, operand) => !operand.is(value),
            _ => false,
        }
    }

    fn is(&self, value: &str) -> bool {
        match self {
            Operand::Text { pieces, .. } => matches_pieces(pieces, value),
            Operand::Expression(expression) => expression.is_match(value),
        }
    }
}

pub fn number(text: &str) -> Option<f64> {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if numeric { text.parse().ok() } else { None }
}

/// Whether `value` is the pieces with anything between them.
fn matches_pieces(pieces: &[String], value: &str) -> bool {
    let [first, middle @ .., last] = pieces else {
        return pieces.first().is_some_and(|only| only == value);
    };
    let Some(mut rest) = value.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let is = |pattern: &str, value: &str| Operand::word(pattern).is(value);
        assert!(is("4*", "404") && !is("4*", "504"));
        assert!(is("*.html*", "GET /a.html HTTP") && is("*", "") && is("a*b*c", "a1b2bc"));
        assert!(!is("a*b*c", "acb") && !is("ab*b", "ab"));
    }

    #[test]
    fn numbers() {
        let word = Operand::word("1e3");
        assert!(word.compares(Comparison::Equal, "1000"));
        assert!(word.compares(Comparison::Less, "999.9"));
        assert!(!word.compares(Comparison::Less, "few"));
        assert!(word.compares(Comparison::NotEqual, "few"));
        assert!(Operand::text("1000").compares(Comparison::NotEqual, "1e3"));
    }
}
