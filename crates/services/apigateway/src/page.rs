//! Pages of a listing: `limit` items after `position`.

use sereno_kernel::Result;

use crate::errors::bad_request;

/// Items in a page unless asked otherwise, and at most.
const ITEMS_DEFAULT: usize = 25;
const ITEMS_MAX: i32 = 500;

/// The items of one page and where the next one begins.
pub struct Page<T> {
    pub items: Vec<T>,
    pub position: Option<String>,
}

/// Cuts a page out of a listing that is sorted by `key`; the position is the last key that was seen.
pub fn cut<T>(
    all: Vec<T>,
    key: impl Fn(&T) -> &str,
    position: Option<&str>,
    limit: Option<i32>,
) -> Result<Page<T>> {
    let limit = match limit {
        None => ITEMS_DEFAULT,
        Some(limit) => usize::try_from(limit.clamp(1, ITEMS_MAX)).unwrap_or(ITEMS_DEFAULT),
    };
    let start = match position.map(decode) {
        None => 0,
        Some(None) => return Err(bad_request("Invalid position parameter")),
        Some(Some(after)) => all.iter().position(|item| key(item) == after).map_or(0, |at| at + 1),
    };
    let more = all.len() > start + limit;
    let items: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let position = items.last().filter(|_| more).map(|last| sereno_base::hex(key(last).as_bytes()));
    Ok(Page { items, position })
}

fn decode(position: &str) -> Option<String> {
    sereno_base::unhex(position).and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all: Vec<String> = (0..60).map(|n| format!("k{n:02}")).collect();
        let mut position = None;
        let mut seen = Vec::new();
        loop {
            let page = cut(all.clone(), |k| k, position.as_deref(), None).unwrap();
            seen.extend(page.items);
            position = page.position;
            if position.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        assert!(cut(all, |k| k, Some("zz"), None).is_err());
    }
}
