//! Blobs as files.

use crate::folder::Folder;
use bytes::Bytes;
use sereno_store::{BlobRef, Blobs, StoreError, read_blob, write_blob};
use sereno_store_local::FileBlobs;
use std::collections::HashSet;
use std::time::Duration;

async fn part(blobs: &dyn Blobs, blob: &BlobRef, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut reader = blobs.open(&blob.id, range).await.unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    whole
}

#[tokio::test]
async fn blobs_come_back_whole_and_in_parts() {
    let folder = Folder::new();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let content: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut writer = blobs.create().await.unwrap();
    for piece in [&content[..10], &content[10..600_000], &content[600_000..]] {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    let blob = writer.finish().await.unwrap();
    assert_eq!(blob.len, 1_000_000);
    assert_eq!(read_blob(&blobs, &blob, 1_000_000).await.unwrap(), content);
    assert!(matches!(read_blob(&blobs, &blob, 999_999).await, Err(StoreError::TooLarge(_))));
    assert_eq!(part(&blobs, &blob, 5..700_000).await, &content[5..700_000]);
    assert_eq!(part(&blobs, &blob, 7..7).await, b"");
    assert_eq!(std::fs::read(blobs.path(&blob.id).unwrap()).unwrap(), content);
    assert!(blobs.open(&blob.id, 0..1_000_001).await.is_err());
    let empty = write_blob(&blobs, Bytes::new()).await.unwrap();
    assert_eq!(read_blob(&blobs, &empty, 0).await.unwrap(), Bytes::new());
    blobs.delete(&blob.id).await.unwrap();
    blobs.delete(&blob.id).await.unwrap();
    assert!(blobs.open(&blob.id, 0..1).await.is_err());
    for id in ["", "../../etc/passwd", "ABCDEF00ABCDEF00ABCDEF00ABCDEF00"] {
        assert_eq!(blobs.path(id), None);
        assert!(blobs.open(id, 0..0).await.is_err());
    }
}

#[tokio::test]
async fn drafts_vanish_and_the_sweep_spares_what_is_referenced_or_young() {
    let folder = Folder::new();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let kept = write_blob(&blobs, Bytes::from_static(b"kept")).await.unwrap();
    let lost = write_blob(&blobs, Bytes::from_static(b"lost")).await.unwrap();
    let mut unfinished = blobs.create().await.unwrap();
    unfinished.write(Bytes::from_static(b"half")).await.unwrap();
    drop(unfinished);
    let mut crashed = blobs.create().await.unwrap();
    crashed.write(Bytes::from_static(b"half")).await.unwrap();
    std::mem::forget(crashed);
    assert_eq!(std::fs::read_dir(folder.path().join("draft")).unwrap().count(), 1);
    let blobs = FileBlobs::open(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("draft")).unwrap().count(), 0);
    assert_eq!(blobs.list().await.unwrap().len(), 2);

    let referenced = HashSet::from([kept.id.clone()]);
    let hour = Duration::from_secs(3600);
    assert_eq!(blobs.sweep(referenced.clone(), hour).await, Ok(0));
    assert_eq!(blobs.sweep(referenced, Duration::ZERO).await, Ok(1));
    assert_eq!(read_blob(&blobs, &kept, 10).await.unwrap(), Bytes::from_static(b"kept"));
    assert!(blobs.open(&lost.id, 0..1).await.is_err());
}
