//! The words every room shares: accounts, regions, ARNs, request ids, points in time, text encodings.
//!
//! Invariants: no I/O, no clock, no randomness, no async. Everything here is a value.

mod access_key;
mod arn;
mod encoding;
mod ids;
mod region;
mod time;

pub use access_key::{access_key_id, account_of_access_key};
pub use arn::{Arn, arn};
pub use encoding::{base64_decode, base64_encode, hex, percent_decode, percent_encode, unhex};
pub use ids::{AccountId, InvalidAccountId, RequestId};
pub use region::Region;
pub use time::{InvalidTimestamp, Timestamp};
