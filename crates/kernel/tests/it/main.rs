#![allow(clippy::unwrap_used)]

mod authorise;
mod calls;
mod sweep;
mod tasks;
