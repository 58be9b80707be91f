//! The keys of an installation: the one that its secrets are sealed with, and its root user's. Made at the first start, kept
//! with the data: as files of the data folder, or in the database that all nodes share.

use std::sync::Arc;

use sereno_base::{AccountId, access_key_id, base64_encode};
use sereno_gateway::RootKey;
use sereno_kernel::{Random, SystemRandom};
use sereno_store_postgres::PostgresStore;

use crate::data_dir::DataDir;

const SERVER_KEY: &str = "server.key";
const ROOT_KEY: &str = "root-credentials";
/// What a backup must hold besides the data.
pub const ALL: [&str; 2] = [SERVER_KEY, ROOT_KEY];

#[derive(Clone)]
pub enum Keys {
    Folder(DataDir),
    Database(PostgresStore),
}

impl Keys {
    pub async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        match self {
            Keys::Folder(folder) => folder.read(name),
            Keys::Database(store) => store.secret(name).await.map_err(|error| error.to_string()),
        }
    }

    /// Keeps the key unless there is one already; answers whether it was kept.
    pub async fn offer(&self, name: &str, value: &[u8]) -> Result<bool, String> {
        match self {
            Keys::Folder(folder) if folder.read(name)?.is_some() => Ok(false),
            Keys::Folder(folder) => folder.write_secret(name, value).map(|()| true),
            Keys::Database(store) => {
                store.offer_secret(name, value).await.map_err(|error| error.to_string())
            }
        }
    }

    /// The key from which all secrets of this installation are derived.
    pub async fn server_key(&self) -> Result<[u8; 32], String> {
        let mut key = [0; 32];
        SystemRandom::default().fill(&mut key);
        let (bytes, _) = self.read_or_make(SERVER_KEY, &key).await?;
        bytes.try_into().map_err(|_| format!("{SERVER_KEY} is damaged: restore it from a backup"))
    }

    /// The root key of `account`, and whether it was made just now.
    pub async fn root_key(&self, account: AccountId) -> Result<(RootKey, bool), String> {
        let random = SystemRandom::default();
        let (mut chance, mut secret) = ([0; 6], [0; 30]);
        random.fill(&mut chance);
        random.fill(&mut secret);
        let id = access_key_id("AKIA", account, chance);
        let made = format!("{id} {}\n", base64_encode(&secret));
        let (bytes, is_new) = self.read_or_make(ROOT_KEY, made.as_bytes()).await?;
        let text = String::from_utf8_lossy(&bytes);
        let (id, secret) = text
            .trim()
            .split_once(' ')
            .ok_or_else(|| format!("{ROOT_KEY} is damaged: delete it to get a new root key"))?;
        let key =
            RootKey { account, access_key_id: id.to_owned(), secret_access_key: Arc::from(secret) };
        Ok((key, is_new))
    }

    async fn read_or_make(&self, name: &str, made: &[u8]) -> Result<(Vec<u8>, bool), String> {
        if let Some(bytes) = self.read(name).await? {
            return Ok((bytes, false));
        }
        let is_new = self.offer(name, made).await?;
        let kept = self.read(name).await?;
        Ok((kept.ok_or_else(|| format!("{name} was removed while it was made"))?, is_new))
    }
}
