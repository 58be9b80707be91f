//! What this machine lets us do, found out once by doing it: which namespaces, whose ids, which control groups; and the
//! making of trees and first processes with that.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::thread::UnshareFlags;
use serde_json::{Value, json};

use super::cgroup::Cgroups;
use super::identity::Identity;
use super::root::{self, Sources};
use super::slot::{Blueprint, Slot};
use crate::sys;

pub struct Machine {
    work: PathBuf,
    sources: Sources,
    pub namespaces: i32,
    pub root_user: bool,
    pub cgroups: Cgroups,
    pub filter: Vec<u8>,
    /// Trees by the interpreters' folders in them.
    roots: HashMap<String, PathBuf>,
    /// Why instances share the machine's network, if they do.
    no_network: Option<String>,
    counter: u64,
}

impl Machine {
    pub fn new(work: PathBuf, sources: Sources) -> io::Result<Machine> {
        let root_user = rustix::process::geteuid().is_root();
        // Before the user namespace: writing to control groups needs the ids of outside.
        let cgroups = Cgroups::find(std::process::id());
        enter_own_namespaces(root_user)?;
        Ok(Machine {
            work,
            sources,
            namespaces: libc::CLONE_NEWUSER
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWNS
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWNET,
            root_user,
            cgroups,
            filter: sys::filter_bytes(),
            roots: HashMap::new(),
            no_network: None,
            counter: 0,
        })
    }

    /// Makes an instance's first process with everything, and without a network of its own if that is not to be had.
    pub fn probe(&mut self) -> io::Result<Slot> {
        self.root(&[])?;
        match self.try_slot() {
            Ok(slot) => Ok(slot),
            Err(error) => {
                self.no_network = Some(error.to_string());
                self.namespaces &= !libc::CLONE_NEWNET;
                self.try_slot()
            }
        }
    }

    fn try_slot(&mut self) -> io::Result<Slot> {
        let mut slot = self.make_slot(&root_key(&[]))?;
        slot.wait_ready().inspect_err(|_| slot.kill())?;
        Ok(slot)
    }

    /// What holds here, for the server.
    pub fn greeting(&self) -> Value {
        let user = if self.root_user {
            "own user namespace and own host ids for every instance"
        } else {
            "own user namespace; host id of the user that started the server"
        };
        let limits = |name| json!([self.cgroups.has(name), self.cgroups.detail(name)]);
        let network = match &self.no_network {
            None => json!([true, "own network namespace; ways out through the server only"]),
            Some(why) => json!([false, format!("functions share the machine's network ({why})")]),
        };
        json!({
            "ev": "hello",
            "user": [true, user],
            "network": network,
            "memory": limits("memory"),
            "processes": limits("pids"),
            "cpu": limits("cpu"),
            "freezer": limits("freezer"),
        })
    }

    pub fn root(&mut self, prefixes: &[String]) -> io::Result<PathBuf> {
        let key = root_key(prefixes);
        if let Some(path) = self.roots.get(&key) {
            return Ok(path.clone());
        }
        let path = self.work.join(format!("root-{}", self.roots.len()));
        fs::create_dir_all(&path)?;
        let own_network = self.namespaces & libc::CLONE_NEWNET != 0;
        root::build(&path, prefixes, &self.sources, own_network)?;
        self.roots.insert(key, path.clone());
        Ok(path)
    }

    /// `key`: of a tree that `root` has made.
    pub fn make_slot(&mut self, key: &str) -> io::Result<Slot> {
        let path = self.roots.get(key).ok_or_else(|| io::Error::other("no such tree"))?.clone();
        self.counter += 1;
        let identity = if self.root_user { Identity::own(self.counter) } else { Identity::Shared };
        let cgroup = self.cgroups.create(&self.counter.to_string())?;
        let blueprint = Blueprint {
            namespaces: self.namespaces,
            identity,
            root: (key, &path),
            filter: &self.filter,
            ports: &self.sources.ports,
        };
        Slot::create(&blueprint, cgroup)
    }
}

pub fn root_key(prefixes: &[String]) -> String {
    prefixes.join(":")
}

/// An ordinary user becomes root of a user namespace of its own; everybody gets a mount namespace whose changes nobody
/// else sees.
fn enter_own_namespaces(root_user: bool) -> io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if !root_user {
        sys::unshare(UnshareFlags::NEWUSER)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1\n"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1\n"))?;
    }
    sys::unshare(UnshareFlags::NEWNS)?;
    let private =
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change(Path::new("/"), private)?;
    Ok(())
}
