//! A runtime that has done its start and waits to be forked: a new instance costs a fork instead of an interpreter's start.
//!
//! A zygote is the helper's child, in the helper's user namespace, because it must let its children join an instance's
//! namespaces; it sees the read-only tree only and runs our bootstrap only. Its children give up everything before they
//! look at the function (`runtimes/python/jail.py`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, unmount,
};
use rustix::process::{Signal, pivot_root, set_parent_process_death_signal};
use serde_json::{Value, json};

use super::init::{close_inherited, set_limits};
use crate::message::{self, Fields};
use crate::sys;

const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

pub struct Zygote {
    pub control: OwnedFd,
    pub ready: bool,
    /// Ends of forked processes that were told while an answer was awaited.
    pub reports: Vec<Value>,
}

impl Zygote {
    /// `order`: `argv`, `env` of the interpreter; `settings` is its first message.
    pub fn start(root: &Path, order: &Value, settings: &Value) -> io::Result<Zygote> {
        let (control, theirs) = message::pair()?;
        rustix::net::sockopt::set_socket_timeout(
            &control,
            rustix::net::sockopt::Timeout::Recv,
            Some(ANSWER_TIME_MAX),
        )?;
        let Some(_) = sys::process_clone(libc::CLONE_NEWNS)? else {
            let error = become_zygote(root, &theirs, order);
            eprintln!("sereno: cannot start a zygote: {error}");
            sys::exit_now(127)
        };
        message::send(&control, settings, &[])?;
        Ok(Zygote { control, ready: false, reports: Vec::new() })
    }

    /// Forks into an instance. `fds`: its first process, standard output, frames in and out, files to join its groups.
    /// Answers the new process's number.
    pub fn fork(&mut self, fds: &[BorrowedFd<'_>]) -> io::Result<i64> {
        message::send(&self.control, &json!({"op": "fork"}), fds)?;
        loop {
            let message = message::receive(&self.control)?;
            let body = message.ok_or_else(|| io::Error::other("the zygote ended"))?.body;
            if body.get("exited").is_some() {
                self.reports.push(body);
            } else if let Some(error) = body["error"].as_str() {
                return Err(io::Error::other(format!("zygote: {error}")));
            } else {
                return Ok(body.number("pid"));
            }
        }
    }
}

fn become_zygote(root: &Path, control: &OwnedFd, order: &Value) -> io::Error {
    let prepared = (|| {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount_bind_recursive(root, root)?;
        rustix::process::chdir(root)?;
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")?;
        sys::reset_signals();
        sys::duplicate_to(control.as_fd(), 3)?;
        close_inherited()?;
        sys::close_from(4);
        set_limits()
    })();
    if let Err(error) = prepared {
        return error;
    }
    let arguments = order.texts("argv");
    let Some(program) = arguments.first() else { return io::Error::other("no program") };
    sys::exec(program, &arguments, &order.texts("env"))
}
