//! Runs functions, each in a sandbox of its own.
//!
//! ```text
//!            server (this crate, async)                     helper (`sereno __jail`, one thread)
//!  port ── fleet ── instance ── frames / Runtime API ─┐
//!   │                                                 │ pipes, one instance's own
//!   └─ start ── pool, packages, interpreters          │
//!        │                                            │
//!      helper ───────── orders, descriptors ──────► jail ── slot ── init ── the function's process
//!                                                     └─── zygote ── fork ──────┘
//! ```
//!
//! Invariants: the server never forks and never runs a function's code in its own process or namespaces; everything
//! that an instance is (processes, mounts, control group) ends with it, with the helper, or with the server; what a
//! machine cannot enforce is told by [`LocalSandbox::protections`](sereno_kernel::Sandbox), never passed over.

mod ahead;
mod concurrency;
mod environment;
mod extensions;
mod fleet;
mod frames;
mod helper;
mod instance;
mod interpreters;
mod jail;
mod java;
mod journal;
mod launch;
mod message;
mod network;
mod outcome;
mod packages;
mod plan;
mod pool;
mod port;
mod process;
mod protections;
mod report;
mod runtime_api;
mod runtime_files;
mod start;
mod sys;
mod telemetry;

pub use jail::main as helper_main;
pub use port::{Config, LocalSandbox};
