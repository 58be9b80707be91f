//! Blobs as files.

use crate::folder::Folder;
use bytes::Bytes;
use sereno_store::{BlobRef, Blobs, StoreError, read_blob, write_blob};
use sereno_store_local::FileBlobs;

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
async fn drafts_of_a_crash_vanish_unless_they_may_be_others() {
    let folder = Folder::new();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let drafts = || std::fs::read_dir(folder.path().join("draft")).unwrap().count();
    write_blob(&blobs, Bytes::from_static(b"kept")).await.unwrap();
    let mut unfinished = blobs.create().await.unwrap();
    unfinished.write(Bytes::from_static(b"half")).await.unwrap();
    drop(unfinished);
    assert_eq!(drafts(), 0);
    let mut crashed = blobs.create().await.unwrap();
    crashed.write(Bytes::from_static(b"half")).await.unwrap();
    std::mem::forget(crashed);
    drop(FileBlobs::open_shared(folder.path()).unwrap());
    assert_eq!(drafts(), 1);
    let blobs = FileBlobs::open(folder.path()).unwrap();
    assert_eq!((drafts(), blobs.list().await.unwrap().len()), (0, 1));
}

#[tokio::test]
async fn what_is_held_is_deleted_afterwards() {
    let folder = Folder::new();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let blob = write_blob(&blobs, Bytes::from_static(b"held")).await.unwrap();
    let (first, second) = (blobs.hold(), blobs.hold());
    blobs.delete(&blob.id).await.unwrap();
    drop(first);
    assert_eq!(read_blob(&blobs, &blob, 10).await.unwrap(), Bytes::from_static(b"held"));
    drop(second);
    assert!(blobs.open(&blob.id, 0..1).await.is_err());
}

#[tokio::test]
async fn content_is_held_to_its_name() {
    let (folder, other) = (Folder::new(), Folder::new());
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let copies = FileBlobs::open(other.path()).unwrap();
    let blob = write_blob(&blobs, Bytes::from_static(b"content")).await.unwrap();
    let adopt = async |content: &'static [u8]| {
        let mut writer = copies.adopt(&blob.id).await.unwrap();
        writer.write(Bytes::from_static(content)).await.unwrap();
        writer.finish().await
    };
    assert!(matches!(adopt(b"contend").await, Err(StoreError::Corrupt(_))));
    assert_eq!(adopt(b"content").await.unwrap(), blob);

    std::fs::write(blobs.path(&blob.id).unwrap(), b"contend").unwrap();
    assert!(matches!(read_blob(&blobs, &blob, 10).await, Err(StoreError::Corrupt(_))));
    // A part cannot be checked.
    assert_eq!(part(&blobs, &blob, 0..3).await, b"con");
}
