//! The text of `Fn::Sub`: literal pieces and `${names}`.

use crate::error::{Result, TemplateError};

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Copied as it is.
    Text(&'a str),
    /// `${!Name}`: stands for `${Name}`.
    Literal(&'a str),
    /// `${Name}`: a variable, parameter, pseudo parameter or resource.
    Name(&'a str),
    /// `${Resource.Attribute}`; the attribute may contain dots.
    Attribute(&'a str, &'a str),
}

/// Splits the text. A `${` that is never closed is plain text.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        pieces.push(piece(&rest[start + 2..start + length])?);
        rest = &rest[start + length + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn piece(inside: &str) -> Result<Piece<'_>> {
    if let Some(literal) = inside.strip_prefix('!') {
        return Ok(Piece::Literal(literal));
    }
    let name = inside.trim();
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
    if name.is_empty() || !name.chars().all(valid) {
        return Err(TemplateError::function(
            "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, \
             periods, and colons",
        ));
    }
    Ok(match name.split_once('.') {
        Some((resource, attribute)) => Piece::Attribute(resource, attribute),
        None => Piece::Name(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        use Piece::{Attribute, Literal, Name, Text};
        let cases: [(&str, &[Piece]); 6] = [
            ("plain", &[Text("plain")]),
            ("a${B}c", &[Text("a"), Name("B"), Text("c")]),
            ("${AWS::Region}", &[Name("AWS::Region")]),
            ("${!Keep}${T.Arn}", &[Literal("Keep"), Attribute("T", "Arn")]),
            ("${N.Outputs.A}", &[Attribute("N", "Outputs.A")]),
            ("$ { } ${open", &[Text("$ { } ${open")]),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text).unwrap(), expected, "{text}");
        }
        assert!(pieces("${a-b}").is_err());
        assert!(pieces("${}").is_err());
    }
}
