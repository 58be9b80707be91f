//! Large objects: bytes too many for the map, written once, never changed.
//!
//! The order that loses nothing: write the blob, [`finish`](BlobWriter::finish) it (now it is on
//! disk), then commit a record that holds its [`BlobRef`]. To remove it, commit the record's
//! removal first. What no record refers to is swept later.

use crate::{BoxFuture, Result, StoreError, record};
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

record! {
    /// Names a finished blob; a field of the record that owns it.
    pub struct BlobRef {
        1 => id: String,
        2 => len: u64,
    }
}

/// One stored blob, as the sweep sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    pub id: String,
    pub len: u64,
    /// Since it was finished. A young blob may be about to be referred to.
    pub age: Duration,
}

/// A blob being written. Dropped before `finish`, it leaves nothing.
pub trait BlobWriter: Send {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Makes it durable and gives it its name.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<BlobRef>>;
}

/// A blob being read.
pub trait BlobReader: Send {
    /// The next piece; `None` at the end of the range.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>>;
}

pub trait Blobs: Send + Sync + 'static {
    fn create(&self) -> BoxFuture<'_, Result<Box<dyn BlobWriter>>>;

    /// Takes in a blob of another store, under the id that records know. `finish` refuses content
    /// that does not fit the id.
    fn adopt<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Box<dyn BlobWriter>>>;

    /// Reads the bytes of `range`, which must lie inside the blob.
    fn open<'a>(
        &'a self,
        id: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn BlobReader>>>;

    /// The file that is the blob, where there is one: for sending without copying.
    fn path(&self, id: &str) -> Option<PathBuf>;

    /// Removes it; no error if it is not there.
    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>>>;

    /// While the answer lives, nothing is deleted; what should have been is deleted afterwards.
    /// `None`: others delete here too, so it cannot be promised.
    fn hold(&self) -> Option<Box<dyn Send>> {
        None
    }
}

/// Whether it can be a blob's id: ids come from requests too.
pub fn is_blob_id(id: &str) -> bool {
    matches!(id.len(), 32 | 48) && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Stores bytes that are in memory anyway.
pub async fn write_blob(blobs: &dyn Blobs, bytes: Bytes) -> Result<BlobRef> {
    let mut writer = blobs.create().await?;
    writer.write(bytes).await?;
    writer.finish().await
}

/// Reads a whole blob into memory; refuses one over `bytes_max`.
pub async fn read_blob(blobs: &dyn Blobs, blob: &BlobRef, bytes_max: usize) -> Result<Bytes> {
    let too_large = || StoreError::TooLarge(format!("a blob of {} bytes", blob.len));
    let len = usize::try_from(blob.len).ok().filter(|len| *len <= bytes_max);
    let len = len.ok_or_else(too_large)?;
    let mut reader = blobs.open(&blob.id, 0..blob.len).await?;
    let mut whole = BytesMut::with_capacity(len);
    while let Some(piece) = reader.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}
