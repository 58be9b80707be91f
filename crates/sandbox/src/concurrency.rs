//! How many invocations run: per function, and together for functions without a reservation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sereno_base::{AccountId, Region};
use sereno_kernel::sandbox::{ConcurrencyLimits, FunctionId};

use crate::helper::lock;

type Key = (AccountId, Region, String);

#[derive(Default)]
pub struct Concurrency {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    functions: HashMap<Key, u32>,
    unreserved: HashMap<(AccountId, Region), u32>,
}

/// A running invocation; counted until dropped.
pub struct Permit {
    concurrency: Arc<Concurrency>,
    key: Key,
    reserved: bool,
}

/// Which limit was met.
#[derive(Debug, PartialEq)]
pub struct Full {
    pub reserved: bool,
}

impl Concurrency {
    pub fn enter(
        self: &Arc<Self>,
        function: &FunctionId,
        limits: ConcurrencyLimits,
    ) -> Result<Permit, Full> {
        let key = (function.account, function.region, function.name.clone());
        let reserved = limits.function.is_some();
        let mut counts = lock(&self.counts);
        let running = counts.functions.get(&key).copied().unwrap_or(0);
        if limits.function.is_some_and(|limit| running >= limit) {
            return Err(Full { reserved: true });
        }
        if !reserved {
            let account = counts.unreserved.entry((key.0, key.1)).or_default();
            if limits.account_unreserved.is_some_and(|limit| *account >= limit) {
                return Err(Full { reserved: false });
            }
            *account += 1;
        }
        *counts.functions.entry(key.clone()).or_default() += 1;
        drop(counts);
        Ok(Permit { concurrency: Arc::clone(self), key, reserved })
    }

    pub fn running(&self, account: AccountId, region: Region, name: &str) -> u32 {
        let key = (account, region, name.to_owned());
        lock(&self.counts).functions.get(&key).copied().unwrap_or(0)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = lock(&self.concurrency.counts);
        let counts = &mut *counts;
        if let Some(count) = counts.functions.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.functions.remove(&self.key);
            }
        }
        if !self.reserved
            && let Some(count) = counts.unreserved.get_mut(&(self.key.0, self.key.1))
        {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> FunctionId {
        FunctionId {
            account: AccountId::DEFAULT,
            region: Region::US_EAST_1,
            name: name.to_owned(),
            version: "$LATEST".to_owned(),
            revision: "r".to_owned(),
        }
    }

    #[test]
    fn reservations_and_the_rest_are_counted_apart() {
        let counter = Arc::new(Concurrency::default());
        let reserved = ConcurrencyLimits { function: Some(1), account_unreserved: Some(1) };
        let free = ConcurrencyLimits { function: None, account_unreserved: Some(1) };
        let first = counter.enter(&function("a"), reserved).ok().unwrap();
        assert_eq!(counter.enter(&function("a"), reserved).err(), Some(Full { reserved: true }));
        let other = counter.enter(&function("b"), free).ok().unwrap();
        assert_eq!(counter.enter(&function("c"), free).err(), Some(Full { reserved: false }));
        drop(other);
        assert!(counter.enter(&function("c"), free).is_ok());
        drop(first);
        assert_eq!(counter.running(AccountId::DEFAULT, Region::US_EAST_1, "a"), 0);
        let none = ConcurrencyLimits { function: Some(0), account_unreserved: None };
        assert!(counter.enter(&function("d"), none).is_err());
    }
}
