//! The store over an engine: reads from the published state, commits through the committer.

use crate::Durability;
use crate::background::Background;
use crate::committer::{
    CEILING_KEY, Committer, Guard, Parts, Request, Space, UNSEALED_BYTES_MAX, run,
};
use crate::directory::Directory;
use crate::engine::{Engine, View};
use crate::group::unstamp;
use crate::log::{Log, Shelf};
use crate::queue::Queue;
use crate::state::{Published, Shared};
use bytes::Bytes;
use sereno_store::key::{joined, split};
use sereno_store::occ::{ReadSet, span};
use sereno_store::{
    Batch, BoxFuture, Entry, Key, Mutation, Range, Read, Result, Snapshot, Store, StoreError,
    Transaction, Txn, Version, Watch, limits,
};
use std::future::ready;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A store in this process, on one disk. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct LocalStore(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// `None` only while closing: it holds the log and the engine.
    committer: Option<Arc<Mutex<Committer>>>,
    thread: Option<JoinHandle<()>>,
    /// Dropped last, after the engine: the lock must outlive all writes.
    directory: OnceLock<Directory>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // It has panicked or ended; either way there is nothing left to wait for.
            drop(thread.join());
        }
        self.committer = None;
    }
}

/// How [`LocalStore::on`] treats commits.
pub struct Conduct {
    /// The folder of the log.
    pub log: PathBuf,
    pub durability: Durability,
    /// Where to look for free space, and how little is too little.
    pub space: Option<(PathBuf, u64)>,
}

impl LocalStore {
    /// Over any engine; [`open`](crate::open) is the usual way.
    pub fn on(engine: impl Engine, conduct: Conduct) -> Result<LocalStore> {
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let relaxed = match conduct.durability {
            Durability::Durable => None,
            Durability::Relaxed { interval } => Some(interval),
        };
        let (mut log, found) = Log::open(&conduct.log, &*engine, relaxed.is_some())?;
        let shelf = log.shelf();
        let background = Background::start(engine.clone(), shelf.clone())?;
        let mut unsealed = found.weight;
        if !found.sealed.is_empty() || unsealed > UNSEALED_BYTES_MAX / 2 {
            // So much is not to be read again at the next start.
            engine.seal();
            unsealed = 0;
            let mut sealed = found.sealed;
            sealed.push(log.seal()?);
            background.checkpoint(sealed);
        }
        let view = engine.snapshot()?;
        let ceiling = match view.get(CEILING_KEY)? {
            Some(bytes) => unstamp(&bytes)?.0,
            None => 0,
        };
        let shared = Arc::new(Shared::new(Published { view, version: ceiling }));
        let (folder, free_bytes_min) = conduct.space.map_or((None, 0), |(f, min)| (Some(f), min));
        let space = Space { folder, free_bytes_min, looked: None, short: false };
        let (engine_too, shared_too) = (engine.clone(), shared.clone());
        let parts = Parts { log, background, engine: engine_too, shared: shared_too, unsealed };
        let committer = Committer::new(parts, ceiling, relaxed, space);
        let (committer, queue) = (Arc::new(Mutex::new(committer)), Arc::<Queue>::default());
        let (working, waiting) = (committer.clone(), queue.clone());
        let thread = std::thread::Builder::new()
            .name("store-commit".into())
            .spawn(move || run(&working, &waiting))
            .map_err(|error| StoreError::Unavailable(format!("no thread to commit: {error}")))?;
        let inner = Inner {
            engine,
            shelf,
            shared,
            queue,
            committer: Some(committer),
            thread: Some(thread),
            directory: OnceLock::new(),
        };
        Ok(LocalStore(Arc::new(inner)))
    }

    /// Keeps the directory locked for as long as the store is open.
    pub(crate) fn hold(&self, directory: Directory) {
        // Set once, right after opening.
        drop(self.0.directory.set(directory));
    }

    /// Bytes on disk.
    pub fn size(&self) -> Result<u64> {
        Ok(self.0.engine.size()? + self.0.shelf.size()?)
    }

    fn send(&self, guard: Guard, mutations: Vec<Mutation>) -> BoxFuture<'static, Result<Version>> {
        let (reply, answer) = oneshot::channel();
        self.0.submit(Request { guard, mutations, reply });
        Box::pin(async move {
            let stopped = || StoreError::Unavailable("the store has stopped".into());
            answer.await.unwrap_or_else(|_| Err(stopped()))
        })
    }
}

impl Inner {
    /// Commits the request here where that is quick and nobody else does, or leaves it to the thread.
    fn submit(&self, request: Request) {
        if let Some(committer) = &self.committer
            && let Ok(mut committer) = committer.try_lock()
            && committer.is_quick()
            && self.queue.is_empty()
        {
            committer.commit_here(request, &self.queue);
        } else {
            self.queue.push(request);
        }
    }
}

fn get(view: &dyn View, key: &Key) -> Result<Option<(Version, Bytes)>> {
    // What cannot be written is not there; the engine must not be asked for it.
    let longest = key.partition.len().max(key.sort.len());
    if longest > limits::KEY_PART_BYTES_MAX {
        return Ok(None);
    }
    let Some(stored) = view.get(&joined(&key.partition, &key.sort))? else { return Ok(None) };
    let (version, at) = unstamp(&stored)?;
    Ok(Some((version, stored.slice(at..))))
}

fn range(view: &dyn View, range: &Range) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    if range.is_empty() || range.partition.len() > limits::KEY_PART_BYTES_MAX {
        return Ok(entries);
    }
    let named = 2 + range.partition.len();
    let mut bytes = 0;
    view.range(&span(range), range.reverse, &mut |key, stored| {
        let (version, at) = unstamp(&stored)?;
        let entry = Entry { sort: key[named..].to_vec(), version, value: stored.slice(at..) };
        bytes += entry.size();
        entries.push(entry);
        Ok(entries.len() < range.limit && bytes < range.bytes_max)
    })?;
    Ok(entries)
}

/// A published state, held.
struct Moment(Arc<Published>);

impl Read for Moment {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        Box::pin(ready(get(&*self.0.view, key)))
    }

    fn range<'a>(&'a self, asked: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(ready(range(&*self.0.view, asked)))
    }
}

impl Snapshot for Moment {
    fn version(&self) -> Version {
        self.0.version
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a Key>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(Key, Version, Bytes)>>> {
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_bytes()));
        let to = Bound::Excluded(CEILING_KEY.to_vec());
        let mut entries = Vec::new();
        let read = self.0.view.range(&(from, to), false, &mut |key, stored| {
            if entries.len() < limit {
                let (partition, sort) = split(key)?;
                let (version, at) = unstamp(&stored)?;
                entries.push((Key::new(partition, sort), version, stored.slice(at..)));
            }
            Ok(entries.len() < limit)
        });
        Box::pin(ready(read.map(|()| entries)))
    }
}

struct Reader {
    store: LocalStore,
    moment: Moment,
    reads: Mutex<ReadSet>,
}

impl Reader {
    fn new(store: LocalStore) -> Reader {
        // Counted first: a commit that does not see us is one that we may not have seen, and it
        // raises the floor.
        store.0.shared.readers.fetch_add(1, Ordering::SeqCst);
        let moment = Moment(store.0.shared.published());
        Reader { store, moment, reads: Mutex::default() }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.store.0.shared.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Read for Reader {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        let found = get(&*self.moment.0.view, key);
        if found.is_ok() {
            self.reads.lock().unwrap_or_else(PoisonError::into_inner).read_point(key);
        }
        Box::pin(ready(found))
    }

    fn range<'a>(&'a self, asked: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        let found = range(&*self.moment.0.view, asked);
        if let Ok(answer) = &found {
            self.reads.lock().unwrap_or_else(PoisonError::into_inner).read_range(asked, answer);
        }
        Box::pin(ready(found))
    }
}

impl Transaction for Reader {
    fn commit(self: Box<Self>, mutations: Vec<Mutation>) -> BoxFuture<'static, Result<Version>> {
        let start = self.moment.0.version;
        if mutations.is_empty() {
            return Box::pin(ready(Ok(start)));
        }
        let set = std::mem::take(&mut *self.reads.lock().unwrap_or_else(PoisonError::into_inner));
        let committed = self.store.send(Guard::Reads { start, set }, mutations);
        Box::pin(async move {
            // Counted until answered, so that the window reaches back to `start`.
            let _reader = self;
            committed.await
        })
    }
}

impl Read for LocalStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<(Version, Bytes)>>> {
        Box::pin(ready(get(&*self.0.shared.published().view, key)))
    }

    fn range<'a>(&'a self, asked: &'a Range) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(ready(range(&*self.0.shared.published().view, asked)))
    }
}

impl Store for LocalStore {
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>>> {
        let moment: Box<dyn Snapshot> = Box::new(Moment(self.0.shared.published()));
        Box::pin(ready(Ok(moment)))
    }

    fn begin(&self) -> BoxFuture<'_, Result<Txn>> {
        Box::pin(ready(Ok(Txn::new(Box::new(Reader::new(self.clone()))))))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Version>> {
        if let Err(error) = batch.admit() {
            return Box::pin(ready(Err(error)));
        }
        self.send(Guard::Checks(batch.checks), batch.mutations)
    }

    fn watch(&self, keys: &[Key]) -> Watch {
        self.0.shared.watchers.watch(keys)
    }

    fn clear(&self) -> BoxFuture<'_, Result<()>> {
        let cleared = self.send(Guard::Clear, Vec::new());
        Box::pin(async move { cleared.await.map(|_| ()) })
    }

    fn raise_version(&self, version: Version) -> BoxFuture<'_, Result<()>> {
        let raised = self.send(Guard::Raise(version), Vec::new());
        Box::pin(async move { raised.await.map(|_| ()) })
    }
}
