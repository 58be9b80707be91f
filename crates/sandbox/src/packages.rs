//! Code packages and layers: archives unpacked once per content, and shown to instances read-only.
//!
//! Invariants: nothing is written outside the package's own new folder, whatever the archive says; a folder with its final
//! name is complete; links never lead out; limits are counted on what is really unpacked, not on what the archive claims.

use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sereno_kernel::sandbox::{Package, PackageError, PackageInfo};

/// More entries than any real package; their folders would cost more than their content.
const ENTRIES_MAX: usize = 100_000;
/// Instances live for less than a day.
const UNUSED_AGE_MAX: Duration = Duration::from_secs(3 * 24 * 3600);
const LINK_BYTES_MAX: u64 = 4096;
const FILE_TYPE_MASK: u32 = 0o170_000;
const FILE_TYPE_LINK: u32 = 0o120_000;

pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    pub fn new(work: &Path) -> Packages {
        Packages { folder: work.join("packages") }
    }

    /// The folder of an unpacked package, unpacking it if it is not there.
    pub async fn unpacked(&self, package: &Package, limit: u64) -> Result<PathBuf, PackageError> {
        let path = self.path(&package.sha256)?;
        if touch(&path) {
            return Ok(path);
        }
        self.fetch_and_unpack(package, limit).await?;
        Ok(path)
    }

    /// As `unpacked`, and counts what is in it.
    pub async fn inspect(
        &self,
        package: &Package,
        limit: u64,
    ) -> Result<PackageInfo, PackageError> {
        let path = self.path(&package.sha256)?;
        if !path.is_dir() {
            return self.fetch_and_unpack(package, limit).await;
        }
        let info = blocking(move || {
            let mut info = PackageInfo { unpacked_bytes: 0, files: 0 };
            count(&path, &mut info).map_err(unavailable)?;
            Ok(info)
        })
        .await?;
        if info.unpacked_bytes > limit {
            let unpacked_bytes = info.unpacked_bytes;
            return Err(PackageError::TooLarge { unpacked_bytes, limit_bytes: limit });
        }
        Ok(info)
    }

    /// One folder with the content of several layers, later ones over earlier ones.
    pub async fn merged(
        &self,
        layers: &[Package],
        limit: u64,
    ) -> Result<Option<PathBuf>, PackageError> {
        let mut folders = Vec::new();
        for layer in layers {
            folders.push(self.unpacked(layer, limit).await?);
        }
        if folders.len() <= 1 {
            return Ok(folders.pop());
        }
        let names: String = layers.iter().map(|layer| layer.sha256.as_str()).collect();
        let target = self.path(&hash(names.as_bytes()))?;
        if touch(&target) {
            return Ok(Some(target));
        }
        let base = self.folder.clone();
        blocking(move || {
            let scratch = scratch(&base).map_err(unavailable)?;
            for folder in &folders {
                overlay(folder, &scratch).map_err(unavailable)?;
            }
            publish(&scratch, &target).map_err(unavailable)?;
            Ok(Some(target))
        })
        .await
    }

    async fn fetch_and_unpack(
        &self,
        package: &Package,
        limit: u64,
    ) -> Result<PackageInfo, PackageError> {
        let target = self.path(&package.sha256)?;
        let bytes = (package.fetch)().await.map_err(|error| {
            PackageError::Unavailable(format!("the package cannot be read: {error}"))
        })?;
        let base = self.folder.clone();
        blocking(move || {
            let scratch = scratch(&base).map_err(unavailable)?;
            match unpack(bytes, &scratch, limit) {
                Ok(info) => {
                    publish(&scratch, &target).map_err(unavailable)?;
                    Ok(info)
                }
                Err(error) => {
                    let _ = fs::remove_dir_all(&scratch);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Removes what no start has asked for in a long time, which is longer than any instance lives. It is fetched and
    /// unpacked again when it is wanted again.
    pub async fn sweep(&self) {
        let folder = self.folder.clone();
        let swept = blocking(move || {
            sweep(&folder, SystemTime::now(), UNUSED_AGE_MAX);
            Ok(())
        });
        // What could not be removed now is met again by the next sweep.
        let _ = swept.await;
    }

    fn path(&self, sha256: &str) -> Result<PathBuf, PackageError> {
        // It becomes a file name: never trust it to be one.
        if sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(self.folder.join(sha256))
        } else {
            Err(PackageError::Invalid("not a SHA-256".to_owned()))
        }
    }
}

/// Is it there? If so, it has been used just now.
fn touch(folder: &Path) -> bool {
    fs::File::open(folder).is_ok_and(|opened| {
        // Its age matters to the sweep only.
        let _ = opened.set_modified(SystemTime::now());
        true
    })
}

fn sweep(folder: &Path, now: SystemTime, age_max: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let used = entry.metadata().and_then(|about| about.modified());
        let old = used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > age_max));
        // First out of the way, so that nobody meets half of it.
        let gone = folder.join(format!("swept-{}", entry.file_name().to_string_lossy()));
        if old && fs::rename(entry.path(), &gone).is_ok() {
            let _ = fs::remove_dir_all(gone);
        }
    }
}

fn unpack(bytes: Bytes, target: &Path, limit: u64) -> Result<PackageInfo, PackageError> {
    let invalid = |error: &dyn std::fmt::Display| PackageError::Invalid(error.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| invalid(&error))?;
    if archive.len() > ENTRIES_MAX {
        return Err(PackageError::Invalid(format!("more than {ENTRIES_MAX} entries")));
    }
    let mut info = PackageInfo { unpacked_bytes: 0, files: 0 };
    // Made last: no file can be written through a link.
    let mut links = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| invalid(&error))?;
        let name = entry.name().map_err(|error| invalid(&error))?.into_owned();
        let path = inside(&name).ok_or_else(|| {
            PackageError::Invalid(format!("{name} is outside of the archive's folder"))
        })?;
        let mode = entry.unix_mode();
        if entry.is_dir() {
            make_folder(&target.join(path)).map_err(unavailable)?;
        } else if mode.is_some_and(|mode| mode & FILE_TYPE_MASK == FILE_TYPE_LINK) {
            let mut link = String::new();
            entry
                .by_ref()
                .take(LINK_BYTES_MAX)
                .read_to_string(&mut link)
                .map_err(|e| invalid(&e))?;
            links.push((path, link));
        } else {
            let left = limit.saturating_sub(info.unpacked_bytes);
            let written = write_file(&mut entry, &target.join(path), mode, left)?;
            info.unpacked_bytes += written;
            info.files += 1;
            if info.unpacked_bytes > limit {
                let unpacked_bytes = info.unpacked_bytes;
                return Err(PackageError::TooLarge { unpacked_bytes, limit_bytes: limit });
            }
        }
    }
    for (path, link) in links {
        make_link(target, &path, &link)?;
        info.files += 1;
    }
    Ok(info)
}

/// The entry's path without anything that could lead out.
fn inside(name: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    if name.contains('\0') {
        return None;
    }
    for component in Path::new(&name.replace('\\', "/")).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!path.as_os_str().is_empty()).then_some(path)
}

fn write_file(
    entry: &mut impl Read,
    path: &Path,
    mode: Option<u32>,
    left: u64,
) -> Result<u64, PackageError> {
    if let Some(parent) = path.parent() {
        make_folder(parent).map_err(unavailable)?;
    }
    let mut file = fs::File::create(path).map_err(unavailable)?;
    let mut buffer = vec![0u8; 64 * 1024];
    let mut written = 0;
    // One byte more than allowed is enough to know.
    let mut limited = entry.take(left + 1);
    loop {
        let count =
            limited.read(&mut buffer).map_err(|error| PackageError::Invalid(error.to_string()))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(unavailable)?;
        written += count as u64;
    }
    // The function runs as another user; what it was given it may read.
    let mode = mode.map_or(0o644, |mode| mode & 0o777) | 0o444;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(unavailable)?;
    Ok(written)
}

fn make_link(target: &Path, path: &Path, link: &str) -> Result<(), PackageError> {
    let mut depth = path.components().count() as i64 - 1;
    let stays = Path::new(link).components().all(|component| {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => depth = i64::MIN / 2,
        }
        depth >= 0
    });
    if !stays {
        return Err(PackageError::Invalid(format!("{} links to outside", path.display())));
    }
    let place = target.join(path);
    if let Some(parent) = place.parent() {
        // A link made before could be on the way; then this one would lie elsewhere.
        let real = fs::canonicalize(target).map_err(unavailable)?;
        make_folder(parent).map_err(unavailable)?;
        if !fs::canonicalize(parent).map_err(unavailable)?.starts_with(real) {
            return Err(PackageError::Invalid(format!("{} is outside", path.display())));
        }
    }
    let _ = fs::remove_file(&place);
    symlink(link, place).map_err(unavailable)
}

fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    match fs::create_dir(path) {
        // Another start was quicker; it gives the folder its mode.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755))),
    }
}

/// A new folder beside the final ones.
fn scratch(base: &Path) -> io::Result<PathBuf> {
    make_folder(base)?;
    let mut name = [0u8; 8];
    getrandom::fill(&mut name).map_err(io::Error::other)?;
    let path = base.join(format!("new-{}", sereno_base::hex(&name)));
    make_folder(&path)?;
    Ok(path)
}

/// Gives a complete folder its name; another one may have been quicker with the same content.
fn publish(scratch: &Path, target: &Path) -> io::Result<()> {
    match fs::rename(scratch, target) {
        Err(_) if target.is_dir() => fs::remove_dir_all(scratch),
        other => other,
    }
}

fn overlay(from: &Path, to: &Path) -> io::Result<()> {
    make_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        let there = fs::symlink_metadata(&target).ok();
        if kind.is_dir() && there.as_ref().is_none_or(|there| there.is_dir()) {
            overlay(&entry.path(), &target)?;
            continue;
        }
        match there {
            Some(there) if there.is_dir() => fs::remove_dir_all(&target)?,
            Some(_) => fs::remove_file(&target)?,
            None => {}
        }
        if kind.is_dir() {
            overlay(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::hard_link(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn count(folder: &Path, info: &mut PackageInfo) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() {
            count(&entry.path(), info)?;
        } else {
            info.files += 1;
            info.unpacked_bytes += if about.is_file() { about.len() } else { 0 };
        }
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    sereno_base::hex(&Sha256::digest(bytes))
}

fn unavailable(error: io::Error) -> PackageError {
    PackageError::Unavailable(error.to_string())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PackageError> + Send + 'static,
) -> Result<T, PackageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(PackageError::Unavailable(error.to_string())))
}

#[cfg(test)]
#[path = "packages_tests.rs"]
mod tests;
