//! The sweep: what is referred to stays, what is not goes, and nothing goes where that is not known.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sereno_api_sts::SERVICE;
use sereno_kernel::Service;
use sereno_store::{
    Batch, BlobRef, Blobs, Key, MemoryBlobs, MemoryStore, Mutation, Scope, Store, StoreError,
    Table, record, write_blob,
};
use sereno_testkit::TestCloud;

record! {
    pub struct PackageRecord {
        1 => code: BlobRef,
        2 => older: Vec<BlobRef>,
    }
}

const PACKAGES: Table<String, PackageRecord> = Table::new("sts", "packages");

fn cloud(store: &Arc<MemoryStore>, blobs: &MemoryBlobs) -> TestCloud {
    let service = Service::new(&SERVICE).blobs(PACKAGES, |package: PackageRecord| {
        package.older.into_iter().chain([package.code]).collect()
    });
    TestCloud::on(Arc::clone(store) as Arc<dyn Store>, Arc::new(blobs.clone()))
        .service(service)
        .build()
}

async fn ids(blobs: &MemoryBlobs) -> Vec<String> {
    blobs.list().await.unwrap().into_iter().map(|blob| blob.id).collect()
}

#[tokio::test]
async fn only_what_nothing_refers_to_goes() {
    let (store, blobs) = (Arc::<MemoryStore>::default(), MemoryBlobs::new());
    let cloud = cloud(&store, &blobs);
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(write_blob(&blobs, Bytes::from(vec![number; 10])).await.unwrap());
    }
    let mut batch = Batch::new();
    let package = PackageRecord { code: made[0].clone(), older: made[1..3].to_vec() };
    PACKAGES.put(&mut batch, Scope::GLOBAL, "one", &package);
    store.commit(batch).await.unwrap();

    assert_eq!(cloud.cloud().sweep_blobs(Duration::from_secs(60)).await, Ok(0), "all are young");
    assert_eq!(cloud.cloud().sweep_blobs(Duration::ZERO).await, Ok(2));
    assert_eq!(ids(&blobs).await, made[..3].iter().map(|blob| blob.id.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_goes_where_a_record_cannot_be_understood() {
    let (store, blobs) = (Arc::<MemoryStore>::default(), MemoryBlobs::new());
    let cloud = cloud(&store, &blobs);
    write_blob(&blobs, Bytes::from_static(b"whose?")).await.unwrap();
    let stranger = Mutation::Put(Key::new(b"sqs\0\x01queues\0\x01", "x"), vec![]);
    store.commit(Batch::new().with(stranger.clone())).await.unwrap();
    let swept = cloud.cloud().sweep_blobs(Duration::ZERO).await;
    assert!(matches!(swept, Err(StoreError::Unavailable(_))), "{swept:?}");

    let Mutation::Put(key, _) = stranger else { unreachable!() };
    let damaged = Mutation::Put(PACKAGES.key(Scope::GLOBAL, "x"), vec![0xff; 3]);
    store.commit(Batch::new().with(Mutation::Delete(key)).with(damaged)).await.unwrap();
    let swept = cloud.cloud().sweep_blobs(Duration::ZERO).await;
    assert!(matches!(swept, Err(StoreError::Corrupt(_))), "{swept:?}");
    assert_eq!(ids(&blobs).await.len(), 1);
}
