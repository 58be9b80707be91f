//! The template language of API Gateway: Apache Velocity 1.7, and the `JSONPath` that goes with it.
//!
//! Text in, text out; no I/O, no clock. The objects of a template (`$context`, `$input`, ...) come
//! in as [`Value`]s; objects with behaviour implement [`Host`].
//!
//! Invariants:
//! - A parsed [`Template`] is immutable and can be rendered any number of times.
//! - Every template ends: steps, output, loop turns, macro depth and list sizes are bounded by
//!   [`Limits`].
//! - A reference that has no value is the empty string everywhere, also in comparisons and as an
//!   argument: that is how API Gateway sets Velocity up (`$x == ""` and `$x == $null` are both
//!   true for a missing `$x`, and `#if($x)` is true; recorded: `test_input_path_template_formatting`).
//! - White space is Velocity 1.7's: a directive that ends its line eats the line's end.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html>

mod ast;
mod eval;
mod expr;
mod gateway;
pub mod json;
pub mod jsonpath;
mod lexis;
mod math;
mod methods;
mod parse;
mod scope;
mod strings;
mod value;

pub use gateway::{Input, Util};
pub use parse::ParseError;
pub use scope::{Limits, RenderError, Scope};
pub use value::{Host, List, Map, Value};

/// A template that was read and can be rendered.
#[derive(Debug)]
pub struct Template {
    pub(crate) root: ast::Block,
    pub(crate) macros: ast::Macros,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When Velocity would refuse it.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        parse::template(source)
    }

    /// Renders it with the variables of `scope`; what the template sets stays in `scope`.
    ///
    /// # Errors
    /// When a limit is hit, a called method fails, or a directive is used as Velocity forbids.
    pub fn render(&self, scope: &mut Scope, limits: &Limits) -> Result<String, RenderError> {
        eval::render(self, scope, limits)
    }
}
