//! Token buckets: of a stage's methods, of usage plans' keys.
//!
//! They are kept in memory: each node counts for itself, as AWS says of its own ("best effort").

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sereno_base::Timestamp;

/// Buckets beyond which the full ones are forgotten.
const BUCKETS_MAX: usize = 100_000;

#[derive(Default)]
pub struct Throttle(Mutex<HashMap<String, Bucket>>);

struct Bucket {
    tokens: f64,
    at_ms: i64,
}

/// Requests per second, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub rate: f64,
    pub burst: f64,
}

impl Throttle {
    /// Takes one token of the bucket `name`, if there is one.
    pub fn take(&self, name: String, limit: Limit, now: Timestamp) -> bool {
        let now_ms = now.millis();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&name) {
            buckets.clear();
        }
        let bucket = buckets.entry(name).or_insert(Bucket { tokens: limit.burst, at_ms: now_ms });
        #[expect(clippy::cast_precision_loss, reason = "a few seconds in milliseconds")]
        let passed_s = (now_ms - bucket.at_ms).max(0) as f64 / 1000.0;
        bucket.tokens = (bucket.tokens + passed_s * limit.rate).min(limit.burst);
        bucket.at_ms = now_ms;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let throttle = Throttle::default();
        let limit = Limit { rate: 2.0, burst: 3.0 };
        let take = |ms: i64| throttle.take("x".to_owned(), limit, Timestamp::from_millis(ms));
        assert!(take(0) && take(0) && take(0) && !take(0));
        assert!(take(500) && !take(500));
        assert!(!take(900) && take(1000));
        let none = Limit { rate: 0.0, burst: 0.0 };
        assert!(!throttle.take("y".to_owned(), none, Timestamp::from_millis(0)));
    }
}
