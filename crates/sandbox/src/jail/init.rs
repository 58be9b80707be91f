//! The first process of an instance: it owns the instance's namespaces, makes its mounts, starts and reaps its processes.
//! When it ends, the kernel kills everything else in there.
//!
//! Invariants: it runs no code of the function; what it starts has no capability, no new privileges, the filters and
//! limits before its first instruction; it talks with the helper only, over a socket that its children never have.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount, mount_change,
    move_mount, unmount,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, WaitOptions, pivot_root, set_dumpable_behavior, setrlimit,
    setsid, wait,
};
use serde_json::{Value, json};

use super::identity::Identity;
use super::network;
use crate::message::{self, Fields, Message};
use crate::sys;

/// AWS: 1,024 file descriptors, 1,024 processes and threads.
/// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const FILES_MAX: u64 = 1024;
const PROCESSES_MAX: u64 = 1024;
/// A file for every page of `/tmp` would cost more memory than its content.
const FILES_PER_TMP_MB: u64 = 64;

pub struct Init {
    pub control: OwnedFd,
    /// A copy of the read-only tree, not mounted anywhere yet. A path would not do: it leads through the server's data
    /// folder, which the user that this process becomes may not enter.
    pub root: OwnedFd,
    pub identity: Identity,
    pub filter: Vec<u8>,
    /// Local ports that the server answers on; `None`: the machine's network is shared.
    pub ports: Option<Vec<u16>>,
    /// Files of our control groups; writing `0` joins them.
    pub join: Vec<std::fs::File>,
    /// The one that only what we start joins: the freezer, in which we must not be.
    pub join_runtime: Vec<std::fs::File>,
    /// Thaws the freezer: what is frozen could not even be killed.
    pub thaw: Option<std::fs::File>,
}

impl Init {
    /// Runs until the helper goes or says so. Called in a new process in new namespaces.
    pub fn run(mut self) -> ! {
        let mut keep = vec![self.control.as_raw_fd(), self.root.as_raw_fd()];
        let groups = self.join.iter().chain(&self.join_runtime).chain(&self.thaw);
        keep.extend(groups.map(AsRawFd::as_raw_fd));
        sys::close_all_except(&keep);
        let outcome = self.prepare().and_then(|gate| {
            let fds: Vec<BorrowedFd<'_>> = gate.iter().map(AsFd::as_fd).collect();
            message::send(&self.control, &json!({"ready": true}), &fds)?;
            drop(gate);
            self.serve()
        });
        if let Err(error) = outcome {
            let _ = message::send(&self.control, &json!({"error": error.to_string()}), &[]);
        }
        // The helper is gone, or we are of no use: everything here ends with us.
        if let Some(mut freezer) = self.thaw.take() {
            let _ = io::Write::write_all(&mut freezer, b"THAWED");
        }
        sys::exit_now(0)
    }

    /// Answers the sockets of its network.
    fn prepare(&mut self) -> io::Result<Vec<OwnedFd>> {
        // The end of the helper is the end of its socket, which `serve` hears.
        sys::block_child_signal();
        for mut group in std::mem::take(&mut self.join) {
            io::Write::write_all(&mut group, b"0")
                .map_err(|error| said("joining its groups", error))?;
        }
        // The helper writes our user and group maps now and says so.
        message::receive(&self.control)?.ok_or_else(|| io::Error::other("the helper is gone"))?;
        if let Some((uid, gid)) = self.identity.init_ids() {
            sys::set_ids(uid, gid).map_err(|error| said("taking its user", error))?;
        }
        self.enter_root().map_err(|error| said("entering its root", error))?;
        close_inherited()?;
        rustix::system::sethostname(b"sandbox")?;
        // The zygote's children must be able to join; what is in this memory came from the helper's executable only.
        set_dumpable_behavior(DumpableBehavior::Dumpable)?;
        let Some(ports) = &self.ports else { return Ok(Vec::new()) };
        let gate = network::set_up(ports).map_err(|error| said("its network", error))?;
        Ok(vec![gate.tcp, gate.names])
    }

    fn enter_root(&self) -> io::Result<()> {
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        // Any folder that every system has: what it shows goes with the old root.
        move_mount(&self.root, "", CWD, "/usr", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        rustix::process::fchdir(&self.root)?;
        let proc_flags =
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
        mount("proc", "proc", "proc", proc_flags, None)
            .map_err(|error| said("mounting /proc", error.into()))?;
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")?;
        Ok(())
    }

    fn serve(&self) -> io::Result<()> {
        let signals = sys::signal_fd()?;
        // Bytes; 0 where a control group keeps the limit.
        let mut memory_limit = 0;
        loop {
            let mut fds =
                [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
            let pause = (memory_limit > 0).then_some(&MEMORY_LOOK_EVERY);
            match poll(&mut fds, pause) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let (control, signal) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
            if memory_limit > 0 && is_over(memory_limit) {
                memory_limit = 0;
                message::send(&self.control, &json!({"exited": 0, "oom": true}), &[])?;
                sys::signal_group(libc::SIGKILL);
            }
            if signal {
                self.reap(&signals)?;
            }
            if control {
                let Some(message) = message::receive(&self.control)? else { return Ok(()) };
                memory_limit =
                    memory_limit.max(message.body.number("memory_mb") as u64 * 1024 * 1024);
                let (answer, fds) = match self.obey(&message) {
                    Ok(answer) => answer,
                    Err(error) => (json!({"error": error.to_string()}), None),
                };
                let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
                message::send(&self.control, &answer, &fds)?;
            }
        }
    }

    /// Collects ended processes and tells the helper of each: it knows which one is the function's runtime.
    fn reap(&self, signals: &OwnedFd) -> io::Result<()> {
        let mut drained = [0u8; 1024];
        let _ = rustix::io::read(signals, &mut drained);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let report = json!({
                "exited": pid.as_raw_nonzero().get(),
                "code": status.exit_status(),
                "signal": status.terminating_signal(),
            });
            message::send(&self.control, &report, &[])?;
        }
        Ok(())
    }

    fn obey(&self, message: &Message) -> io::Result<(Value, Option<OwnedFd>)> {
        match message.body.text("op") {
            "mount" => self.mount_parts(message).map(|answer| (answer, None)),
            "exec" => self.start(message).map(|answer| (answer, None)),
            "signal" => {
                sys::signal_group(message.body.number("number") as i32);
                Ok((json!({"ok": true}), None))
            }
            "socket" => Ok((json!({"ok": true}), Some(network::inner_socket()?))),
            other => Err(io::Error::other(format!("unknown order {other}"))),
        }
    }

    /// Puts the function's code, layers and `/tmp` into their places.
    fn mount_parts(&self, message: &Message) -> io::Result<Value> {
        for (place, fd) in message.body.texts("places").iter().zip(&message.fds) {
            move_mount(fd, "", CWD, place.as_str(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                .map_err(|error| said(place, error.into()))?;
        }
        let tmp_mb = message.body.number("tmp_mb");
        if tmp_mb > 0 {
            let (uid, gid) = self.identity.runtime_ids();
            let inodes = tmp_mb as u64 * FILES_PER_TMP_MB;
            let options =
                format!("size={tmp_mb}m,nr_inodes={inodes},mode=700,uid={uid},gid={gid}\0");
            let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes())
                .map_err(io::Error::other)?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount("tmp", "/tmp", "tmpfs", flags, Some(options))
                .map_err(|error| said("/tmp", error.into()))?;
        }
        Ok(json!({"ok": true}))
    }

    fn start(&self, message: &Message) -> io::Result<Value> {
        match sys::process_clone(0)? {
            Some(child) => Ok(json!({"pid": child.pid})),
            None => {
                let error = self.become_runtime(message);
                // Standard error is the function's log by now, or the helper's.
                let _ = rustix::io::write(
                    rustix::stdio::stderr(),
                    format!("cannot start the runtime: {error}\n").as_bytes(),
                );
                sys::exit_now(127)
            }
        }
    }

    /// In the new process: everything is given up, then the program is run. Returns only what went wrong.
    fn become_runtime(&self, message: &Message) -> io::Error {
        let prepared = (|| {
            setsid()?;
            for mut group in &self.join_runtime {
                io::Write::write_all(&mut group, b"0")?;
            }
            give_descriptors(&message.fds)?;
            sys::close_from(message.fds.len() as i32 + 2);
            sys::reset_signals();
            set_limits()?;
            rustix::process::chdir(message.body.text("cwd"))?;
            let (uid, gid) = self.identity.runtime_ids();
            // Before the change of user, which takes away the right to do it.
            sys::drop_bounding_set();
            if self.identity.init_ids().is_some() {
                sys::set_ids(uid, gid)?;
            }
            sys::drop_all()?;
            sys::install_filter(&self.filter)
        })();
        if let Err(error) = prepared {
            return error;
        }
        let arguments = message.body.texts("argv");
        let environment = message.body.texts("env");
        let Some(program) = arguments.first() else { return io::Error::other("no program") };
        sys::exec(program, &arguments, &environment)
    }
}

/// Without a control group this process watches the others.
const MEMORY_LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Memory of all other processes here, in bytes. What forked processes still share is first counted for each of them,
/// which is quick; only if that is over the limit, it is counted once.
fn is_over(limit: u64) -> bool {
    let page = rustix::param::page_size() as u64;
    let own = |process: &Path| {
        let text = std::fs::read_to_string(process.join("statm")).ok()?;
        let mut pages = text.split(' ').skip(1).filter_map(|field| field.parse::<u64>().ok());
        Some(pages.next()?.saturating_sub(pages.next()?) * page)
    };
    let share = |process: &Path| {
        let text = std::fs::read_to_string(process.join("smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    others().iter().filter_map(|p| own(p)).sum::<u64>() > limit
        && others().iter().filter_map(|p| share(p)).sum::<u64>() > limit
}

/// Folders in `/proc` of all processes here but this one.
fn others() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| number(path).is_some_and(|number| number != 1)).collect()
}

/// Descriptors arrive as: standard output and error (one pipe), then those for numbers 3 and up. Input is empty.
fn give_descriptors(fds: &[OwnedFd]) -> io::Result<()> {
    let null = rustix::fs::open(
        Path::new("/dev/null"),
        rustix::fs::OFlags::RDONLY,
        rustix::fs::Mode::empty(),
    )?;
    // First out of the way: a received descriptor may have a number that is about to be given.
    let high: Vec<OwnedFd> =
        fds.iter().map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 64)).collect::<Result<_, _>>()?;
    sys::duplicate_to(null.as_fd(), 0)?;
    for (position, fd) in high.iter().map(AsFd::as_fd).enumerate() {
        let fd: BorrowedFd<'_> = fd;
        if position == 0 {
            sys::duplicate_to(fd, 1)?;
            sys::duplicate_to(fd, 2)?;
        } else {
            sys::duplicate_to(fd, position as i32 + 2)?;
        }
    }
    Ok(())
}

/// Standard input is the helper's line to the server; nothing of it may stay here.
pub fn close_inherited() -> io::Result<()> {
    let null = rustix::fs::open(
        Path::new("/dev/null"),
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    sys::duplicate_to(null.as_fd(), 0)?;
    sys::duplicate_to(null.as_fd(), 1)
}

/// Limits that hold without control groups too.
pub fn set_limits() -> io::Result<()> {
    let both = |value| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Nofile, both(FILES_MAX))?;
    setrlimit(Resource::Nproc, both(PROCESSES_MAX))?;
    setrlimit(Resource::Core, both(0))?;
    Ok(())
}

fn said(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
