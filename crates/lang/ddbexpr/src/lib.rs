//! DynamoDB's values and expression languages: text and values in, decision out.
//!
//! * [`number`]: exact decimals of 38 digits; [`value`]: attribute values and items, their size as
//!   DynamoDB counts it; [`encode`]: order-preserving keys and the stored form of an item.
//! * [`condition`], [`key_condition`], [`projection`], [`update`]: the four expression languages.
//!   Each is parsed and checked completely before anything is evaluated, so every error that does
//!   not depend on the stored item is found without reading it.
//! * [`legacy`]: `Expected`, `AttributeUpdates`, `QueryFilter`, `ScanFilter`, `KeyConditions`.
//!
//! Invariants:
//! * nothing here does I/O, reads a clock or panics on any input;
//! * byte order of an encoded key is DynamoDB's order of the values (S and B by unsigned bytes,
//!   N by value), proven in `tests/`;
//! * errors are AWS's sentences, complete ([`Invalid`]); their order follows the recorded order of
//!   AWS's checks (dynalite's and Alternator's suites run against AWS).

pub mod condition;
pub mod encode;
pub mod evaluate;
pub mod key_condition;
pub mod legacy;
mod lex;
pub mod number;
mod parse;
pub mod partiql;
pub mod path;
pub mod placeholders;
pub mod projection;
pub mod reserved;
mod tree;
pub mod update;
pub mod update_apply;
pub mod value;

pub use condition::Condition;
pub use key_condition::{KeyCondition, KeyOperator};
pub use number::Number;
pub use path::{Path, Step};
pub use placeholders::Placeholders;
pub use projection::Projection;
pub use update::Update;
pub use value::{Item, Kind, Value};

/// A refusal with the complete sentence of DynamoDB's `ValidationException`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

impl Invalid {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// Which parameter an expression came in; its name prefixes every error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    Condition,
    Filter,
    KeyCondition,
    Projection,
    Update,
}

impl Parameter {
    pub fn name(self) -> &'static str {
        match self {
            Self::Condition => "ConditionExpression",
            Self::Filter => "FilterExpression",
            Self::KeyCondition => "KeyConditionExpression",
            Self::Projection => "ProjectionExpression",
            Self::Update => "UpdateExpression",
        }
    }

    pub(crate) fn invalid(self, what: impl std::fmt::Display) -> Invalid {
        Invalid(format!("Invalid {}: {what}", self.name()))
    }
}

/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
pub mod limits {
    pub const EXPRESSION_BYTES_MAX: usize = 4096;
    pub const OPERATORS_MAX: usize = 300;
    pub const IN_OPERANDS_MAX: usize = 100;
    pub const PATH_DEPTH_MAX: usize = 32;
    pub const NESTING_MAX: usize = 32;
    pub const NUMBER_DIGITS_MAX: u32 = 38;
    pub const PARTITION_KEY_BYTES_MAX: usize = 2048;
    pub const SORT_KEY_BYTES_MAX: usize = 1024;
    pub const ITEM_BYTES_MAX: usize = 400 * 1024;
}
