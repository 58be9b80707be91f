//! Why a template is refused: one sentence, AWS's own where one is known.
//!
//! CloudFormation answers every one of these as `ValidationError` (400), or uses the sentence as a
//! status reason when it finds out later.

/// A sentence for the template's author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    message: String,
}

pub type Result<T> = std::result::Result<T, TemplateError>;

impl TemplateError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// The template's form is wrong.
    pub fn format(message: impl std::fmt::Display) -> Self {
        Self { message: format!("Template format error: {message}") }
    }

    /// A function in the template is used wrongly.
    pub fn function(message: impl std::fmt::Display) -> Self {
        Self { message: format!("Template error: {message}") }
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}
