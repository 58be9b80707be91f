//! DynamoDB on a whole cloud: memory store, a clock that the test moves.

#![allow(clippy::unwrap_used)]

mod access;
mod backups;
mod concurrency;
mod exports;
mod house;
mod indexes;
mod items;
mod partiql;
mod reading;
mod regions;
mod resources;
mod streams;
mod tables;
mod throttling;
mod time_to_live;
mod transactions;
