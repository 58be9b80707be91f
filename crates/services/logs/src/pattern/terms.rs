//! Terms: `ERROR "exact phrase" -excluded`, `?this ?or ?that`.

use super::Invalid;
use super::scan::Scanner;
use regex::Regex;

#[derive(Clone, Debug)]
enum Term {
    Text(String),
    Expression(Regex),
}

#[derive(Clone, Debug, Default)]
pub struct Terms {
    required: Vec<Term>,
    excluded: Vec<Term>,
    /// Looked at only when nothing is required or excluded: AWS ignores them beside others.
    optional: Vec<Term>,
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Term::Text(text) => message.contains(text.as_str()),
            Term::Expression(expression) => expression.is_match(message),
        }
    }
}

impl Terms {
    pub fn parse(text: &str) -> Result<Terms, Invalid> {
        let mut scanner = Scanner::new(text);
        let mut terms = Terms::default();
        while !scanner.is_at_end() {
            let kind = match scanner.peek() {
                Some('-') if scanner.take("-") => &mut terms.excluded,
                Some('?') if scanner.take("?") => &mut terms.optional,
                _ => &mut terms.required,
            };
            let term = match scanner.peek() {
                Some('"') => Term::Text(scanner.quoted()?),
                Some('%') => {
                    scanner.expect("%")?;
                    let expression = scanner.take_while(|c| c != '%');
                    scanner.expect("%")?;
                    Term::Expression(Regex::new(expression).map_err(|_| Invalid)?)
                }
                _ => {
                    let word = scanner.take_while(|c| !c.is_whitespace());
                    if word.is_empty() || word.contains('"') {
                        return Err(Invalid);
                    }
                    Term::Text(word.to_owned())
                }
            };
            kind.push(term);
        }
        Ok(terms)
    }

    pub fn matches(&self, message: &str) -> bool {
        if self.required.is_empty() && self.excluded.is_empty() {
            return self.optional.iter().any(|term| term.is_in(message));
        }
        self.required.iter().all(|term| term.is_in(message))
            && !self.excluded.iter().any(|term| term.is_in(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, message: &str) -> bool {
        Terms::parse(pattern).unwrap().matches(message)
    }

    #[test]
    fn every_term_and_no_excluded_one() {
        let message = "[ERROR 401] UNAUTHORIZED REQUEST";
        assert!(matches("ERROR", message) && matches("ERROR REQUEST", message));
        assert!(!matches("error", message) && !matches("ERROR INFO", message));
        assert!(!matches("ERROR -REQUEST", message) && matches("-INFO", message));
        assert!(matches("\"ERROR 401\"", message) && !matches("\"401 ERROR\"", message));
        assert!(matches("\"say \\\"hi\\\"\"", "I say \"hi\"."));
    }

    #[test]
    fn any_optional_term() {
        assert!(matches("?ERROR ?WARN", "WARN: low") && !matches("?ERROR ?WARN", "INFO"));
        assert!(matches("?ERROR INFO", "INFO"));
    }

    #[test]
    fn expressions() {
        assert!(matches("%ERR[0-9]{3}%", "x ERR404 y") && !matches("%^ERR%", "x ERR"));
    }
}
