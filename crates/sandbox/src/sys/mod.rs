//! System calls that no safe wrapper covers. The only unsafe code of the project is in this folder.
//!
//! Invariant: every function here is safe to call from a process with one thread, which is what the helper and the
//! processes it makes are; the server, which has many threads, uses only what takes file descriptors.

mod caps;
mod mounts;
mod process;
mod seccomp;
mod watched;

pub use caps::{drop_all, drop_bounding_set};
pub use mounts::{Attributes, set_attributes};
pub use process::{
    block_child_signal, close_all_except, close_from, duplicate_to, exec, exit_now, process_clone,
    reset_signals, set_ids, signal_fd, signal_group, unshare,
};
pub use seccomp::{filter_bytes, install_filter};
pub use watched::watched;
