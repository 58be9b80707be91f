//! CloudFormation's template language: text in, decisions out. Pure: no clock, no I/O, no async.
//!
//! The way of a template:
//! 1. [`Template::parse`] reads YAML or JSON ([`text`]);
//! 2. [`Template::check_form`] before transforms, [`transforms`] and [`extensions`] while they run,
//!    [`Template::check`] after;
//! 3. [`parameters`] chooses and binds the values, [`conditions`] decides, [`rules`] asserts;
//! 4. [`graph`] says what must exist before what, [`resolve`] gives the values, [`dynamic`] finds what is
//!    to be fetched from elsewhere;
//! 5. [`diff`] compares two results, [`summary`] tells what a template asks for.
//!
//! Invariants: every error is one sentence for the template's author, AWS's own where one is known (with
//! its proof in a comment); function syntax is read in one place only ([`call`]); a value that is
//! `AWS::NoValue` never reaches a caller as a value; nothing here depends on resource types.

pub mod call;
pub mod check;
mod cidr;
pub mod conditions;
pub mod diff;
pub mod dynamic;
pub mod error;
pub mod extensions;
pub mod graph;
pub mod parameters;
pub mod resolve;
pub mod rules;
pub mod sub;
pub mod summary;
pub mod template;
pub mod text;
pub mod transforms;

pub use error::{Result, TemplateError};
pub use resolve::{Environment, KNOWN_AFTER_APPLY, Output, Pseudo, Resolver, World};
pub use template::{Policy, Resource, Template};
