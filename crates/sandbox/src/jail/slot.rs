//! One instance as the helper sees it: the first process in its namespaces, the socket to it, its control group.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::process::{Signal, pidfd_send_signal};
use serde_json::{Value, json};

use super::cgroup::{Cgroup, Joining, Limits};
use super::identity::Identity;
use super::init::Init;
use crate::message::{self, Fields, Message};
use crate::sys::{self, Attributes, set_attributes};

/// Far above anything seen; a first process that does not answer in this time is given up.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

pub struct Slot {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub control: OwnedFd,
    pub cgroup: Cgroup,
    /// Which read-only tree it has.
    pub root: String,
    pub runtime: Runtime,
    /// Numbers of extensions' processes inside the instance.
    pub extensions: Vec<i64>,
    ready: bool,
    /// Its network's sockets, for the server.
    pub gate: Vec<OwnedFd>,
    /// Its first process found it over its memory.
    pub over_memory: bool,
    /// Reports that came while an answer was awaited.
    pub reports: Vec<Value>,
}

/// The process that runs the function's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    None,
    /// Started by the first process; its number inside the instance.
    Started(i64),
    /// Forked by a zygote; its number in the helper's namespace.
    Forked(i64),
    Ended,
}

/// What all instances of a kind have in common.
pub struct Blueprint<'a> {
    pub namespaces: i32,
    pub identity: Identity,
    /// Name and place of the read-only tree.
    pub root: (&'a str, &'a Path),
    pub filter: &'a [u8],
    /// Local ports that the server answers on.
    pub ports: &'a [u16],
}

/// What differs between instances.
pub struct Parts {
    pub task: String,
    pub opt: String,
    pub limits: Limits,
}

impl Parts {
    pub fn of(message: &Value) -> Parts {
        Parts {
            task: message.text("task").to_owned(),
            opt: message.text("opt").to_owned(),
            limits: Limits {
                memory_mb: message.number("memory_mb") as u64,
                tmp_mb: message.number("tmp_mb") as u64,
            },
        }
    }
}

impl Slot {
    /// Starts a first process in new namespaces; it goes on by itself until it is ready.
    pub fn create(blueprint: &Blueprint<'_>, cgroup: Cgroup) -> io::Result<Slot> {
        let (control, theirs) = message::pair()?;
        rustix::net::sockopt::set_socket_timeout(
            &control,
            rustix::net::sockopt::Timeout::Recv,
            Some(ANSWER_TIME_MAX),
        )?;
        let join = cgroup.join_files(Joining::First)?;
        let join_runtime = cgroup.join_files(Joining::Freezer)?;
        let thaw = cgroup.thaw_file()?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, blueprint.root.1, flags)?;
        let Some(child) = sys::process_clone(blueprint.namespaces)? else {
            let own_network = blueprint.namespaces & libc::CLONE_NEWNET != 0;
            let init = Init {
                join,
                join_runtime,
                thaw,
                control: theirs,
                root: tree,
                identity: blueprint.identity,
                filter: blueprint.filter.to_vec(),
                ports: own_network.then(|| blueprint.ports.to_vec()),
            };
            init.run()
        };
        let slot = Slot {
            pid: child.pid,
            pidfd: child.pidfd,
            control,
            cgroup,
            root: blueprint.root.0.to_owned(),
            runtime: Runtime::None,
            extensions: Vec::new(),
            ready: false,
            gate: Vec::new(),
            over_memory: false,
            reports: Vec::new(),
        };
        drop(theirs);
        let set_up = slot.cgroup.add_rest(slot.pid).and_then(|()| {
            if blueprint.namespaces & libc::CLONE_NEWUSER != 0 {
                blueprint.identity.write_maps(slot.pid)?;
            }
            message::send(&slot.control, &json!({"go": true}), &[])
        });
        if let Err(error) = set_up {
            slot.kill();
            return Err(error);
        }
        Ok(slot)
    }

    pub fn wait_ready(&mut self) -> io::Result<()> {
        if !self.ready {
            self.gate = self.answer()?.fds;
            self.ready = true;
        }
        Ok(())
    }

    /// Mounts code, layers and `/tmp`, and sets the limits.
    pub fn furnish(&mut self, parts: &Parts) -> io::Result<()> {
        self.wait_ready()?;
        let mut places = Vec::new();
        let mut trees = Vec::new();
        for (place, source) in [("/var/task", &parts.task), ("/opt", &parts.opt)] {
            if !source.is_empty() {
                places.push(place);
                trees.push(detached(source)?);
            }
        }
        let watched_mb = if self.cgroup.limits_memory() { 0 } else { parts.limits.memory_mb };
        let order = json!({
            "op": "mount", "places": places, "tmp_mb": parts.limits.tmp_mb, "memory_mb": watched_mb,
        });
        let fds: Vec<BorrowedFd<'_>> = trees.iter().map(AsFd::as_fd).collect();
        self.ask(&order, &fds)?;
        self.cgroup.limit(parts.limits)
    }

    pub fn exec(&mut self, order: &Value, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.runtime = Runtime::Started(self.start(order, fds)?);
        Ok(())
    }

    pub fn exec_extension(&mut self, order: &Value, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let number = self.start(order, fds)?;
        self.extensions.push(number);
        Ok(())
    }

    fn start(&mut self, order: &Value, fds: &[BorrowedFd<'_>]) -> io::Result<i64> {
        self.wait_ready()?;
        let order = json!({
            "op": "exec", "argv": order["argv"], "env": order["env"], "cwd": order["cwd"],
        });
        Ok(self.ask(&order, fds)?.number("pid"))
    }

    /// A socket of its network, not yet connected.
    pub fn socket(&mut self) -> io::Result<Vec<OwnedFd>> {
        message::send(&self.control, &json!({"op": "socket"}), &[])?;
        Ok(self.answer()?.fds)
    }

    pub fn signal(&mut self, number: i32) -> io::Result<()> {
        self.ask(&json!({"op": "signal", "number": number}), &[]).map(drop)
    }

    fn ask(&mut self, order: &Value, fds: &[BorrowedFd<'_>]) -> io::Result<Value> {
        message::send(&self.control, order, fds)?;
        Ok(self.answer()?.body)
    }

    fn answer(&mut self) -> io::Result<Message> {
        loop {
            let message = message::receive(&self.control)?
                .ok_or_else(|| io::Error::other("the instance's first process ended"))?;
            if message.body.get("exited").is_some() {
                self.reports.push(message.body);
            } else if let Some(error) = message.body["error"].as_str() {
                return Err(io::Error::other(error.to_owned()));
            } else {
                return Ok(message);
            }
        }
    }

    pub fn ran_out_of_memory(&self) -> bool {
        self.over_memory || self.cgroup.memory_kills() > 0
    }

    /// Everything in the instance ends, also what is frozen.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        self.cgroup.thaw();
    }
}

/// A read-only view of a folder that can be put into another mount namespace.
fn detached(source: &str) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, source, flags).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("{source}: {error}"))
    })?;
    set_attributes(
        tree.as_fd(),
        "",
        Attributes { read_only: true, no_devices: true, recursive: false },
    )?;
    Ok(tree)
}
