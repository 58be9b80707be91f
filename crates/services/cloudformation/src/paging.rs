//! Pages: a token is the hexadecimal form of the last key that the caller has seen.

use sereno_base::{hex, unhex};
use sereno_kernel::Result;

use crate::errors;

/// Reads a token; None at the beginning.
pub fn read(token: Option<&str>) -> Result<Option<String>> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let bytes = unhex(token).and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.map(Some).ok_or_else(|| errors::validation("Invalid NextToken"))
}

/// Cuts a list that was read one item too far; the token for the rest, if there is more.
pub fn cut<T>(items: &mut Vec<T>, page: usize, key: impl Fn(&T) -> String) -> Option<String> {
    if items.len() <= page {
        return None;
    }
    items.truncate(page);
    items.last().map(|last| hex(key(last).as_bytes()))
}
