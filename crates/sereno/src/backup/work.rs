//! The work itself, the same in a running server and in a command.

use std::path::Path;

use sereno_kernel::Cloud;
use sereno_store::{BlobRef, Key, Result as StoreResult};
use sereno_store_local::backup::{self, Guide, Progress, Report};

use crate::keys;
use crate::place::Place;

type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);
type References<'a> = &'a (dyn Fn(&Key, &[u8]) -> StoreResult<Vec<BlobRef>> + Send + Sync);

fn guide<'a>(references: References<'a>, progress: Told<'a>) -> Guide<'a> {
    Guide { references, progress }
}

pub async fn backup(
    place: &Place,
    cloud: &Cloud,
    folder: &Path,
    progress: Told<'_>,
) -> Result<Report, String> {
    let mut files = Vec::new();
    for name in keys::ALL {
        files.extend(place.keys.read(name).await?.map(|content| (name, content)));
    }
    let references = |key: &Key, value: &[u8]| cloud.blob_references(key, value);
    let guide = guide(&references, progress);
    let saved = backup::backup(&*place.store, &*place.blobs, &files, guide, folder).await;
    saved.map_err(|error| error.to_string())
}

/// Into an empty place.
pub async fn restore(place: &Place, folder: &Path, progress: Told<'_>) -> Result<Report, String> {
    for name in keys::ALL {
        match std::fs::read(folder.join(name)) {
            Ok(content) => drop(place.keys.offer(name, &content).await?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(format!("cannot read {}: {error}", folder.join(name).display()));
            }
        }
    }
    let cloud = place.cloud().await?;
    let references = |key: &Key, value: &[u8]| cloud.blob_references(key, value);
    let guide = guide(&references, progress);
    let restored = backup::restore(&*place.store, &*place.blobs, guide, folder).await;
    restored.map_err(|error| error.to_string())
}

/// From one place into another, empty one.
pub async fn migrate(from: &Place, to: &Place, progress: Told<'_>) -> Result<Report, String> {
    for name in keys::ALL {
        if let Some(content) = from.keys.read(name).await? {
            to.keys.offer(name, &content).await?;
        }
    }
    let cloud = from.cloud().await?;
    let references = |key: &Key, value: &[u8]| cloud.blob_references(key, value);
    let guide = guide(&references, progress);
    let (old, new) = ((&*from.store, &*from.blobs), (&*to.store, &*to.blobs));
    backup::migrate(old, new, guide).await.map_err(|error| error.to_string())
}

/// Reads everything.
pub async fn verify(place: &Place, cloud: &Cloud, progress: Told<'_>) -> Result<Report, String> {
    let references = |key: &Key, value: &[u8]| cloud.blob_references(key, value);
    let guide = guide(&references, progress);
    backup::check(&*place.store, &*place.blobs, guide).await.map_err(|error| error.to_string())
}
