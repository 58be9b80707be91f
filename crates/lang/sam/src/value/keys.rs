//! The order of the keys of a Python 2.7 dictionary.
//!
//! That order is the order of the slots of its hash table, so it depends on the keys' hashes and on
//! the history of insertions, removals and resizes. The rules are those of CPython 2.7's
//! `dictobject.c` and `stringobject.c` on a 64-bit machine: open addressing with perturbation, a
//! table that quadruples at two thirds full, tombstones for what was removed.

use super::Text;

const SLOTS_MIN: usize = 8;
const PERTURB_SHIFT: u32 = 5;
/// Above this many keys a table doubles instead of quadrupling.
const LARGE: usize = 50_000;

#[derive(Clone, Debug)]
enum Slot {
    Empty,
    Removed,
    Key(Text),
}

/// The hash table of the keys alone.
#[derive(Clone, Debug)]
pub struct Keys {
    slots: Vec<Slot>,
    /// Keys that are present.
    used: usize,
    /// Slots that are or once were taken.
    filled: usize,
}

/// The hash of a string in CPython 2.7.
fn hash(text: &str) -> u64 {
    let mut characters = text.chars().peekable();
    let Some(first) = characters.peek() else { return 0 };
    let mut hash = u64::from(u32::from(*first)) << 7;
    let mut length = 0u64;
    for character in characters {
        hash = hash.wrapping_mul(1_000_003) ^ u64::from(u32::from(character));
        length += 1;
    }
    hash ^ length
}

impl Keys {
    pub fn new() -> Keys {
        Keys { slots: vec![Slot::Empty; SLOTS_MIN], used: 0, filled: 0 }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Text> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Key(key) => Some(key),
            _ => None,
        })
    }

    /// Where `key` is, or where it would be put.
    fn find(&self, key: &str) -> usize {
        let mask = self.slots.len() - 1;
        let hash = hash(key);
        let mut index = hash as usize & mask;
        let mut walker = index as u64;
        let mut perturb = hash;
        let mut free = None;
        loop {
            match &self.slots[index] {
                Slot::Empty => return free.unwrap_or(index),
                Slot::Key(present) if present == key => return index,
                Slot::Removed => {
                    free.get_or_insert(index);
                }
                Slot::Key(_) => {}
            }
            walker = (walker << 2).wrapping_add(walker).wrapping_add(perturb).wrapping_add(1);
            index = walker as usize & mask;
            perturb >>= PERTURB_SHIFT;
        }
    }

    pub fn add(&mut self, key: Text) {
        let index = self.find(key.as_str());
        match &self.slots[index] {
            Slot::Key(_) => return,
            Slot::Empty => self.filled += 1,
            Slot::Removed => {}
        }
        self.used += 1;
        self.slots[index] = Slot::Key(key);
        if self.filled * 3 >= self.slots.len() * 2 {
            self.resize(self.used * if self.used > LARGE { 2 } else { 4 });
        }
    }

    pub fn remove(&mut self, key: &str) {
        let index = self.find(key);
        if matches!(self.slots[index], Slot::Key(_)) {
            self.slots[index] = Slot::Removed;
            self.used -= 1;
        }
    }

    /// What `dict.update` does first: makes room for all, then adds them.
    pub fn merge(&mut self, keys: &[Text]) {
        if keys.is_empty() {
            return;
        }
        if (self.filled + keys.len()) * 3 >= self.slots.len() * 2 {
            self.resize((self.used + keys.len()) * 2);
        }
        for key in keys {
            self.add(key.clone());
        }
    }

    fn resize(&mut self, wanted: usize) {
        let mut size = SLOTS_MIN;
        while size <= wanted {
            size <<= 1;
        }
        let old = std::mem::replace(&mut self.slots, vec![Slot::Empty; size]);
        self.used = 0;
        self.filled = 0;
        for slot in old {
            if let Slot::Key(key) = slot {
                self.add(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(keys: &[&str]) -> Vec<String> {
        let mut table = Keys::new();
        for key in keys {
            table.add(Text::plain(key));
        }
        table.iter().map(|key| key.as_str().to_owned()).collect()
    }

    #[test]
    fn hashes_as_python_2_7() {
        assert_eq!(hash(""), 0);
        assert_eq!(hash("a"), 12_416_037_344);
    }

    #[test]
    fn orders_by_slot() {
        assert_eq!(order(&["uri", "type", "httpMethod"]), ["httpMethod", "type", "uri"]);
        assert_eq!(order(&["swagger", "info", "paths"]), ["info", "paths", "swagger"]);
    }

    #[test]
    fn a_removed_slot_is_taken_again() {
        let mut table = Keys::new();
        table.add(Text::plain("a"));
        table.remove("a");
        table.add(Text::plain("a"));
        assert_eq!(table.iter().count(), 1);
    }
}
