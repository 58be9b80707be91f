//! Tokens: where a listing goes on. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sereno_kernel::Result;

use crate::errors;
use crate::state::Place;

/// Which way a token of GetLogEvents leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// Digits of an event's number: AWS's have as many.
const DIGITS: usize = 56;
/// The largest index that a number has room for.
const INDEX_MAX: u32 = 99_999;

/// An event's number in its group, AWS's `eventId`: in order of time.
pub fn event_id(place: Place, stream: u64) -> String {
    let Place { time_ms, upload, index } = place;
    format!("3{time_ms:015}{upload:015}{index:05}{stream:020}")
}

pub fn parse_event_id(id: &str) -> Option<(Place, u64)> {
    let digits = id.strip_prefix('3').filter(|_| id.len() == DIGITS && id.is_ascii())?;
    let place = Place {
        time_ms: digits.get(..15)?.parse().ok()?,
        upload: digits.get(15..30)?.parse().ok()?,
        index: digits.get(30..35)?.parse().ok()?,
    };
    Some((place, digits.get(35..)?.parse().ok()?))
}

/// The place right behind: what lies before it includes `place`.
pub fn behind(place: Place) -> Place {
    Place { index: place.index + 1, ..place }
}

/// The place right before: what lies behind it includes `place`.
pub fn before(place: Place) -> Place {
    let Place { time_ms, upload, index } = place;
    match (index.checked_sub(1), upload.checked_sub(1)) {
        (Some(index), _) => Place { index, ..place },
        (None, Some(upload)) => Place { time_ms, upload, index: INDEX_MAX },
        (None, None) => Place { time_ms: (time_ms - 1).max(0), upload: 0, index: INDEX_MAX },
    }
}

/// A token of GetLogEvents: `f/...` leads to what is behind the place, `b/...` to what is before.
pub fn events(direction: Direction, place: Place) -> String {
    let letter = match direction {
        Direction::Forward => 'f',
        Direction::Backward => 'b',
    };
    format!("{letter}/{}/s", event_id(place, 0))
}

pub fn parse_events(token: &str) -> Result<(Direction, Place)> {
    let parsed = token.split_once('/').and_then(|(letter, rest)| {
        let direction = match letter {
            "f" => Direction::Forward,
            "b" => Direction::Backward,
            _ => return None,
        };
        let (place, _) = parse_event_id(rest.strip_suffix("/s").unwrap_or(rest))?;
        Some((direction, place))
    });
    parsed.ok_or_else(errors::bad_token)
}

/// A token that holds texts; `kind` tells the operations apart.
pub fn texts(kind: char, texts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind}1\0{}", texts.join("\0")))
}

pub fn parse_texts<const N: usize>(kind: char, token: &str) -> Result<[String; N]> {
    let decoded =
        URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = decoded.as_deref().and_then(|text| {
        let text = text.strip_prefix(kind)?.strip_prefix("1\0")?;
        let parts: Vec<String> = text.split('\0').map(str::to_owned).collect();
        <[String; N]>::try_from(parts).ok()
    });
    parts.ok_or_else(errors::bad_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_back() {
        let place = Place { time_ms: 1_480_586_400_000, upload: 7, index: 3 };
        assert_eq!(parse_event_id(&event_id(place, u64::MAX)), Some((place, u64::MAX)));
        assert_eq!(before(behind(place)), place);
        let token = events(Direction::Backward, place);
        assert_eq!(token.len(), DIGITS + 4);
        assert_eq!(parse_events(&token).unwrap(), (Direction::Backward, place));
        assert!(parse_events("invalid-token").is_err() && parse_events("f/3é").is_err());
        let token = texts('g', &["a", "b"]);
        assert_eq!(parse_texts::<2>('g', &token).unwrap(), ["a", "b"]);
        assert!(parse_texts::<2>('s', &token).is_err() && parse_texts::<1>('g', &token).is_err());
    }
}
