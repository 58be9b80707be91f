//! The gateway from outside its modules.
#![allow(clippy::unwrap_used)]

mod sigv4_vectors;
mod slow_clients;
