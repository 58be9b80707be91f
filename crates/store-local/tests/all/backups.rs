//! Backups taken while writers go on, restored, checked.

use crate::folder::Folder;
use bytes::Bytes;
use sereno_store::{
    Batch, BlobRef, Blobs, Counter, Key, Mutation, Range, Read, Record, Store, read_blob,
    write_blob,
};
use sereno_store_local::backup::{backup, check, restore};
use sereno_store_local::{EngineKind, FileBlobs, LocalStore, Options, open};

/// Two keys that always agree, and a blob whose record is committed after it.
async fn write(store: &LocalStore, blobs: &FileBlobs, number: i64) {
    let blob = write_blob(blobs, Bytes::from(vec![number as u8; 1_000])).await.unwrap();
    let agree = Counter(number).to_bytes();
    let batch = Batch::new()
        .with(Mutation::Put(Key::new("p", "left"), agree.clone()))
        .with(Mutation::Put(Key::new("p", "right"), agree))
        .with(Mutation::Put(Key::new("blobs", number.to_be_bytes()), blob.to_bytes()));
    store.commit(batch).await.unwrap();
}

async fn referred(store: &LocalStore) -> Vec<BlobRef> {
    let entries = store.range(&Range::all(b"blobs".to_vec())).await.unwrap();
    entries.into_iter().map(|entry| BlobRef::decode(&entry.value).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_busy_store_is_one_moment_of_it() {
    let (source, saved) = (Folder::new(), Folder::new());
    let (store, blobs) = open(source.path(), &Options::default()).unwrap();
    for number in 0..50 {
        write(&store, &blobs, number).await;
    }
    let writer = tokio::spawn({
        let (store, blobs) = (store.clone(), blobs.clone());
        async move {
            for number in 50.. {
                write(&store, &blobs, number).await;
            }
        }
    });
    for (round, engine) in [EngineKind::Redb, EngineKind::Fjall].into_iter().enumerate() {
        let folder = saved.path().join(round.to_string());
        let report = backup(&store, &blobs, &folder).await.unwrap();
        assert!(report.blobs >= 50 && report.entries.entries >= 52, "{report:?}");
        assert!(backup(&store, &blobs, &folder).await.is_err(), "it is there already");

        // Into another engine.
        let target = Folder::new();
        let (copy, copied) =
            open(target.path(), &Options { engine, ..Options::default() }).unwrap();
        assert_eq!(restore(&copy, &copied, &folder).await.unwrap(), report);
        let sides = copy.range(&Range::all(b"p".to_vec())).await.unwrap();
        assert_eq!(sides[0].value, sides[1].value);
        let blobs = referred(&copy).await;
        assert_eq!(blobs.len() as i64, Counter::decode(&sides[0].value).unwrap().0 + 1);
        for (number, blob) in blobs.iter().enumerate() {
            let content = read_blob(&copied, blob, 1_000).await.unwrap();
            assert_eq!(content, vec![number as u8; 1_000]);
        }
        let checked = check(&copy, &copied, blobs, true).await.unwrap();
        assert_eq!(checked.problems, Vec::<String>::new());
        assert!(restore(&copy, &copied, &folder).await.is_err(), "not into what is not empty");
    }
    writer.abort();
}

#[tokio::test]
async fn a_check_finds_what_is_wrong() {
    let folder = Folder::new();
    let (store, blobs) = open(folder.path(), &Options::default()).unwrap();
    for number in 0..3 {
        write(&store, &blobs, number).await;
    }
    let mut all = referred(&store).await;
    blobs.delete(&all[0].id).await.unwrap();
    all[1].len += 1;
    let report = check(&store, &blobs, all.clone(), true).await.unwrap();
    let (missing, longer) = (&all[0].id, &all[1].id);
    let expected = [
        format!("blob {missing} is missing"),
        format!("blob {longer} has 1000 bytes instead of 1001"),
    ];
    assert_eq!((report.blobs, report.problems), (1, expected.to_vec()));
    assert_eq!(report.entries.entries, 5);
}
