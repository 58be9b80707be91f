//! The store as services use it, on the memory engine.

mod tables;
