//! What may stand at a leaf.

use std::net::IpAddr;

use serde_json::Value;

/// One element of a leaf's list.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher {
    Exact(Scalar),
    Prefix(String),
    Suffix(String),
    /// Lower case, as are the next two.
    EqualsIgnoringCase(String),
    PrefixIgnoringCase(String),
    SuffixIgnoringCase(String),
    Wildcard(Wildcard),
    /// Any value that none of these accepts. A leaf that is not there is no value.
    AnythingBut(Vec<Matcher>),
    Numeric(Vec<Bound>),
    Cidr(Cidr),
    Present,
    Absent,
}

/// A leaf's own value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Equal(f64),
    Less(f64),
    LessOrEqual(f64),
    Greater(f64),
    GreaterOrEqual(f64),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cidr {
    pub address: IpAddr,
    pub bits: u8,
}

/// Texts that must follow each other with anything between: the first at the start, the last at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Wildcard {
    pub pieces: Vec<String>,
}

impl Matcher {
    pub fn accepts(&self, value: &Value) -> bool {
        let text = value.as_str();
        let lower = || text.map(str::to_lowercase);
        match self {
            Matcher::Exact(scalar) => scalar.is(value),
            Matcher::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Matcher::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Matcher::EqualsIgnoringCase(wanted) => lower().is_some_and(|text| text == *wanted),
            Matcher::PrefixIgnoringCase(prefix) => {
                lower().is_some_and(|text| text.starts_with(prefix))
            }
            Matcher::SuffixIgnoringCase(suffix) => {
                lower().is_some_and(|text| text.ends_with(suffix))
            }
            Matcher::Wildcard(wildcard) => text.is_some_and(|text| wildcard.accepts(text)),
            Matcher::AnythingBut(others) => !others.iter().any(|other| other.accepts(value)),
            Matcher::Numeric(bounds) => value
                .as_f64()
                .is_some_and(|number| bounds.iter().all(|bound| bound.accepts(number))),
            Matcher::Cidr(cidr) => {
                text.and_then(|text| text.parse().ok()).is_some_and(|ip| cidr.contains(ip))
            }
            Matcher::Present => true,
            Matcher::Absent => false,
        }
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Scalar::Text(wanted), Value::String(text)) => wanted == text,
            (Scalar::Number(wanted), Value::Number(number)) => number.as_f64() == Some(*wanted),
            (Scalar::Bool(wanted), Value::Bool(flag)) => wanted == flag,
            (Scalar::Null, Value::Null) => true,
            _ => false,
        }
    }
}

impl Bound {
    fn accepts(self, number: f64) -> bool {
        match self {
            Bound::Equal(bound) => number == bound,
            Bound::Less(bound) => number < bound,
            Bound::LessOrEqual(bound) => number <= bound,
            Bound::Greater(bound) => number > bound,
            Bound::GreaterOrEqual(bound) => number >= bound,
        }
    }
}

impl Cidr {
    fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
            IpAddr::V6(ip) => (u128::from(ip), 128),
        };
        let ((own, width), (other, other_width)) = (bits(self.address), bits(ip));
        // Shifting by the whole width is not defined; nothing of the address counts then.
        let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
        width == other_width && own & mask == other & mask
    }
}

impl Wildcard {
    fn accepts(&self, text: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return text.is_empty() };
        let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for piece in middle {
            let Some(at) = left.find(piece.as_str()) else { return false };
            left = &left[at + piece.len()..];
        }
        left.ends_with(last.as_str())
    }
}
