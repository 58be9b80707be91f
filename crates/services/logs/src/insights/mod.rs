//! Logs Insights' query language: `fields @message | filter @message like /ERROR/ | limit 20`.
//! https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
//!
//! Pure: [`parse`] makes a query of a text, a [`Pipeline`] is fed events, newest first,
//! and says what rows come out. It holds no more events than its query's limit.

mod aggregate;
mod event;
mod expression;
mod function;
mod parse;
mod pipeline;
mod scan;
mod value;

#[cfg(test)]
mod tests;

pub use event::Event;
pub use parse::parse;
pub use pipeline::{Flow, Pipeline, TooMuch};
pub use scan::Malformed;

/// One row of a result: names and values, in the order of the columns.
pub type Row = Vec<(String, String)>;
