//! Where a cloud's data is: in a folder of this machine, or in a database with an object store, which several servers share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sereno_kernel::Cloud;
use sereno_store::{Blobs, Store};
use sereno_store_local::{Durability, EngineKind, FileBlobs};
use sereno_store_postgres::{Bucket, ObjectBlobs, PostgresStore};

use crate::data_dir::DataDir;
use crate::keys::Keys;
use crate::services;

/// What a crash of the machine may take back under `--durability relaxed`.
const RELAXED_INTERVAL: Duration = Duration::from_secs(1);
/// Says in the database that a restore into it has begun and not ended.
const UNFINISHED: &str = "unfinished";

/// Names a place on the command line.
#[derive(Args, Clone, Default)]
pub struct PlaceOptions {
    /// Folder that holds all data. Default: $XDG_DATA_HOME/sereno or ~/.local/share/sereno.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,

    /// The database that holds all data instead, for several servers at once:
    /// postgres://user:password@host:port/database. --data is then this node's own scratch folder.
    #[arg(
        long,
        value_name = "URL",
        env = "SERENO_STORE",
        hide_env_values = true,
        requires = "objects"
    )]
    pub store: Option<String>,

    /// With --store: where large objects are. A folder that all nodes see, or
    /// http://host:port/bucket[/prefix] of an S3-compatible store, whose keys are in
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    #[arg(
        long,
        value_name = "FOLDER|URL",
        env = "SERENO_OBJECTS",
        hide_env_values = true,
        requires = "store"
    )]
    pub objects: Option<String>,
}

/// How a folder's data is kept.
#[derive(Args, Clone)]
pub struct FolderOptions {
    /// The embedded engine of a new data folder. A folder stays with the one it was made with.
    #[arg(long, value_enum, default_value_t = EngineOption::Fjall, conflicts_with = "store")]
    pub engine: EngineOption,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum EngineOption {
    /// Log-structured: fast durable writes.
    Fjall,
    /// A B-tree in one file: fast reads.
    Redb,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum DurabilityOption {
    /// A write is on disk before it is answered.
    Durable,
    /// A write is answered before it is on disk: a crash of the machine may lose the last second. For CI.
    Relaxed,
}

/// An opened place.
#[derive(Clone)]
pub struct Place {
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn Blobs>,
    pub keys: Keys,
    /// For people; without passwords.
    pub name: String,
}

impl PlaceOptions {
    pub fn folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(DataDir::default_path)
    }

    pub async fn open(
        &self,
        engine: EngineOption,
        durability: DurabilityOption,
    ) -> Result<Place, String> {
        match (&self.store, &self.objects) {
            (Some(url), Some(objects)) => {
                let (place, store) = database(url, objects).await?;
                match store.secret(UNFINISHED).await.map_err(|error| error.to_string())? {
                    None => Ok(place),
                    Some(_) => Err(format!(
                        "a restore or migration into {} has not ended: run it again",
                        place.name
                    )),
                }
            }
            _ => folder(&self.folder(), engine, durability),
        }
    }

    /// Where there is data already: makes nothing. An existing folder says itself which engine it has.
    pub async fn open_existing(&self) -> Result<Place, String> {
        if self.store.is_some() {
            return self.open(EngineOption::Fjall, DurabilityOption::Durable).await;
        }
        let path = self.folder();
        let format = std::fs::read_to_string(path.join("format"));
        let format = format.map_err(|_| format!("{} is no data folder", path.display()))?;
        let redb = format.trim_end().ends_with(EngineKind::Redb.name());
        let engine = if redb { EngineOption::Redb } else { EngineOption::Fjall };
        folder(&path, engine, DurabilityOption::Durable)
    }

    /// Fills an empty place: all or nothing, seen from a later start.
    pub async fn fill<T>(
        &self,
        engine: EngineOption,
        work: impl AsyncFnOnce(&Place) -> Result<T, String>,
    ) -> Result<T, String> {
        match (&self.store, &self.objects) {
            (Some(url), Some(objects)) => fill_database(url, objects, work).await,
            _ => fill_folder(&self.folder(), engine, work).await,
        }
    }
}

async fn fill_folder<T>(
    path: &Path,
    engine: EngineOption,
    work: impl AsyncFnOnce(&Place) -> Result<T, String>,
) -> Result<T, String> {
    let failed = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
    // An empty folder is as good as none; one with anything in it stays untouched.
    match std::fs::remove_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => {
            return Err(format!("{} is not empty: give a new folder with --data", path.display()));
        }
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    // Of an earlier try.
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)
            .map_err(|error| failed(&format!("remove {}", unfinished.display()), error))?;
    }
    let place = folder(&unfinished, engine, DurabilityOption::Durable)?;
    let done = work(&place).await?;
    drop(place);
    std::fs::rename(&unfinished, path)
        .map_err(|error| failed(&format!("rename {}", unfinished.display()), error))?;
    Ok(done)
}

async fn fill_database<T>(
    url: &str,
    objects: &str,
    work: impl AsyncFnOnce(&Place) -> Result<T, String>,
) -> Result<T, String> {
    let (place, store) = database(url, objects).await?;
    let told = |error: sereno_store::StoreError| error.to_string();
    if !store.offer_secret(UNFINISHED, b"").await.map_err(told)? {
        // Of an earlier try.
        store.clear().await.map_err(told)?;
        for name in crate::keys::ALL {
            store.remove_secret(name).await.map_err(told)?;
        }
    } else if !place.is_empty().await? {
        store.remove_secret(UNFINISHED).await.map_err(told)?;
        return Err(format!("{} is not empty: give a new database", place.name));
    }
    let done = work(&place).await?;
    store.remove_secret(UNFINISHED).await.map_err(told)?;
    Ok(done)
}

fn folder(
    path: &Path,
    engine: EngineOption,
    durability: DurabilityOption,
) -> Result<Place, String> {
    let folder = DataDir::open(path.to_owned())?;
    let options = sereno_store_local::Options {
        engine: match engine {
            EngineOption::Fjall => EngineKind::Fjall,
            EngineOption::Redb => EngineKind::Redb,
        },
        durability: match durability {
            DurabilityOption::Durable => Durability::Durable,
            DurabilityOption::Relaxed => Durability::Relaxed { interval: RELAXED_INTERVAL },
        },
        ..Default::default()
    };
    let (store, blobs) = sereno_store_local::open(folder.path(), &options)
        .map_err(|error| format!("cannot open {}: {error}", folder.path().display()))?;
    Ok(Place {
        store: Arc::new(store),
        blobs: Arc::new(blobs),
        name: folder.path().display().to_string(),
        keys: Keys::Folder(folder),
    })
}

async fn database(url: &str, objects: &str) -> Result<(Place, PostgresStore), String> {
    let name = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    let name = name.split('?').next().unwrap_or(name).to_owned();
    let options = sereno_store_postgres::Options::default();
    let store = PostgresStore::open(url, &options)
        .await
        .map_err(|error| format!("cannot open the database {name}: {error}"))?;
    let opened = if objects.contains("://") {
        ObjectBlobs::new(&bucket(objects)?).map(|blobs| Arc::new(blobs) as Arc<dyn Blobs>)
    } else {
        FileBlobs::open_shared(Path::new(objects)).map(|blobs| Arc::new(blobs) as Arc<dyn Blobs>)
    };
    let blobs = opened.map_err(|error| format!("cannot open {objects}: {error}"))?;
    let place = Place {
        store: Arc::new(store.clone()),
        blobs,
        name: format!("database {name}"),
        keys: Keys::Database(store.clone()),
    };
    Ok((place, store))
}

/// `http://host:port/bucket[/prefix]`
fn bucket(url: &str) -> Result<Bucket, String> {
    let wrong =
        || format!("--objects {url} is neither a folder nor http://host:port/bucket[/prefix]");
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    let (bucket, prefix) = path.trim_end_matches('/').split_once('/').unwrap_or((path, ""));
    let bucket = bucket.trim_end_matches('/');
    if host.is_empty() || bucket.is_empty() {
        return Err(wrong());
    }
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| format!("--objects {url} needs the variable {name}"))
    };
    Ok(Bucket {
        endpoint: format!("{scheme}://{host}"),
        bucket: bucket.to_owned(),
        region: variable("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()),
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?,
        prefix: prefix.to_owned(),
    })
}

impl Place {
    async fn is_empty(&self) -> Result<bool, String> {
        let snapshot = self.store.snapshot().await.map_err(|error| error.to_string())?;
        Ok(snapshot.page(None, 1).await.map_err(|error| error.to_string())?.is_empty())
    }

    /// All services over this place: they know which blobs their records refer to.
    pub async fn cloud(&self) -> Result<Arc<Cloud>, String> {
        let server_key = self.keys.server_key().await?;
        let builder = Cloud::builder(Arc::clone(&self.store), Arc::clone(&self.blobs));
        Ok(services::register(builder, &self.store, server_key).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_told_from_its_address() {
        let refused = |url: &str| assert!(bucket(url).is_err(), "{url}");
        refused("http://host:9000");
        refused("http:///bucket");
        refused("http://host:9000/");
    }
}
