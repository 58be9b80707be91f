//! The gateway from outside its modules.

mod sigv4_vectors;
