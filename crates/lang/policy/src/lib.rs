//! The IAM policy language: documents in, decisions out. Pure: no I/O, no clock, no async.
//!
//! The way of a policy: text → [`json`] (JSON, duplicate keys, where each statement lies) → [`document`]
//! (the grammar) → [`validate`] (what IAM refuses, in its words) → [`Policy`] (compiled) → [`decide`].
//!
//! Invariants
//! - An explicit deny in any policy that applies wins over everything.
//! - What cannot be decided (a variable without a value, a number that is none) never allows: it fails an
//!   `Allow` statement, and for negated operators it keeps a `Deny` statement in force.
//! - A text that does not follow the grammar makes no [`Policy`]: nothing malformed is ever evaluated.
//!
//! Documentation followed: `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html`,
//! `.../reference_policies_elements.html`, `.../reference_policies_evaluation-logic.html`.

#![forbid(unsafe_code)]

mod condition;
mod context;
mod decide;
mod document;
mod json;
mod message;
mod pattern;
mod policy;
mod principal;
pub mod validate;
mod value;

pub use context::{Context, Values};
pub use decide::{Decision, Policies, PolicyKind, Request, ResourceRule, decide};
pub use json::Position;
pub use message::denied;
pub use policy::{Effect, Policy, Statement};
pub use principal::{Principal, PrincipalKind};
pub use validate::Malformed;
