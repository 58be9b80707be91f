//! Wildcards and policy variables. `*` matches any run of characters, `?` exactly one; a variable's value
//! is matched literally, so no value of a request can widen a policy.

use crate::context::Context;
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Text(Box<str>),
    /// Any run of characters, also none.
    Star,
    /// One character.
    One,
    Variable {
        key: Box<str>,
        default: Option<Box<str>>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Box<[Token]>,
}

/// Whether letters of either case are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    Ignore,
}

impl Pattern {
    /// With wildcards; variables only where the policy's version has them.
    pub fn wildcard(text: &str, variables: bool) -> Pattern {
        Pattern { tokens: tokens(text, true, variables).into() }
    }

    /// Without wildcards (`StringEquals` and its like); variables as above.
    pub fn plain(text: &str, variables: bool) -> Pattern {
        Pattern { tokens: tokens(text, false, variables).into() }
    }

    pub fn is_any(&self) -> bool {
        !self.tokens.is_empty() && self.tokens.iter().all(|t| *t == Token::Star)
    }

    /// The names of the variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(|t| match t {
            Token::Variable { key, .. } => Some(&**key),
            _ => None,
        })
    }

    fn has_variables(&self) -> bool {
        self.variables().next().is_some()
    }

    /// `None`: a variable has no value, so nothing can be said.
    pub fn matches(&self, text: &str, case: Case, context: &Context) -> Option<bool> {
        if !self.has_variables() {
            return Some(run(&self.tokens, text, case));
        }
        Some(run(&self.resolve(context)?, text, case))
    }

    /// The text with its variables filled in, wildcards left as they are written.
    pub fn text<'a>(&'a self, context: &Context) -> Option<Cow<'a, str>> {
        if let [Token::Text(t)] = &*self.tokens {
            return Some(Cow::Borrowed(t));
        }
        let mut out = String::new();
        for token in self.resolve(context)?.iter() {
            match token {
                Token::Text(t) => out.push_str(t),
                Token::Star => out.push('*'),
                Token::One => out.push('?'),
                Token::Variable { .. } => return None,
            }
        }
        Some(Cow::Owned(out))
    }

    fn resolve(&self, context: &Context) -> Option<Vec<Token>> {
        self.tokens
            .iter()
            .map(|t| match t {
                Token::Variable { key, default } => {
                    // A key with several values cannot fill a variable.
                    match (context.get(key), default) {
                        (Some([one]), _) => Some(Token::Text(one.as_ref().into())),
                        (Some([_, ..]), _) => None,
                        (_, Some(default)) => Some(Token::Text(default.clone())),
                        (_, None) => None,
                    }
                }
                other => Some(other.clone()),
            })
            .collect()
    }
}

/// Linear in memory, at worst the product of both lengths in time: only the last star is retried.
fn run(tokens: &[Token], text: &str, case: Case) -> bool {
    let (mut t, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let advanced = match tokens.get(t) {
            None => (at == text.len()).then_some(at),
            Some(Token::Star) => {
                retry = Some((t + 1, at));
                Some(at)
            }
            Some(Token::One) => text[at..].chars().next().map(|c| at + c.len_utf8()),
            Some(Token::Text(want)) => {
                starts_with(&text[at..], want, case).then(|| at + want.len())
            }
            Some(Token::Variable { .. }) => None,
        };
        match (advanced, &mut retry) {
            (Some(_), _) if t >= tokens.len() => return true,
            (Some(next), _) => {
                at = next;
                t += 1;
            }
            (None, None) => return false,
            (None, Some((after, from))) => {
                let Some(c) = text[*from..].chars().next() else {
                    return false;
                };
                *from += c.len_utf8();
                (t, at) = (*after, *from);
            }
        }
    }
}

fn starts_with(text: &str, want: &str, case: Case) -> bool {
    match case {
        Case::Exact => text.starts_with(want),
        Case::Ignore => text.get(..want.len()).is_some_and(|head| head.eq_ignore_ascii_case(want)),
    }
}

fn tokens(text: &str, wildcards: bool, variables: bool) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if variables
            && c == '$'
            && let Some((variable, after)) = variable(rest)
        {
            match variable {
                Variable::Literal(c) => plain.push(c),
                Variable::Key(key, default) => {
                    flush(&mut plain, &mut out);
                    out.push(Token::Variable { key, default });
                }
            }
            rest = after;
            continue;
        }
        match c {
            '*' if wildcards => {
                flush(&mut plain, &mut out);
                out.push(Token::Star);
            }
            '?' if wildcards => {
                flush(&mut plain, &mut out);
                out.push(Token::One);
            }
            c => plain.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    flush(&mut plain, &mut out);
    out
}

fn flush(plain: &mut String, out: &mut Vec<Token>) {
    if !plain.is_empty() {
        out.push(Token::Text(std::mem::take(plain).into()));
    }
}

enum Variable {
    Literal(char),
    Key(Box<str>, Option<Box<str>>),
}

/// `${key}`, `${key, 'default'}`, `${*}`, `${?}`, `${$}` at the start of a text; what follows it.
/// Anything else that begins with a dollar sign is plain text.
fn variable(text: &str) -> Option<(Variable, &str)> {
    let body = text.strip_prefix("${")?;
    let end = body.find('}')?;
    let (inside, after) = (&body[..end], &body[end + 1..]);
    if let ("*" | "?" | "$", Some(c)) = (inside, inside.chars().next()) {
        return Some((Variable::Literal(c), after));
    }
    let (key, default) = match inside.split_once(',') {
        None => (inside.trim(), None),
        Some((key, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key.trim(), Some(default.into()))
        }
    };
    if key.is_empty() || key.contains(['$', '{', '*', '?']) {
        return None;
    }
    Some((Variable::Key(key.into(), default), after))
}

/// An ARN's pattern: the six parts are matched one by one, so a wildcard in one does not run into the next;
/// the last part takes whatever is left, colons included. Parts that are missing match anything (IAM itself
/// shows `arn:aws:x` as `arn:aws:x:*:*:*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    Any,
    Parts(Box<[Pattern; 6]>),
}

impl ArnPattern {
    pub fn new(text: &str, variables: bool) -> ArnPattern {
        let whole = Pattern::wildcard(text, variables);
        if whole.is_any() {
            return ArnPattern::Any;
        }
        let mut parts: Vec<Vec<Token>> = vec![Vec::new()];
        for token in whole.tokens.iter() {
            let Token::Text(t) = token else {
                push(&mut parts, token.clone());
                continue;
            };
            let mut rest: &str = t;
            while parts.len() < 6
                && let Some((head, tail)) = rest.split_once(':')
            {
                if !head.is_empty() {
                    push(&mut parts, Token::Text(head.into()));
                }
                parts.push(Vec::new());
                rest = tail;
            }
            if !rest.is_empty() {
                push(&mut parts, Token::Text(rest.into()));
            }
        }
        let mut parts = parts.into_iter().map(|tokens| Pattern { tokens: tokens.into() });
        let any = || Pattern { tokens: [Token::Star].into() };
        ArnPattern::Parts(Box::new(std::array::from_fn(|_| parts.next().unwrap_or_else(any))))
    }

    pub fn matches(&self, arn: &str, context: &Context) -> Option<bool> {
        let ArnPattern::Parts(patterns) = self else {
            return Some(true);
        };
        let mut parts = arn.splitn(6, ':');
        for pattern in patterns.iter() {
            let Some(part) = parts.next() else {
                return Some(false);
            };
            if !pattern.matches(part, Case::Exact, context)? {
                return Some(false);
            }
        }
        Some(true)
    }

    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            ArnPattern::Any => [].as_slice(),
            ArnPattern::Parts(p) => p.as_slice(),
        };
        parts.iter().flat_map(Pattern::variables)
    }
}

fn push(parts: &mut [Vec<Token>], token: Token) {
    if let Some(last) = parts.last_mut() {
        last.push(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str, text: &str) -> bool {
        Pattern::wildcard(pattern, true)
            .matches(text, Case::Exact, &Context::default())
            .unwrap_or(false)
    }

    #[test]
    fn wildcards() {
        for (pattern, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything/at:all", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("*ab*ab", "xabyabzab", true),
            ("*aab", "aaab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?c", "aéc", true),
            ("?", "", false),
            ("*?", "x", true),
            ("a**b", "ab", true),
            ("${*}", "*", true),
            ("${*}", "x", false),
            ("${?}${$}", "?$", true),
            ("${unknown}", "x", false),
            ("${unknown, 'dflt'}", "dflt", true),
            ("$x*", "$xyz", true),
        ] {
            assert_eq!(glob(pattern, text), want, "{pattern} ~ {text}");
        }
    }

    #[test]
    fn a_variables_value_is_literal() {
        let mut context = Context::new();
        context.set("aws:username", "a*");
        let p = Pattern::wildcard("home/${aws:username}/*", true);
        assert_eq!(p.matches("home/a*/x", Case::Exact, &context), Some(true));
        assert_eq!(p.matches("home/abc/x", Case::Exact, &context), Some(false));
        context.set_many("aws:many", ["a", "b"]);
        let many = Pattern::wildcard("${aws:many, 'a'}", true);
        assert_eq!(many.matches("a", Case::Exact, &context), None);
        let old = Pattern::wildcard("${aws:username}", false);
        assert_eq!(old.matches("${aws:username}", Case::Exact, &context), Some(true));
    }

    #[test]
    fn arns_match_part_by_part() {
        let c = Context::default();
        for (pattern, arn, want) in [
            ("*", "*", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k:with:colons", true),
            ("arn:aws:s3:::b*", "arn:aws:s3:::bucket", true),
            ("arn:aws:sqs:*:queue", "arn:aws:sqs:eu-west-1:1:queue", false),
            ("arn:aws:sqs", "arn:aws:sqs:eu-west-1:1:queue", true),
            ("arn:aws:lambda:*:1:function:f", "arn:aws:lambda:r:1:function:f", true),
            ("arn:aws:lambda:*:1:function:f", "arn:aws:lambda:r:2:function:f", false),
            ("arn:aws:s3:::*", "*", false),
            ("arn:aws:s3:::B", "arn:aws:s3:::b", false),
        ] {
            let p = ArnPattern::new(pattern, true);
            assert_eq!(p.matches(arn, &c), Some(want), "{pattern} ~ {arn}");
        }
    }

    #[test]
    fn a_variable_in_an_arn_keeps_its_colon() {
        let mut c = Context::new();
        c.set("aws:username", "ann");
        let p = ArnPattern::new("arn:aws:iam::*:user/${aws:username}", true);
        assert_eq!(p.matches("arn:aws:iam::1:user/ann", &c), Some(true));
        assert_eq!(p.matches("arn:aws:iam::1:user/bob", &c), Some(false));
        assert_eq!(p.matches("arn:aws:iam::1:user/ann", &Context::new()), None);
    }
}
