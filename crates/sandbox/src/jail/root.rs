//! The read-only tree that every instance of a runtime sees: the system's programs and libraries, the interpreter, a few
//! files of `/etc`, devices without side effects, and empty places for what differs between instances.
//!
//! Invariants: everything is mounted read-only and without set-user-id; nothing of `/root`, `/home`, `/var`, `/run`, `/sys`
//! or the server's data is in it, except an interpreter's own folder when it is installed there.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{MountFlags, mount, mount_bind_recursive};

use crate::runtime_files::SDK_FOLDER;
use crate::sys::{Attributes, set_attributes};

/// Folders that are symbolic links on merged systems and real ones on others.
const SYSTEM: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Taken from the host where they exist: name resolution, certificates, time zone, the dynamic linker, runtimes' settings.
const ETC: [&str; 14] = [
    "ssl",
    "pki",
    "ca-certificates",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "resolv.conf",
    "nsswitch.conf",
    "localtime",
    "mime.types",
    "protocols",
    "services",
    "os-release",
    "alternatives",
];
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
const PLACES: [&str; 7] = ["proc", "dev", "etc", "tmp", "opt", "var/task", "var/runtime"];

pub const USER_ID: u32 = 993;
pub const GROUP_ID: u32 = 990;
/// As in AWS's sandboxes, so that `getpass.getuser()` and `os.userInfo()` work.
const USER_NAME: &str = "sbx_user1051";

/// Folders of ours and of the machine's owner that functions see.
pub struct Sources {
    /// The bootstraps, seen as `/var/runtime`.
    pub runtime: PathBuf,
    /// Local ports that the server answers on in an instance's network.
    pub ports: Vec<u16>,
    /// AWS SDKs, seen as `/var/runtime/sdk`.
    pub sdk: Option<PathBuf>,
}

/// Builds the tree at `root` (an existing empty folder) inside the helper's own mount namespace.
/// `prefixes`: interpreters outside `/usr`.
/// `own_network`: names are asked of the server, not of the host's name servers.
pub fn build(
    root: &Path,
    prefixes: &[String],
    sources: &Sources,
    own_network: bool,
) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("sereno", root, "tmpfs", flags, Some(c"mode=755,size=4m"))?;
    for place in PLACES {
        fs::create_dir_all(root.join(place))?;
    }
    for name in SYSTEM {
        system_folder(root, name)?;
    }
    etc(root, own_network)?;
    devices(root)?;
    for prefix in prefixes {
        bind(Path::new(prefix), &root.join(prefix.trim_start_matches('/')))?;
    }
    bind(&sources.runtime, &root.join("var/runtime"))?;
    if let Some(sdk) = &sources.sdk {
        bind(sdk, &root.join("var/runtime").join(SDK_FOLDER))?;
    }
    let all = Attributes { read_only: true, no_devices: false, recursive: true };
    set_attributes(CWD, &text(root)?, all)
}

/// Everything the mounts of an interpreter need, by where its executable is: its installation folder, when outside `/usr`.
pub fn prefix_of(executable: &Path) -> Option<PathBuf> {
    let under = |folder: &str| executable.starts_with(folder);
    if ["/usr", "/bin", "/sbin", "/lib"].into_iter().any(under) {
        return None;
    }
    if under("/nix/store") {
        return Some("/nix/store".into());
    }
    let prefix = executable.parent()?.parent()?;
    // `~/bin/node`: a home folder must not be shown because a program lies in it.
    let home = prefix
        .parent()
        .is_none_or(|parent| parent == Path::new("/") || parent == Path::new("/home"));
    Some(if home { executable } else { prefix }.to_owned())
}

fn system_folder(root: &Path, name: &str) -> io::Result<()> {
    let source = Path::new("/").join(name);
    match fs::symlink_metadata(&source) {
        Err(_) => Ok(()),
        Ok(found) if found.is_symlink() => symlink(fs::read_link(&source)?, root.join(name)),
        Ok(_) => bind(&source, &root.join(name)),
    }
}

fn etc(root: &Path, own_network: bool) -> io::Result<()> {
    let target = root.join("etc");
    for name in ETC {
        // Links (resolv.conf often is one, to /run) are followed here, because their targets are not in the tree.
        if name == "resolv.conf" && own_network {
            fs::write(target.join(name), "nameserver 127.0.0.1\n")?;
        } else if let Ok(source) = fs::canonicalize(Path::new("/etc").join(name)) {
            bind(&source, &target.join(name))?;
        }
    }
    for entry in fs::read_dir("/etc")?.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("java") && entry.path().is_dir() {
            bind(&entry.path(), &target.join(&name))?;
        }
    }
    let passwd = format!(
        "root:x:0:0:root:/root:/sbin/nologin\n{USER_NAME}:x:{USER_ID}:{GROUP_ID}::/home/{USER_NAME}:/sbin/nologin\n"
    );
    fs::write(target.join("passwd"), passwd)?;
    fs::write(target.join("group"), format!("root:x:0:\n{USER_NAME}:x:{GROUP_ID}:\n"))?;
    fs::write(
        target.join("hosts"),
        "127.0.0.1 localhost sandbox sandbox.localdomain\n::1 localhost\n",
    )?;
    fs::write(target.join("hostname"), "sandbox\n")
}

fn devices(root: &Path) -> io::Result<()> {
    let target = root.join("dev");
    for name in DEVICES {
        bind(&Path::new("/dev").join(name), &target.join(name))?;
    }
    symlink("/proc/self/fd", target.join("fd"))?;
    for (number, name) in ["stdin", "stdout", "stderr"].iter().enumerate() {
        symlink(format!("/proc/self/fd/{number}"), target.join(name))?;
    }
    Ok(())
}

/// Shows `source` at `target`, which is made if need be.
fn bind(source: &Path, target: &Path) -> io::Result<()> {
    if source.is_dir() {
        fs::create_dir_all(target)?;
    } else if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
        fs::File::create(target)?;
    }
    mount_bind_recursive(source, target).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("mounting {}: {error}", source.display()))
    })
}

fn text(path: &Path) -> io::Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| io::Error::other("a path is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_outside_the_system_needs_its_prefix() {
        let prefix = |path: &str| prefix_of(Path::new(path)).map(|p| p.display().to_string());
        assert_eq!(prefix("/usr/bin/node"), None);
        let pyenv = "/root/.pyenv/versions/3.11.7/bin/python3.11";
        assert_eq!(prefix(pyenv).as_deref(), Some("/root/.pyenv/versions/3.11.7"));
        assert_eq!(prefix("/nix/store/abc-node/bin/node").as_deref(), Some("/nix/store"));
        assert_eq!(prefix("/home/ann/bin/node").as_deref(), Some("/home/ann/bin/node"));
        assert_eq!(prefix("/root/bin/node").as_deref(), Some("/root/bin/node"));
    }
}
