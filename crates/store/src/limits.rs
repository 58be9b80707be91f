//! Limits that hold on every engine from the first day, so that none is found out in production.

use std::time::Duration;

/// Keys and values written by one commit, together.
pub const TRANSACTION_BYTES_MAX: usize = 10 * 1024 * 1024;
/// From `begin` to `commit`. Work that takes longer is cut into several transactions.
pub const TRANSACTION_AGE_MAX: Duration = Duration::from_secs(5);
/// Mutations and checks of one commit, together.
pub const TRANSACTION_OPERATIONS_MAX: usize = 20_000;
/// One half of a key. DynamoDB's longest keys (2,048 and 1,024 bytes) fit after escaping.
pub const KEY_PART_BYTES_MAX: usize = 8 * 1024;
/// Attempts that `transact!` makes before it gives the conflict to its caller.
pub const TRANSACTION_ATTEMPTS_MAX: u32 = 40;
