//! A store that gives others a turn at every call, so that a test can end a process between any two of them.

use sereno_store::{
    Batch, BoxFuture, Entry, Key, MemoryStore, Range, Read, Result, Snapshot, Store, Txn, Version,
    Watch,
};
use tokio::task::yield_now;

#[derive(Clone)]
pub struct SlowStore(pub MemoryStore);

type Value = (Version, bytes::Bytes);

impl Read for SlowStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(async move {
            yield_now().await;
            self.0.get(key).await
        })
    }

    fn range<'a>(&'a self, range: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(async move {
            yield_now().await;
            self.0.range(range).await
        })
    }
}

impl Store for SlowStore {
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>>> {
        self.0.snapshot()
    }

    fn begin(&self) -> BoxFuture<'_, Result<Txn>> {
        Box::pin(async move {
            yield_now().await;
            self.0.begin().await
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Version>> {
        Box::pin(async move {
            yield_now().await;
            let version = self.0.commit(batch).await;
            yield_now().await;
            version
        })
    }

    fn watch(&self, keys: &[Key]) -> Watch {
        self.0.watch(keys)
    }

    fn clear(&self) -> BoxFuture<'_, Result<()>> {
        self.0.clear()
    }

    fn raise_version(&self, version: Version) -> BoxFuture<'_, Result<()>> {
        self.0.raise_version(version)
    }
}
