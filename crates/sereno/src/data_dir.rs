//! The folder that holds everything: the database, the blobs, the installation's key and its root credentials.
//!
//! Invariant: what is secret is readable by its owner alone, from the moment its file exists.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sereno_base::{AccountId, access_key_id, base64_encode};
use sereno_gateway::RootKey;
use sereno_kernel::{Random, SystemRandom};

pub struct DataDir {
    path: PathBuf,
}

const SERVER_KEY_FILE: &str = "server.key";
const ROOT_KEY_FILE: &str = "root-credentials";

impl DataDir {
    /// Makes the folder if there is none, readable by its owner alone.
    pub fn open(path: PathBuf) -> Result<DataDir, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| format!("cannot make the data folder {}: {error}", path.display()))?;
        let path = path
            .canonicalize()
            .map_err(|error| format!("cannot open the data folder {}: {error}", path.display()))?;
        Ok(DataDir { path })
    }

    /// `$XDG_DATA_HOME/sereno`, or `~/.local/share/sereno`.
    pub fn default_path() -> PathBuf {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
        data.or_else(home).unwrap_or_else(|| PathBuf::from(".")).join("sereno")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The key from which all secrets of this installation are derived; made at the first start.
    pub fn server_key(&self) -> Result<[u8; 32], String> {
        let bytes = self.read_or_make(SERVER_KEY_FILE, |random| {
            let mut key = [0; 32];
            random.fill(&mut key);
            key.to_vec()
        })?;
        bytes.0.try_into().map_err(|_| {
            format!("{} is damaged: restore it from a backup", self.file(SERVER_KEY_FILE).display())
        })
    }

    /// The root key of `account`, and whether it was made just now.
    pub fn root_key(&self, account: AccountId) -> Result<(RootKey, bool), String> {
        let (bytes, is_new) = self.read_or_make(ROOT_KEY_FILE, |random| {
            let mut chance = [0; 6];
            random.fill(&mut chance);
            let id = access_key_id("AKIA", account, chance);
            let mut secret = [0; 30];
            random.fill(&mut secret);
            format!("{id} {}\n", base64_encode(&secret)).into_bytes()
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let (id, secret) = text.trim().split_once(' ').ok_or_else(|| {
            let path = self.file(ROOT_KEY_FILE);
            format!("{} is damaged: delete it to get a new root key", path.display())
        })?;
        let key =
            RootKey { account, access_key_id: id.to_owned(), secret_access_key: Arc::from(secret) };
        Ok((key, is_new))
    }

    fn read_or_make(
        &self,
        name: &str,
        make: impl FnOnce(&dyn Random) -> Vec<u8>,
    ) -> Result<(Vec<u8>, bool), String> {
        let path = self.file(name);
        let failed = |error: io::Error| format!("cannot read or write {}: {error}", path.display());
        match File::open(&path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                Ok((bytes, false))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = make(&SystemRandom::default());
                self.write_secret(&path, &bytes).map_err(failed)?;
                Ok((bytes, true))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// All of it or nothing, also if the machine stops in between.
    fn write_secret(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let unfinished = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(&self.path)?.sync_all()
    }
}
