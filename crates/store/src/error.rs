//! What can go wrong in a store: four kinds, told apart by what the caller can do about it.

use std::fmt;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Somebody else was faster, or a check of the batch did not hold. Nothing was written: read
    /// again and retry.
    Conflict,
    /// Over one of the [limits](crate::limits); the same call can never succeed.
    TooLarge(String),
    /// The engine cannot serve now (disk full, read error, database away). Whether a commit took
    /// place is not known.
    Unavailable(String),
    /// Stored bytes are not what was written, or were written by a newer version.
    Corrupt(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Conflict => f.write_str("conflict with another commit"),
            StoreError::TooLarge(what) => write!(f, "over a limit of the store: {what}"),
            StoreError::Unavailable(why) => write!(f, "the store is unavailable: {why}"),
            StoreError::Corrupt(what) => write!(f, "stored data is corrupt: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}
