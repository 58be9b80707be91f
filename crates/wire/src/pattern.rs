//! Regular expressions of the models: written for Java, run by Rust.
//!
//! Java's `\w`, `\d`, `\s` and POSIX classes are ASCII and its characters UTF-16 units; both are
//! rewritten. What looks around goes to an engine that can, which is slower; it is rare.

use std::sync::OnceLock;

/// An expression, compiled at its first use.
#[derive(Debug)]
pub struct Pattern {
    pub source: &'static str,
    compiled: OnceLock<Engine>,
}

#[derive(Debug)]
enum Engine {
    Plain(regex::Regex),
    LookingAround(fancy_regex::Regex),
    /// Neither takes it; a test lists the models' patterns and finds none.
    Unchecked,
}

impl Pattern {
    pub const fn new(source: &'static str) -> Self {
        Pattern { source, compiled: OnceLock::new() }
    }

    fn engine(&self) -> &Engine {
        self.compiled.get_or_init(|| {
            let source = format!("^(?:{})$", translate(self.source));
            if let Ok(plain) = regex::Regex::new(&source) {
                return Engine::Plain(plain);
            }
            fancy_regex::Regex::new(&source).map_or(Engine::Unchecked, Engine::LookingAround)
        })
    }

    /// Whether the whole text is of this form. An expression that gives up says no.
    pub fn matches(&self, text: &str) -> bool {
        match self.engine() {
            Engine::Plain(regex) => regex.is_match(text),
            Engine::LookingAround(regex) => regex.is_match(text).unwrap_or(false),
            Engine::Unchecked => true,
        }
    }

    pub fn is_checked(&self) -> bool {
        !matches!(self.engine(), Engine::Unchecked)
    }
}

/// From Java's syntax to Rust's.
fn translate(java: &str) -> String {
    // All characters beyond the first 65,536, as two ranges of UTF-16 halves.
    let java = java.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}");
    let mut out = String::with_capacity(java.len() + 16);
    let mut rest = java.as_str();
    let mut in_class = 0usize;
    while let Some(letter) = rest.chars().next() {
        let shorthand = SHORTHANDS.iter().find(|(name, _)| rest.starts_with(name));
        if let Some((name, class)) = shorthand {
            // What is negated stays a class of its own, also inside another.
            if in_class == 0 || class.starts_with('^') {
                out.push_str(&format!("[{class}]"));
            } else {
                out.push_str(class);
            }
            rest = &rest[name.len()..];
            continue;
        }
        let mut len = letter.len_utf8();
        match letter {
            '\\' => len += rest[1..].chars().next().map_or(0, char::len_utf8),
            '[' => in_class += 1,
            ']' => in_class = in_class.saturating_sub(1),
            _ => {}
        }
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

const SHORTHANDS: &[(&str, &str)] = &[
    (r"\w", "_a-zA-Z0-9"),
    (r"\d", "0-9"),
    (r"\s", r" \t\n\x0B\f\r"),
    (r"\W", "^a-zA-Z0-9_"),
    (r"\D", "^0-9"),
    (r"\S", r"^ \t\n\x0B\f\r"),
    (r"\p{Print}", r"\x20-\x7E"),
    (r"\p{Graph}", r"\x21-\x7E"),
    (r"\p{Alnum}", "a-zA-Z0-9"),
    (r"\p{Alpha}", "a-zA-Z"),
    (r"\p{ASCII}", r"\x00-\x7F"),
];

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn java_is_understood() {
        for (pattern, good, bad) in [
            (r"[\w+=,.@-]+", "a_b@c-d", "é"),
            (r"\d{2}", "12", "١٢"),
            (r"\S+", "ab", "a b"),
            (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a😀\n", "\u{1}"),
            (r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", "1a", "12"),
            (r"[0-9A-Za-z\.\-_]*(?<!\.)", "a.b", "a."),
            (r"[\w-_]*", "a-b_c", "a b"),
            (r"\p{Print}+", "a b~", "ä"),
            (r"a|b", "b", "ab"),
            (r"[\s\S]{2}", "é\n", "a"),
        ] {
            let compiled = Pattern::new(pattern);
            assert!(compiled.is_checked(), "{pattern}");
            assert!(compiled.matches(good), "{pattern} must take {good}");
            assert!(!compiled.matches(bad), "{pattern} must not take {bad}");
        }
    }
}
