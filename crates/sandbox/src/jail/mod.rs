//! The helper: a process with one thread that makes instances at the server's request (`sereno __jail`).
//!
//! The server has many threads and must not fork; this one may. It is started at the first invocation, talks with the
//! server over its standard input, and ends when the server does; with it end all instances, whatever killed the server.
//!
//! Invariants: it never runs or reads anything of a function; every order is answered by exactly one event; nothing it
//! does for one instance waits for another's code.

mod cgroup;
mod identity;
mod init;
mod machine;
mod network;
mod root;
mod slot;
mod zygote;

pub(crate) use network::RUNTIME_API_PORT;
pub(crate) use root::prefix_of;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::process::{WaitOptions, wait};
use serde_json::{Value, json};

use crate::message::{self, Fields, Message};
use crate::sys;
use cgroup::{Cgroup, Joining};
use identity::Identity;
use machine::{Machine, root_key};
use root::Sources;
use slot::{Parts, Runtime, Slot};
use zygote::Zygote;

/// First processes kept ready for each tree once it is used: makes the sandbox's share of a cold start disappear.
const SPARE_SLOTS: usize = 4;
/// How long to look again for control groups whose processes were still ending.
const SWEEP_EVERY_MS: i64 = 200;

/// Entry of `sereno __jail <folder> <runtime folder> <ports> [<sdk folder>]`.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip_while(|argument| argument != "__jail").skip(1);
    let (Some(work), Some(runtime)) = (arguments.next(), arguments.next()) else {
        eprintln!("sereno: __jail is started by the server only");
        return ExitCode::from(2);
    };
    let server = match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 10) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("sereno: __jail has no standard input: {error}");
            return ExitCode::from(2);
        }
    };
    let ports = arguments.next().unwrap_or_default();
    let sources = Sources {
        runtime: PathBuf::from(runtime),
        ports: ports.split(',').filter_map(|port| port.parse().ok()).collect(),
        sdk: arguments.next().map(PathBuf::from),
    };
    let line = server.try_clone();
    let made = Helper::new(server, PathBuf::from(work), sources).inspect_err(|error| {
        // The server passes this on to whoever wants to run a function.
        let event = json!({"ev": "hello", "error": reason(error)});
        let _ = line.as_ref().map(|line| message::send(line, &event, &[]));
    });
    let served = made.and_then(|mut helper| {
        let served = helper.run();
        helper.finish();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        // The server went while it was being told something.
        Err(error) if is_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sereno: __jail: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What cannot be done without, in words: without it code would run unprotected, so none is run.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EPERM | libc::EACCES | libc::EINVAL) => format!(
            "this machine does not allow what the sandbox is made of: user namespaces and mounts in them ({error}). See \
             /proc/sys/user/max_user_namespaces, kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns; a container needs them from its host"
        ),
        _ => error.to_string(),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

struct Helper {
    server: OwnedFd,
    machine: Machine,
    spare: Vec<Slot>,
    slots: HashMap<u64, Slot>,
    zygotes: HashMap<String, Zygote>,
    /// First processes told to end and not yet reaped: (pid, server's number, group).
    ending: Vec<(i32, Option<u64>, Cgroup)>,
    leftover: Vec<Cgroup>,
}

impl Helper {
    fn new(server: OwnedFd, work: PathBuf, sources: Sources) -> io::Result<Helper> {
        sys::block_child_signal();
        let mut machine = Machine::new(work, sources)?;
        let spare = vec![machine.probe()?];
        Ok(Helper {
            server,
            machine,
            spare,
            slots: HashMap::new(),
            zygotes: HashMap::new(),
            ending: Vec::new(),
            leftover: Vec::new(),
        })
    }

    /// Until the server goes.
    fn run(&mut self) -> io::Result<()> {
        message::send(&self.server, &self.machine.greeting(), &[])?;
        let signals = sys::signal_fd()?;
        let mut refill: Option<String> = None;
        loop {
            let wait_ms = match (&refill, self.leftover.is_empty()) {
                (Some(_), _) => Some(0),
                (None, false) => Some(SWEEP_EVERY_MS),
                (None, true) => None,
            };
            let readable = self.wait(&signals, wait_ms)?;
            if readable.is_empty() {
                self.leftover.retain(|group| !group.remove());
                refill = refill.and_then(|key| self.refill(&key).then_some(key));
                continue;
            }
            for source in readable {
                match source {
                    Source::Server => {
                        let Some(message) = message::receive(&self.server)? else {
                            return Ok(());
                        };
                        refill = self.obey(message)?.or(refill);
                    }
                    Source::Signals => {
                        let mut drained = [0u8; 1024];
                        let _ = rustix::io::read(&signals, &mut drained);
                        self.reap()?;
                    }
                    Source::Slot(id) => self.hear_slot(id)?,
                    Source::Zygote(key) => self.hear_zygote(&key)?,
                }
            }
            self.deliver_reports()?;
        }
    }

    fn wait(&self, signals: &OwnedFd, wait_ms: Option<i64>) -> io::Result<Vec<Source>> {
        let mut sources = vec![Source::Server, Source::Signals];
        let mut fds =
            vec![PollFd::new(&self.server, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        for (id, slot) in &self.slots {
            sources.push(Source::Slot(*id));
            fds.push(PollFd::new(&slot.control, PollFlags::IN));
        }
        for (key, zygote) in &self.zygotes {
            sources.push(Source::Zygote(key.clone()));
            fds.push(PollFd::new(&zygote.control, PollFlags::IN));
        }
        let timeout = wait_ms.map(|ms| Timespec { tv_sec: 0, tv_nsec: ms * 1_000_000 });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(sources
            .into_iter()
            .zip(ready)
            .filter_map(|(source, ready)| ready.then_some(source))
            .collect())
    }

    /// Carries out one order. Answers the tree whose spare slots should be made up when there is time.
    fn obey(&mut self, message: Message) -> io::Result<Option<String>> {
        let order = message.body;
        let id = order.number("id") as u64;
        let roots = order.texts("root");
        let outcome = match order.text("op") {
            "spawn" => self.spawn(id, &order, &message.fds),
            "assign" => self.assign(id, &order),
            "run" => self.run_in(id, &order, &message.fds),
            "socket" => self.socket(id, &order["ticket"]),
            "zygote" => self.start_zygote(&order),
            "signal" => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.signal(order.number("number") as i32)?;
                }
                Ok(())
            }
            "kill" => {
                self.end(id);
                Ok(())
            }
            "warm" => self.machine.root(&roots).map(drop),
            other => Err(io::Error::other(format!("unknown order {other}"))),
        };
        if let Err(error) = outcome {
            // Without that socket the instance is none the worse.
            let is_socket = order.text("op") == "socket";
            let id = if is_socket { order.number("ticket") as u64 } else { id };
            if !is_socket {
                self.end(id);
            }
            let event = json!({
                "ev": "failed", "id": id, "key": order["key"], "error": error.to_string(),
            });
            message::send(&self.server, &event, &[])?;
        }
        let uses_slot = matches!(order.text("op"), "spawn" | "warm");
        Ok(uses_slot.then(|| root_key(&roots)))
    }

    fn spawn(&mut self, id: u64, order: &Value, fds: &[OwnedFd]) -> io::Result<()> {
        let roots = order.texts("root");
        self.machine.root(&roots)?;
        let mut slot = self.take_slot(&root_key(&roots))?;
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        let started = (|| {
            if order.flag("furnish") {
                slot.furnish(&Parts::of(order))?;
            }
            match order.text("fork") {
                "" if order.flag("hold") => Ok(()),
                "" => slot.exec(order, &borrowed),
                key => {
                    let zygote = self.zygotes.get_mut(key).filter(|zygote| zygote.ready);
                    let zygote =
                        zygote.ok_or_else(|| io::Error::other("the zygote is not ready"))?;
                    let join = slot.cgroup.join_files(Joining::Runtime)?;
                    let mut fds = vec![slot.pidfd.as_fd()];
                    fds.extend(borrowed.iter().copied());
                    fds.extend(join.iter().map(AsFd::as_fd));
                    let pid = zygote.fork(&fds)?;
                    slot.runtime = Runtime::Forked(pid);
                    slot.cgroup.add_rest(pid as i32)
                }
            }
        })();
        if let Err(error) = started {
            self.retire(slot, None);
            return Err(error);
        }
        let answer = self.announce(id, &slot);
        self.slots.insert(id, slot);
        answer
    }

    fn announce(&self, id: u64, slot: &Slot) -> io::Result<()> {
        let mut names = vec!["pidfd"];
        let mut files = Vec::new();
        let mut open = |name, path: PathBuf, write: bool| {
            if let Ok(file) = fs::OpenOptions::new().read(!write).write(write).open(path) {
                names.push(name);
                files.push(OwnedFd::from(file));
            }
        };
        if let Some(path) = slot.cgroup.peak_file() {
            open("peak", path, false);
        }
        if let Some(path) = slot.cgroup.statistics_file() {
            open("statistics", path, false);
        }
        if let Some((path, words)) = slot.cgroup.freezer_file() {
            open(if words { "freezer-words" } else { "freezer" }, path, true);
        }
        let mut fds = vec![slot.pidfd.as_fd()];
        fds.extend(files.iter().map(AsFd::as_fd));
        for (name, fd) in ["gate", "names"].iter().zip(&slot.gate) {
            names.push(name);
            fds.push(fd.as_fd());
        }
        message::send(&self.server, &json!({"ev": "started", "id": id, "fds": names}), &fds)
    }

    fn assign(&mut self, id: u64, order: &Value) -> io::Result<()> {
        let slot = self.slots.get_mut(&id).ok_or_else(|| io::Error::other("no such instance"))?;
        slot.furnish(&Parts::of(order))?;
        message::send(&self.server, &json!({"ev": "assigned", "id": id}), &[])
    }

    fn run_in(&mut self, id: u64, order: &Value, fds: &[OwnedFd]) -> io::Result<()> {
        let slot = self.slots.get_mut(&id).ok_or_else(|| io::Error::other("no such instance"))?;
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        if order.flag("extension") {
            slot.exec_extension(order, &fds)?;
        } else {
            slot.exec(order, &fds)?;
        }
        message::send(&self.server, &json!({"ev": "ran", "id": id}), &[])
    }

    fn socket(&mut self, id: u64, ticket: &Value) -> io::Result<()> {
        let slot = self.slots.get_mut(&id).ok_or_else(|| io::Error::other("no such instance"))?;
        let fds = slot.socket()?;
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        message::send(&self.server, &json!({"ev": "socket", "id": ticket}), &borrowed)
    }

    fn start_zygote(&mut self, order: &Value) -> io::Result<()> {
        let key = order.text("key").to_owned();
        if self.zygotes.contains_key(&key) {
            return Ok(());
        }
        let root = self.machine.root(&order.texts("root"))?;
        let (uid, gid) = Identity::Shared.runtime_ids();
        let settings = json!({
            "filter": sereno_base::hex(&self.machine.filter), "uid": uid, "gid": gid, "set_ids": self.machine.root_user,
            "namespaces": self.machine.namespaces, "settings": order["settings"],
        });
        let zygote = Zygote::start(&root, order, &settings)?;
        self.zygotes.insert(key, zygote);
        Ok(())
    }

    fn take_slot(&mut self, key: &str) -> io::Result<Slot> {
        while let Some(position) = self.spare.iter().position(|slot| slot.root == key) {
            let mut slot = self.spare.swap_remove(position);
            match slot.wait_ready() {
                Ok(()) => return Ok(slot),
                Err(_) => self.retire(slot, None),
            }
        }
        let mut slot = self.machine.make_slot(key)?;
        if let Err(error) = slot.wait_ready() {
            self.retire(slot, None);
            return Err(error);
        }
        Ok(slot)
    }

    /// Makes one more spare slot; false when there are enough or it cannot be done.
    fn refill(&mut self, key: &str) -> bool {
        if self.spare.iter().filter(|slot| slot.root == key).count() >= SPARE_SLOTS {
            return false;
        }
        match self.machine.make_slot(key) {
            Ok(slot) => self.spare.push(slot),
            Err(error) => {
                eprintln!("sereno: cannot prepare an instance: {error}");
                return false;
            }
        }
        true
    }

    fn hear_slot(&mut self, id: u64) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(()) };
        match receive_now(&slot.control) {
            Ok(Some(message)) => slot.reports.push(message.body),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(None) | Err(_) => self.end(id),
        }
        Ok(())
    }

    fn hear_zygote(&mut self, key: &str) -> io::Result<()> {
        let Some(zygote) = self.zygotes.get_mut(key) else { return Ok(()) };
        match receive_now(&zygote.control) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Ok(Some(message)) if message.body.flag("ready") => {
                zygote.ready = true;
                let event = json!({"ev": "zygote", "key": key, "up": true});
                message::send(&self.server, &event, &[])
            }
            Ok(Some(message)) => {
                zygote.reports.push(message.body);
                Ok(())
            }
            Ok(None) | Err(_) => {
                self.zygotes.remove(key);
                let event = json!({"ev": "zygote", "key": key, "up": false});
                message::send(&self.server, &event, &[])
            }
        }
    }

    /// Finds whose runtime ended, tells the server and ends the rest of that instance.
    fn deliver_reports(&mut self) -> io::Result<()> {
        let mut ended = Vec::new();
        for (id, slot) in &mut self.slots {
            for report in std::mem::take(&mut slot.reports) {
                slot.over_memory |= report.flag("oom");
                let extension = slot.extensions.contains(&report.number("exited"));
                if slot.runtime == Runtime::Started(report.number("exited")) || extension {
                    slot.runtime = Runtime::Ended;
                    ended.push((*id, report, extension));
                }
            }
        }
        for zygote in self.zygotes.values_mut() {
            for report in std::mem::take(&mut zygote.reports) {
                let runtime = Runtime::Forked(report.number("exited"));
                if let Some((id, slot)) =
                    self.slots.iter_mut().find(|(_, slot)| slot.runtime == runtime)
                {
                    slot.runtime = Runtime::Ended;
                    ended.push((*id, report, false));
                }
            }
        }
        for (id, report, extension) in ended {
            let oom = self.slots.get(&id).is_some_and(Slot::ran_out_of_memory);
            let event = json!({
                "ev": "exited", "id": id, "code": report["code"], "signal": report["signal"], "oom": oom,
                "extension": extension,
            });
            message::send(&self.server, &event, &[])?;
            self.end(id);
        }
        Ok(())
    }

    fn end(&mut self, id: u64) {
        if let Some(slot) = self.slots.remove(&id) {
            self.retire(slot, Some(id));
        }
    }

    fn retire(&mut self, slot: Slot, id: Option<u64>) {
        slot.kill();
        self.ending.push((slot.pid, id, slot.cgroup));
    }

    fn reap(&mut self) -> io::Result<()> {
        while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            // Killed by the server itself: the end of the socket has not been heard yet.
            if let Some(id) = self.slots.iter().find(|(_, slot)| slot.pid == pid).map(|(id, _)| *id)
            {
                self.end(id);
            }
            if let Some(position) = self.ending.iter().position(|(ending, _, _)| *ending == pid) {
                let (_, id, group) = self.ending.swap_remove(position);
                let oom = group.memory_kills() > 0;
                if !group.remove() {
                    self.leftover.push(group);
                }
                if let Some(id) = id {
                    let event = json!({"ev": "gone", "id": id, "oom": oom});
                    message::send(&self.server, &event, &[])?;
                }
            }
        }
        Ok(())
    }

    /// The server is gone: so is everything.
    fn finish(mut self) {
        let slots: Vec<Slot> = self.slots.drain().map(|(_, slot)| slot).collect();
        let spare = std::mem::take(&mut self.spare);
        for slot in slots.iter().chain(&spare) {
            slot.kill();
        }
        // Zygotes end with their socket; then every child can be waited for.
        self.zygotes.clear();
        while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
        self.machine.cgroups.remove_all();
    }
}

/// What made a socket readable may have been read meanwhile, while an answer was awaited on it.
fn receive_now(socket: &OwnedFd) -> io::Result<Option<Message>> {
    message::receive_flags(socket, RecvFlags::DONTWAIT)
}

enum Source {
    Server,
    Signals,
    Slot(u64),
    Zygote(String),
}
