//! Making processes, changing identity, signals.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// The parent's view of a process just made.
pub struct Cloned {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// `fork` with namespaces: `None` in the child. The child has a copy of the memory and exactly one thread.
pub fn process_clone(namespaces: i32) -> io::Result<Option<Cloned>> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is plain data and all zero is valid for every field.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (namespaces | libc::CLONE_PIDFD) as u32 as u64;
    args.pidfd = ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: no CLONE_VM and no stack, so the child continues on its own copy of this stack like after fork();
    // the caller has a single thread, hence no lock can be held by a thread that does not exist in the child.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, ptr::from_mut(&mut args), size_of::<libc::clone_args>())
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => {
            // SAFETY: the kernel has just put a new descriptor there that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Some(Cloned { pid: pid as i32, pidfd }))
        }
    }
}

/// Ends the process without running destructors or exit handlers inherited from the parent's memory.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Replaces the process. Returns only on failure.
pub fn exec(path: &str, arguments: &[String], environment: &[String]) -> io::Error {
    let strings = |list: &[String]| -> Result<Vec<CString>, io::Error> {
        list.iter().map(|text| CString::new(text.as_str()).map_err(io::Error::from)).collect()
    };
    let prepared =
        (|| Ok::<_, io::Error>((CString::new(path)?, strings(arguments)?, strings(environment)?)))(
        );
    let (path, arguments, environment) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return error,
    };
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&arguments), pointers(&environment));
    // SAFETY: both arrays end with null and point to C strings that live until the call returns.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Makes `fd` available as number `target` across exec.
pub fn duplicate_to(fd: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    // SAFETY: both are numbers; what was open at `target` is given up on purpose (callers own numbers 0 to 9).
    let done = unsafe {
        if fd.as_raw_fd() == target {
            libc::fcntl(target, libc::F_SETFD, 0)
        } else {
            libc::dup2(fd.as_raw_fd(), target)
        }
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) {
    close_range(first as u32, u32::MAX);
}

/// Closes every descriptor but these and 0, 1, 2.
pub fn close_all_except(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter(|fd| **fd > 2).map(|fd| *fd as u32).collect();
    keep.sort_unstable();
    let mut next = 3;
    for fd in keep {
        if fd > next {
            close_range(next, fd - 1);
        }
        next = fd + 1;
    }
    close_range(next, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: only called in a child that will use none of these descriptors any more; its copies of OwnedFd are never
    // dropped, because it leaves by exec or exit_now.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) };
}

/// Real, effective and saved ids; no supplementary groups where that is allowed.
pub fn set_ids(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: plain numbers. Raw system calls on purpose: libc's wrappers would signal other threads, and there are none.
    unsafe {
        // Refused inside a user namespace that an ordinary user made; there the list cannot be changed at all.
        libc::syscall(libc::SYS_setgroups, 0usize, ptr::null::<libc::gid_t>());
        if libc::syscall(libc::SYS_setresgid, gid, gid, gid) != 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::syscall(libc::SYS_setresuid, uid, uid, uid) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Every signal unblocked and at its default: what a program expects at its start.
pub fn reset_signals() {
    // SAFETY: sigset_t and sigaction are plain data; signal numbers that do not exist are refused by the kernel.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        for signal in 1..=31 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Blocks SIGCHLD so that it can be read from `signal_fd`.
pub fn block_child_signal() {
    // SAFETY: plain data, single thread.
    unsafe {
        let set = child_set();
        libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut());
    }
}

/// Readable when a child has changed state. SIGCHLD must be blocked.
pub fn signal_fd() -> io::Result<OwnedFd> {
    // SAFETY: a new descriptor is made and owned by the caller.
    unsafe {
        let set = child_set();
        let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Sends a signal to all processes that the caller may signal (inside a PID namespace: all but its init).
pub fn signal_group(signal: i32) {
    // SAFETY: only called by the init of a PID namespace, where -1 reaches that namespace and nothing else.
    unsafe { libc::kill(-1, signal) };
}

/// # Safety
/// None needed by callers beyond a single thread; unsafe because it uses C's out-pointer style.
unsafe fn child_set() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data and initialised by sigemptyset.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        set
    }
}

/// Moves this process into new namespaces.
pub fn unshare(flags: rustix::thread::UnshareFlags) -> io::Result<()> {
    // SAFETY: the danger is in sharing descriptors or folders with other threads, and this process has one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}
