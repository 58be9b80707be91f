//! The store as services use it, on the memory engine.

mod encodings;
mod tables;

mod memory {
    use sereno_store::MemoryStore;
    use sereno_store::suite::Opened;

    async fn open() -> Opened {
        Opened::new(MemoryStore::new())
    }

    sereno_store::suite!(open);
}
