//! Backups taken while writers go on, restored, checked.

use crate::folder::Folder;
use bytes::Bytes;
use sereno_store::{
    Batch, BlobRef, Blobs, Counter, Key, Mutation, Range, Read, Record, Result, Store, StoreError,
    read_blob, write_blob,
};
use sereno_store_local::backup::{Guide, backup, check, migrate, restore};
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

/// Entries of the partition `blobs` refer to one.
fn references(key: &Key, value: &[u8]) -> Result<Vec<BlobRef>> {
    let refers = key.partition == b"blobs";
    refers.then(|| BlobRef::decode(&Bytes::copy_from_slice(value))).into_iter().collect()
}

const GUIDE: Guide<'static> = Guide { references: &references, progress: &|_| () };

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
                // One goes, as it would when an object is written over.
                let key = Key::new("blobs", (number - 40).to_be_bytes());
                let (_, old) = store.get(&key).await.unwrap().unwrap();
                store.commit(Batch::new().with(Mutation::Delete(key))).await.unwrap();
                blobs.delete(&BlobRef::decode(&old).unwrap().id).await.unwrap();
            }
        }
    });
    for (round, engine) in [EngineKind::Redb, EngineKind::Fjall].into_iter().enumerate() {
        let folder = saved.path().join(round.to_string());
        let report = backup(&store, &blobs, &[("key", vec![7])], GUIDE, &folder).await.unwrap();
        assert!(report.blobs >= 40 && report.entries.entries >= 42, "{report:?}");
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(std::fs::read(folder.join("key")).unwrap(), [7]);
        assert!(backup(&store, &blobs, &[], GUIDE, &folder).await.is_err(), "it is there already");

        // Into another engine.
        let target = Folder::new();
        let (copy, copied) =
            open(target.path(), &Options { engine, ..Options::default() }).unwrap();
        assert_eq!(restore(&copy, &copied, GUIDE, &folder).await.unwrap(), report);
        let sides = copy.range(&Range::all(b"p".to_vec())).await.unwrap();
        assert_eq!(sides[0].value, sides[1].value);
        for blob in referred(&copy).await {
            assert_eq!(read_blob(&copied, &blob, 1_000).await.unwrap().len(), 1_000);
        }
        let checked = check(&copy, &copied, GUIDE).await.unwrap();
        assert_eq!((checked.blobs, checked.problems), (report.blobs, Vec::new()));
        let again = restore(&copy, &copied, GUIDE, &folder).await;
        assert!(again.is_err(), "not into what is not empty");

        let target = Folder::new();
        let (moved, carried) = open(target.path(), &Options::default()).unwrap();
        let migrated = migrate((&copy, &copied), (&moved, &carried), GUIDE).await.unwrap();
        assert_eq!((migrated.blobs, migrated.problems), (report.blobs, Vec::new()));
        assert_eq!(referred(&moved).await, referred(&copy).await);
        assert_eq!(check(&moved, &carried, GUIDE).await.unwrap().blobs, report.blobs);
    }
    writer.abort();
}

#[tokio::test]
async fn a_check_finds_what_is_wrong() {
    let folder = Folder::new();
    let (store, blobs) = open(folder.path(), &Options::default()).unwrap();
    for number in 0..4 {
        write(&store, &blobs, number).await;
    }
    let mut all = referred(&store).await;
    blobs.delete(&all[0].id).await.unwrap();
    all[1].len += 1;
    let longer = Mutation::Put(Key::new("blobs", 1_i64.to_be_bytes()), all[1].to_bytes());
    store.commit(Batch::new().with(longer)).await.unwrap();
    let path = blobs.path(&all[2].id).unwrap();
    let mut content = std::fs::read(&path).unwrap();
    content[500] ^= 1;
    std::fs::write(&path, content).unwrap();
    let report = check(&store, &blobs, GUIDE).await.unwrap();
    let [missing, longer, damaged] = [&all[0].id, &all[1].id, &all[2].id];
    let mut expected = [
        format!("blob {missing} is missing"),
        format!("blob {longer} has 1000 bytes instead of 1001"),
        format!("blob {damaged} is damaged: its content does not fit its checksum"),
    ];
    let mut problems = report.problems;
    expected.sort();
    problems.sort();
    assert_eq!((report.blobs, problems), (1, expected.to_vec()));
    assert_eq!(report.entries.entries, 6);
    assert!(matches!(read_blob(&blobs, &all[2], 1_000).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn an_unfinished_or_damaged_backup_is_refused() {
    let (source, saved, target) = (Folder::new(), Folder::new(), Folder::new());
    let (store, blobs) = open(source.path(), &Options::default()).unwrap();
    write(&store, &blobs, 1).await;
    let folder = saved.path().join("backup");
    backup(&store, &blobs, &[], GUIDE, &folder).await.unwrap();
    let (copy, copied) = open(target.path(), &Options::default()).unwrap();

    let entries = folder.join("entries");
    let aside = saved.path().join("entries");
    std::fs::rename(&entries, &aside).unwrap();
    let error = restore(&copy, &copied, GUIDE, &folder).await.unwrap_err().to_string();
    assert!(error.contains("not finished"), "{error}");
    std::fs::rename(&aside, &entries).unwrap();

    let shelf = folder.join("blobs");
    let blob = std::fs::read_dir(&shelf).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, vec![0; 1_000]).unwrap();
    let error = restore(&copy, &copied, GUIDE, &folder).await.unwrap_err().to_string();
    assert!(error.contains("does not fit its checksum"), "{error}");
}
