//! Messages between the server, its helper and what the helper starts: one JSON object and some descriptors in one
//! packet of a SOCK_SEQPACKET socket. Both ends are ours; a message that cannot be read ends the connection.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde_json::Value;

/// Arguments and environment of a process fit (Lambda's environment is at most 4 KB).
const MESSAGE_BYTES_MAX: usize = 128 * 1024;
const DESCRIPTORS_MAX: usize = 16;

pub struct Message {
    pub body: Value,
    pub fds: Vec<OwnedFd>,
}

pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

pub fn send(socket: impl AsFd, body: &Value, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_flags(socket, body, fds, SendFlags::NOSIGNAL)
}

pub fn send_flags(
    socket: impl AsFd,
    body: &Value,
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    let bytes = body.to_string();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors in a message"));
    }
    loop {
        match sendmsg(&socket, &[io::IoSlice::new(bytes.as_bytes())], &mut control, flags) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// `None` when the other end is gone.
pub fn receive(socket: impl AsFd) -> io::Result<Option<Message>> {
    receive_flags(socket, RecvFlags::empty())
}

pub fn receive_flags(socket: impl AsFd, flags: RecvFlags) -> io::Result<Option<Message>> {
    let mut bytes = vec![0u8; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [io::IoSliceMut::new(&mut bytes)];
        match recvmsg(&socket, &mut slices, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => break received.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CONNRESET) => break 0,
            Err(error) => return Err(error.into()),
        }
    };
    if received == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            fds.extend(passed);
        }
    }
    let body = serde_json::from_slice(&bytes[..received]).map_err(io::Error::other)?;
    Ok(Some(Message { body, fds }))
}

/// Reading fields of our own messages; what is missing is its type's nothing.
pub trait Fields {
    fn text(&self, name: &str) -> &str;
    fn number(&self, name: &str) -> i64;
    fn flag(&self, name: &str) -> bool;
    fn texts(&self, name: &str) -> Vec<String>;
}

impl Fields for Value {
    fn text(&self, name: &str) -> &str {
        self[name].as_str().unwrap_or_default()
    }

    fn number(&self, name: &str) -> i64 {
        self[name].as_i64().unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self[name].as_bool().unwrap_or_default()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let list = self[name].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    }
}
