//! Blobs in memory, for tests.

use crate::{BlobInfo, BlobReader, BlobRef, BlobWriter, Blobs, BoxFuture, Result, StoreError};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Clone, Default)]
pub struct MemoryBlobs(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    next: u64,
    blobs: BTreeMap<String, (Bytes, Instant)>,
}

struct Writer {
    blobs: MemoryBlobs,
    id: String,
    bytes: BytesMut,
}

struct Reader(Option<Bytes>);

impl MemoryBlobs {
    pub fn new() -> MemoryBlobs {
        MemoryBlobs::default()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blobs for MemoryBlobs {
    fn create(&self) -> BoxFuture<'_, Result<Box<dyn BlobWriter>>> {
        let mut shelf = self.shelf();
        shelf.next += 1;
        let id = format!("{:032x}", shelf.next);
        drop(shelf);
        Box::pin(async move { self.adopt(&id).await })
    }

    fn adopt<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Box<dyn BlobWriter>>> {
        let writer = Writer { blobs: self.clone(), id: id.to_owned(), bytes: BytesMut::new() };
        Box::pin(ready(Ok(Box::new(writer) as Box<dyn BlobWriter>)))
    }

    fn open<'a>(
        &'a self,
        id: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn BlobReader>>> {
        let bytes = self.shelf().blobs.get(id).map(|(bytes, _)| bytes.clone());
        let span = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let piece = bytes.zip(span).filter(|(bytes, (from, to))| from <= to && *to <= bytes.len());
        let reader: Result<Box<dyn BlobReader>> = match piece {
            Some((bytes, (from, to))) => Ok(Box::new(Reader(Some(bytes.slice(from..to))))),
            None => Err(StoreError::Corrupt(format!("no bytes {range:?} of blob {id}"))),
        };
        Box::pin(ready(reader))
    }

    fn path(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.shelf().blobs.remove(id);
        Box::pin(ready(Ok(())))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>>> {
        let info = |(id, (bytes, since)): (&String, &(Bytes, Instant))| BlobInfo {
            id: id.clone(),
            len: bytes.len() as u64,
            age: since.elapsed(),
        };
        let list = self.shelf().blobs.iter().map(info).collect();
        Box::pin(ready(Ok(list)))
    }
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.bytes.extend_from_slice(&bytes);
        Box::pin(ready(Ok(())))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<BlobRef>> {
        let blob = BlobRef { id: self.id, len: self.bytes.len() as u64 };
        let kept = (self.bytes.freeze(), Instant::now());
        self.blobs.shelf().blobs.insert(blob.id.clone(), kept);
        Box::pin(ready(Ok(blob)))
    }
}

impl BlobReader for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(ready(Ok(self.0.take().filter(|bytes| !bytes.is_empty()))))
    }
}
