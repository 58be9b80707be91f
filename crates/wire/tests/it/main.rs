//! Tests of the wire from outside.

mod json;
mod model;
mod mutated;
mod routing;
mod speed;
mod validation;
mod vectors;
