//! The embedded store: every engine passes the suite, survives kills and faults, and says what is
//! wrong with a directory.

#![allow(clippy::unwrap_used)] // tests, and what they call

mod backups;
mod crash;
mod directory;
mod faults;
mod files;
mod folder;

mod fjall {
    use crate::folder::Folder;
    use sereno_store::suite::Opened;
    use sereno_store_local::{Options, open as open_folder};

    async fn open() -> Opened {
        let folder = Folder::new();
        let (store, _) = open_folder(folder.path(), &Options::default()).expect("opens");
        Opened::new(store).keeping(folder)
    }

    sereno_store::suite!(open);
}

mod redb {
    use crate::folder::Folder;
    use sereno_store::suite::Opened;
    use sereno_store_local::{EngineKind, Options, open as open_folder};

    async fn open() -> Opened {
        let folder = Folder::new();
        let options = Options { engine: EngineKind::Redb, ..Options::default() };
        let (store, _) = open_folder(folder.path(), &options).expect("opens");
        Opened::new(store).keeping(folder)
    }

    sereno_store::suite!(open);
}

/// The promises of `Relaxed` are weaker only when something dies.
mod relaxed {
    use crate::folder::Folder;
    use sereno_store::suite::Opened;
    use sereno_store_local::{Durability, Options, open as open_folder};
    use std::time::Duration;

    async fn open() -> Opened {
        let folder = Folder::new();
        let durability = Durability::Relaxed { interval: Duration::from_millis(5) };
        let options = Options { durability, ..Options::default() };
        let (store, _) = open_folder(folder.path(), &options).expect("opens");
        Opened::new(store).keeping(folder)
    }

    sereno_store::suite!(open);
}
