//! `mount_setattr`, which changes the flags of a whole tree of mounts at once (Linux 5.12).
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Flags added to mounts. They are only ever added.
#[derive(Clone, Copy, Default)]
pub struct Attributes {
    pub read_only: bool,
    pub no_devices: bool,
    pub recursive: bool,
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const AT_RECURSIVE: libc::c_int = 0x8000;

/// Sets flags on the mount at `path` below `dir` (or `dir` itself when empty). Set-user-id is always taken away.
pub fn set_attributes(dir: BorrowedFd<'_>, path: &str, wanted: Attributes) -> io::Result<()> {
    let path = CString::new(path)?;
    let mut flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    if wanted.recursive {
        flags |= AT_RECURSIVE;
    }
    let attr = MountAttr {
        attr_set: NOSUID
            | if wanted.read_only { RDONLY } else { 0 }
            | if wanted.no_devices { NODEV } else { 0 },
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is a C string and the structure lives across the call; its size is told to the kernel.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            &attr,
            size_of::<MountAttr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
