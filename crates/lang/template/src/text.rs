//! Template text to values: JSON when the first character that is not blank is `{` and it is JSON, else YAML.
//!
//! Invariants: keys keep their order; no object has a key twice; nesting is at most [`DEPTH_MAX`]
//! and the whole tree has at most [`NODES_MAX`] nodes, whatever aliases claim.

mod json;
mod scalar;
mod yaml;

use serde_json::Value;

use crate::error::{Result, TemplateError};

/// Deeper templates are refused: the walkers of this crate recurse.
pub const DEPTH_MAX: usize = 100;
/// A template of 1 MB cannot hold more nodes than this without aliases.
pub const NODES_MAX: usize = 300_000;
/// `TemplateBody` in a request (recorded: test_to_validate_template_limit_for_macro).
pub const BODY_BYTES_MAX: usize = 51_200;
/// A template read through `TemplateURL`.
pub const TEMPLATE_BYTES_MAX: usize = 1_000_000;

/// Reads template text. The value is not looked at: see [`crate::Template`].
pub fn parse(text: &str) -> Result<Value> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(TemplateError::new(format!(
            "Template may not exceed {TEMPLATE_BYTES_MAX} bytes in size."
        )));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with('{') {
        return yaml::parse(text);
    }
    // YAML's flow form looks like JSON and allows more: a comma at the end, plain words.
    json::parse(text).or_else(|error| yaml::parse(text).map_err(|_| error))
}

/// Counts what has been built and how deep it is.
#[derive(Default)]
struct Budget {
    nodes: usize,
}

impl Budget {
    fn spend(&mut self, nodes: usize, depth: usize) -> Result<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            return Err(TemplateError::format("the template expands to too many nodes."));
        }
        if depth > DEPTH_MAX {
            return Err(TemplateError::format("the template is nested too deeply."));
        }
        Ok(())
    }
}
