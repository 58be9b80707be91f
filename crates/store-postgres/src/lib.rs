//! The distributed store: any number of servers over one database that speaks PostgreSQL's
//! protocol. Plain PostgreSQL is what the tests run; YugabyteDB speaks the same and scales out.
//!
//! One table of keys and values; every statement runs SERIALIZABLE, so the database does the
//! validation that the embedded store does itself. A [`Batch`](sereno_store::Batch) is one
//! statement, one round trip ([`write`]); a transaction is one on a connection of its own
//! ([`store`]). Wake-ups travel by LISTEN/NOTIFY and, where that is missing or late, by polling
//! ([`listener`]). Blobs are objects in an S3-compatible store ([`objects`]). What the servers share
//! besides, their keys, is in a table of its own ([`secrets`]), which [`Store::clear`] spares.
//!
//! [`Store::clear`]: sereno_store::Store::clear
//!
//! Invariants: nothing is kept in this process but connections; no extension is used; a
//! serialisation failure is a [`Conflict`](sereno_store::StoreError::Conflict), retried here where
//! the request can be repeated as it is.

mod keys;
mod listener;
mod objects;
mod pool;
mod schema;
mod secrets;
mod store;
mod transport;
mod write;

pub use objects::{Bucket, ObjectBlobs};
pub use store::{Options, PostgresStore};
