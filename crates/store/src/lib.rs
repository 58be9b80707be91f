//! The one place where state lives: an ordered map from bytes to bytes with strictly serialisable
//! transactions, and the typed tables that services see of it.
//!
//! A service declares records and tables in its `state.rs`:
//!
//! ```
//! use sereno_store::{Table, record};
//!
//! record! {
//!     /// One queue. A field's number is for ever; its name may change.
//!     pub struct QueueRecord {
//!         1 => name: String,
//!         2 => created_ms: i64,
//!         3 => tags: std::collections::BTreeMap<String, String>,
//!         4 => policy: Option<String>,
//!     }
//! }
//! pub const QUEUES: Table<String, QueueRecord> = Table::new("sqs", "queues");
//! ```
//!
//! and its operations read and write them, all or nothing:
//!
//! ```
//! # use sereno_store::{Batch, Check, MemoryStore, Scope, Store, StoreError, Table, Write, record, transact};
//! # record! { pub struct QueueRecord { 1 => name: String, 2 => created_ms: i64 } }
//! # const QUEUES: Table<String, QueueRecord> = Table::new("sqs", "queues");
//! # async fn example(store: &dyn Store, scope: Scope) -> Result<(), StoreError> {
//! // One round trip: create unless it exists. StoreError::Conflict says that a check failed.
//! let record = QueueRecord { name: "jobs".into(), ..Default::default() };
//! let mut batch = Batch::new();
//! QUEUES.check(&mut batch, scope, "jobs", Check::Absent);
//! QUEUES.put(&mut batch, scope, "jobs", &record);
//! store.commit(batch).await?;
//!
//! // A transaction: begins, runs the block, commits; runs it again on a conflict. `?` works inside.
//! let renamed = transact!(store, StoreError, |txn| {
//!     let Some(mut queue) = QUEUES.get(txn, scope, "jobs").await? else { return Ok(false) };
//!     queue.created_ms += 1;
//!     QUEUES.put(txn, scope, "jobs", &queue);
//!     true
//! })?;
//!
//! // A page: names from "a" on, behind the last one that the caller has seen.
//! let page = QUEUES.list(scope, ()).starting_with("jo").after("jn").limit(100).read(store).await?;
//! assert_eq!((renamed, page.len()), (true, 1));
//! # Ok(()) }
//! # let scope = Scope::new(sereno_base::AccountId::DEFAULT, Some(sereno_base::Region::US_EAST_1));
//! # let store = MemoryStore::new();
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
//! #     .block_on(example(&store, scope)).unwrap();
//! ```
//!
//! # The map
//!
//! * [`Key`] is `(partition, sort)`: ranges stay inside a partition, so a partition is what a
//!   distributed engine may keep together. [`Table`] makes keys; nobody else should.
//! * [`Store`] is what an engine implements: [`get`](Read::get) and [`range`](Read::range) of the
//!   newest state, a [`snapshot`](Store::snapshot) of a point in time, a [`Batch`] of checks and
//!   mutations in one round trip, a [`Txn`] for what must read first, and a [`Watch`].
//! * [`Record`] turns values into bytes: numbered fields, unknown ones skipped, missing ones default.
//! * [`Blobs`] keeps what is too large for the map; a record refers to it by [`BlobRef`].
//! * [`MemoryStore`] and [`MemoryBlobs`] serve tests; the engines are crates of their own.
//!
//! # Promises
//!
//! * Strict serialisability: transactions, batches and single reads behave as if run one at a time,
//!   in an order that agrees with real time. A [`Snapshot`] is a consistent past.
//! * [`Version`]s grow with every commit; a value carries the version of the commit that wrote it.
//! * A conflict never has an effect. Nothing acknowledged is lost (what an engine may weaken on
//!   request, it documents).
//! * Limits, the same on every engine: see [`limits`].
//!
//! Invariants of this crate: no file, no socket, no clock but the age of a transaction; engines
//! depend on it, never the reverse.

pub mod backup;
mod batch;
mod blobs;
mod error;
#[cfg(feature = "suite")]
pub mod golden;
pub mod key;
pub mod limits;
mod memory;
mod memory_blobs;
pub mod occ;
mod range;
pub mod record;
mod record_macros;
mod store;
#[cfg(feature = "suite")]
pub mod suite;
mod table;
mod transact;
mod txn;
mod watch;

pub use batch::{Batch, Check, Mutation, Write};
pub use blobs::{
    BlobInfo, BlobReader, BlobRef, BlobWriter, Blobs, is_blob_id, read_blob, write_blob,
};
#[doc(hidden)]
pub use bytes::Bytes as __Bytes;
pub use error::{Result, StoreError};
pub use key::{Key, Scope};
pub use memory::MemoryStore;
pub use memory_blobs::MemoryBlobs;
pub use range::{Entry, Range};
pub use record::{Counter, Record};
pub use store::{BoxFuture, Read, Snapshot, Store, Transaction, Version};
pub use table::{List, Table};
#[doc(hidden)]
pub use transact::Backoff;
pub use txn::Txn;
pub use watch::{Watch, Watchers};
