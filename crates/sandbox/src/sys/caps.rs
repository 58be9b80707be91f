//! Giving up privileges for good.
#![allow(unsafe_code)]

use std::io;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Set {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;
/// Above every capability that exists; numbers that do not exist are refused without harm.
const CAPABILITY_LAST: u64 = 63;
/// SECBIT_NOROOT, NO_SETUID_FIXUP, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE, all locked: uid 0 means nothing any more.
const SECURE_BITS: u64 = 0b1110_1111;

/// No program that is run later can have a capability, whatever its file says. Needs CAP_SETPCAP.
pub fn drop_bounding_set() {
    for capability in 0..=CAPABILITY_LAST {
        // SAFETY: numbers only.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0u64, 0u64, 0u64) };
    }
}

/// No capability in any set, none to be had by exec, no new privileges. After this only `install_filters` may follow.
pub fn drop_all() -> io::Result<()> {
    // SAFETY: prctl and capset take numbers and pointers to structures that live across the call.
    unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0u64, 0u64, 0u64);
        // Needs a capability itself; without it the bits do not matter.
        libc::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS, 0u64, 0u64, 0u64);
        let header = Header { version: VERSION_3, pid: 0 };
        let none = [Set::default(); 2];
        if libc::syscall(libc::SYS_capset, &header, none.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1u64, 0u64, 0u64, 0u64) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
