//! Opening: the lock, the format, continuing where it ended.

use crate::folder::Folder;
use sereno_store::{Batch, Check, Key, Mutation, Read, Store, StoreError};
use sereno_store_local::{EngineKind, LocalStore, Options, open};

fn put(sort: &str) -> Batch {
    Batch::new().with(Mutation::Put(Key::new("p", sort), sort.into()))
}

fn refusal(folder: &Folder, engine: EngineKind) -> String {
    match open(folder.path(), &Options { engine, ..Options::default() }) {
        Err(StoreError::Unavailable(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test]
async fn a_directory_has_one_user_and_one_engine() {
    for (engine, other) in
        [(EngineKind::Fjall, EngineKind::Redb), (EngineKind::Redb, EngineKind::Fjall)]
    {
        let folder = Folder::new();
        let options = Options { engine, ..Options::default() };
        let (store, blobs) = open(folder.path(), &options).unwrap();
        let why = refusal(&folder, engine);
        assert!(why.contains(&format!("in use by process {}", std::process::id())), "{why}");
        drop((store, blobs));
        let why = refusal(&folder, other);
        assert!(why.contains("was written by the engine"), "{why}");
        std::fs::write(folder.path().join("format"), "sereno-store 9 fjall\n").unwrap();
        let why = refusal(&folder, engine);
        assert!(why.contains("has the format \"sereno-store 9 fjall\""), "{why}");
    }
}

#[tokio::test]
async fn data_and_versions_go_on_after_opening_again() {
    for engine in [EngineKind::Fjall, EngineKind::Redb] {
        let folder = Folder::new();
        let options = Options { engine, ..Options::default() };
        let mut last = 0;
        for round in 0..4 {
            let (store, _) = open(folder.path(), &options).unwrap();
            for old in 0..round {
                let found = store.get(&Key::new("p", format!("{old}"))).await.unwrap();
                assert_eq!(&found.unwrap().1[..], format!("{old}").as_bytes());
            }
            for _ in 0..3 {
                let version = store.commit(put(&format!("{round}"))).await.unwrap();
                assert!(version > last);
                last = version;
            }
            // A check of a version from before the restart.
            let key = Key::new("p", format!("{round}"));
            let touch = Batch::new().check(key.clone(), Check::At(last));
            last = store
                .commit(touch.with(Mutation::Put(key, format!("{round}").into())))
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_cleared_store_stays_empty() {
    for engine in [EngineKind::Fjall, EngineKind::Redb] {
        let folder = Folder::new();
        let options = Options { engine, ..Options::default() };
        let (store, _) = open(folder.path(), &options).unwrap();
        for number in 0..500 {
            store.commit(put(&format!("old{number}"))).await.unwrap();
        }
        store.clear().await.unwrap();
        let version = store.commit(put("new")).await.unwrap();
        drop(store);
        let (store, _): (LocalStore, _) = open(folder.path(), &options).unwrap();
        let all = store.snapshot().await.unwrap().page(None, 10).await.unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((&all[0].0, all[0].1), (&Key::new("p", "new"), version));
        assert!(store.size().unwrap() > 0);
    }
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_writes_and_serves_reads() {
    let folder = Folder::new();
    let (store, _) = open(folder.path(), &Options::default()).unwrap();
    store.commit(put("a")).await.unwrap();
    drop(store);
    let options = Options { free_bytes_min: u64::MAX, ..Options::default() };
    let (store, _) = open(folder.path(), &options).unwrap();
    let refused = store.commit(put("b")).await;
    assert_eq!(refused, Err(StoreError::Unavailable("the disk is nearly full".into())));
    assert!(store.get(&Key::new("p", "a")).await.unwrap().is_some());
}
