//! What every engine must pass: `suite!(open)` in a test makes one `#[test]` of each case.
//!
//! ```ignore
//! mod memory {
//!     async fn open() -> sereno_store::suite::Opened {
//!         sereno_store::suite::Opened::new(sereno_store::MemoryStore::new())
//!     }
//!     sereno_store::suite!(open);
//! }
//! ```
//!
//! Cases hold the store only through its trait, allow what the contract allows (a spurious
//! conflict or wake-up), and take their randomness from one seed, printed, which
//! `SERENO_SEED=<number>` repeats.

pub mod basics;
pub mod concurrency;
pub mod history;
pub mod isolation;
pub mod limiting;
pub mod ranges;

use crate::{Key, Store, Version};
use bytes::Bytes;
use std::any::Any;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// An empty store, and what must live as long (its directory, its server).
pub struct Opened {
    pub store: Arc<dyn Store>,
    keep: Box<dyn Any + Send>,
}

impl Opened {
    pub fn new(store: impl Store) -> Opened {
        Opened { store: Arc::new(store), keep: Box::new(()) }
    }

    #[must_use]
    pub fn keeping(mut self, what: impl Any + Send) -> Opened {
        self.keep = Box::new((self.keep, what));
        self
    }
}

/// Runs one case on two threads, as a server would. An engine that this machine lacks is skipped:
/// `open` gives `None`.
pub fn run<O, C>(open: impl FnOnce() -> O, case: impl FnOnce(Arc<dyn Store>) -> C)
where
    O: Future<Output: Into<Option<Opened>>>,
    C: Future<Output = ()>,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let Some(opened) = open().await.into() else { return };
        case(opened.store.clone()).await;
        drop(opened.keep);
    });
}

/// Randomness that a seed repeats.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// From `SERENO_SEED`, or another one each time; prints it.
    pub fn new(what: &str) -> Random {
        let given = std::env::var("SERENO_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(what) >> 32);
        println!("{what}: SERENO_SEED={seed}");
        Random(seed)
    }

    /// One of its own for each of several tasks.
    pub fn fork(&mut self) -> Random {
        Random(self.next())
    }

    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

/// A key of the partition `p`.
pub(crate) fn key(sort: impl Into<Vec<u8>>) -> Key {
    Key::new("p", sort)
}

pub(crate) fn value(found: Option<(Version, Bytes)>) -> Option<Vec<u8>> {
    found.map(|(_, value)| value.to_vec())
}

/// One test of each case; `open` is an async function that makes an empty store.
#[macro_export]
macro_rules! suite {
    ($open:path) => {
        $crate::suite!(@cases $open,
            basics: [
                values_come_back, versions_grow_and_name_the_commit, halves_of_keys_stay_apart,
                checks_guard_a_batch, a_failed_batch_writes_nothing, mutations_apply_in_order,
                counters_add, appends_lie_in_commit_order, a_snapshot_does_not_change,
                pages_show_everything, a_clear_removes_everything, versions_can_be_raised,
            ],
            ranges: [
                bounds_are_kept, limits_stop, prefixes_select, random_ranges_agree_with_a_model,
            ],
            isolation: [
                own_writes_are_read, own_writes_merge_into_ranges, a_dropped_transaction_writes_nothing,
                an_update_is_not_lost, a_skew_is_refused, a_phantom_is_refused,
                a_phantom_behind_a_limit_is_allowed, a_removal_conflicts, reads_repeat,
                a_reader_commits, writes_that_read_nothing_do_not_conflict,
            ],
            concurrency: [
                increments_add_up, sums_are_preserved, batches_exclude_each_other,
                many_writers_of_one_key_get_through,
                a_watch_sees_a_key, a_watch_sees_a_partition, a_watch_misses_nothing,
                a_watch_wakes_before_the_answer,
            ],
            limiting: [
                large_values_fit, long_keys_fit, what_is_too_large_is_refused,
                what_takes_too_long_is_refused,
            ],
            history: [random_transactions_are_serialisable],
        );
    };
    (@cases $open:path, $($room:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        $($(
            #[test]
            fn $case() {
                $crate::suite::run($open, $crate::suite::$room::$case);
            }
        )+)+
    };
}
