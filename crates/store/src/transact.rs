//! Running a transaction until it commits.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::limits;

/// Begins a transaction, runs the block, commits; on a conflict, all of it again, up to
/// [`TRANSACTION_ATTEMPTS_MAX`](crate::limits::TRANSACTION_ATTEMPTS_MAX) times.
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
const TURN_WAIT_MAX: Duration = Duration::from_millis(50);

/// Those who lost several times go one after the other: on a key that many write at once each would otherwise win only
/// by luck. Nobody waits for ever, so a block that itself runs a transaction is not stuck behind itself.
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
            match self.turn {
                // Only newcomers are in the way.
                Some(_) => tokio::task::yield_now().await,
                None => self.turn = tokio::time::timeout(TURN_WAIT_MAX, TURN.lock()).await.ok(),
            }
        }
        true
    }
}
