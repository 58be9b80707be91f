//! Running a transaction until it commits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::limits;

/// Begins a transaction, runs the block, commits; on a conflict, all of it again, up to
/// [`TRANSACTION_ATTEMPTS_MAX`](crate::limits::TRANSACTION_ATTEMPTS_MAX) times with a growing pause.
///
/// `transact!(store, |txn| { .. })` or, where the error's type cannot be inferred (as before a
/// `?`), `transact!(store, Error, |txn| { .. })` with any `Error: From<StoreError>`. The value is
/// `Result<value of the block, Error>`. In the block `txn` is a `&mut Txn`; `?` and
/// `return Err(..)` end the transaction without writing; `return Ok(value)` commits.
///
/// The block may run several times: it must have no effect but through `txn`.
#[macro_export]
macro_rules! transact {
    ($store:expr, |$txn:ident| $body:block) => {
        $crate::transact!($store, _, |$txn| $body)
    };
    ($store:expr, $error:ty, |$txn:ident| $body:block) => {{
        let store = $store;
        let mut backoff = $crate::Backoff::default();
        let outcome: ::std::result::Result<_, $error> = loop {
            let mut transaction = match $crate::Store::begin(store).await {
                Ok(transaction) => transaction,
                Err(error) => break Err(::std::convert::From::from(error)),
            };
            let result: ::std::result::Result<_, $error> = async {
                let $txn: &mut $crate::Txn = &mut transaction;
                Ok($body)
            }
            .await;
            let committed = match result {
                // What the block made of an inconsistent read does not count.
                _ if transaction.conflicted() => Err($crate::StoreError::Conflict),
                Err(error) => break Err(error),
                Ok(value) => transaction.commit().await.map(|_| value),
            };
            match committed {
                Ok(value) => break Ok(value),
                Err($crate::StoreError::Conflict) if backoff.again().await => {}
                Err(error) => break Err(::std::convert::From::from(error)),
            }
        };
        outcome
    }};
}

/// The pauses between attempts.
#[derive(Default)]
pub struct Backoff {
    attempts: u32,
    /// Kept until the transaction is through.
    turn: Option<MutexGuard<'static, ()>>,
}

/// Attempts that only let others go first, before pauses begin.
const YIELDS: u32 = 3;
const PAUSE_MAX_MS: u64 = 32;

/// Those who lost several times go one after the other: on a key that many write at once each would otherwise win only
/// by luck. Nobody waits longer than a pause, so a block that itself runs a transaction is not stuck behind itself.
static TURN: Mutex<()> = Mutex::const_new(());

impl Backoff {
    /// Waits; `false` if there have been enough attempts.
    pub async fn again(&mut self) -> bool {
        self.attempts += 1;
        if self.attempts >= limits::TRANSACTION_ATTEMPTS_MAX {
            return false;
        }
        if self.attempts <= YIELDS {
            tokio::task::yield_now().await;
        } else {
            let ceiling = (1 << (self.attempts - YIELDS).min(16)).min(PAUSE_MAX_MS);
            let pause = Duration::from_millis(1 + jitter() % ceiling);
            match self.turn {
                // Who has the turn loses only to newcomers.
                Some(_) => tokio::task::yield_now().await,
                None => self.turn = tokio::time::timeout(pause, TURN.lock()).await.ok(),
            }
        }
        true
    }
}

/// Spreads those who collided. Repeatable in a single-threaded simulation, so not random.
fn jitter() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut x = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
