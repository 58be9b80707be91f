//! What a template is rendered with: its variables and its limits.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use crate::value::Value;

/// What a template may use up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nodes rendered, values computed, and calls made.
    pub steps_max: u64,
    pub output_bytes_max: usize,
    /// Text made on the way, all together.
    pub text_bytes_max: usize,
    /// Turns of one `#foreach`; it ends quietly there, as on AWS.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
    pub loop_turns_max: usize,
    pub macro_depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps_max: 5_000_000,
            output_bytes_max: 10 << 20,
            text_bytes_max: 128 << 20,
            loop_turns_max: 1000,
            macro_depth_max: 20,
        }
    }
}

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError(pub String);

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RenderError {}

/// The variables of a template.
#[derive(Debug, Default)]
pub struct Scope {
    pub(crate) variables: HashMap<Rc<str>, Value>,
}

impl Scope {
    pub fn set(&mut self, name: &str, value: Value) {
        self.variables.insert(name.into(), value);
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }
}
