//! A new process in a new jail, and the pipes to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde_json::Value;
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::frames::FrameReader;
use crate::helper::Helper;
use crate::pool::Generic;

/// Has the helper start a process in a new jail, and connects to it.
pub async fn spawn(helper: &Arc<Helper>, order: Value) -> io::Result<Generic> {
    let pipes = Pipes::new()?;
    let id = order["id"].as_u64().unwrap_or_default();
    let (handles, ended) = helper.spawn(id, order, &pipes.theirs()).await?;
    let (to, from, output) = pipes.ours()?;
    Ok(Generic { id, helper: Arc::clone(helper), handles, ended, to, from, output })
}

/// The same without the process: the jail waits for an order to run one with these descriptors.
pub async fn hold(helper: &Arc<Helper>, mut order: Value) -> io::Result<(Generic, Vec<OwnedFd>)> {
    let pipes = Pipes::new()?;
    let id = order["id"].as_u64().unwrap_or_default();
    order["hold"] = Value::Bool(true);
    let (handles, ended) = helper.spawn(id, order, &[]).await?;
    let theirs = pipes.theirs().map(|fd| fd.try_clone_to_owned());
    let theirs = theirs.into_iter().collect::<io::Result<_>>()?;
    let (to, from, output) = pipes.ours()?;
    Ok((Generic { id, helper: Arc::clone(helper), handles, ended, to, from, output }, theirs))
}

/// Both ends of an instance's three pipes, before the other side has its own.
struct Pipes {
    output: (OwnedFd, OwnedFd),
    to: (OwnedFd, OwnedFd),
    from: (OwnedFd, OwnedFd),
}

impl Pipes {
    fn new() -> io::Result<Pipes> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        Ok(Pipes { output: pipe()?, to: pipe()?, from: pipe()? })
    }

    /// In the order the helper expects: standard output, frames in, frames out.
    fn theirs(&self) -> [BorrowedFd<'_>; 3] {
        [self.output.1.as_fd(), self.to.0.as_fd(), self.from.1.as_fd()]
    }

    fn ours(self) -> io::Result<(Sender, FrameReader, Receiver)> {
        let to = Sender::from_owned_fd(self.to.1)?;
        let from = FrameReader::new(Receiver::from_owned_fd(self.from.0)?);
        Ok((to, from, Receiver::from_owned_fd(self.output.0)?))
    }
}
