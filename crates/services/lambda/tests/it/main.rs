//! Lambda on a whole cloud: memory store, a clock that the test moves, a sandbox that the test plays.

#![allow(clippy::unwrap_used)]

mod events;
mod functions;
mod house;
mod layers;
mod mappings;
mod resources;
mod stage;
mod urls;
