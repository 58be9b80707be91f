//! The Serverless Application Model: turns a template with `AWS::Serverless::*` resources into the
//! plain CloudFormation template that AWS makes of it.
//!
//! Pure: text in, decision out. What the transform must know of the world (region, parameters,
//! managed policies) is in [`SamContext`].
//!
//! Invariants:
//! - the same template and context give the same output, down to logical ids with hashes in them;
//!   those ids decide whether CloudFormation keeps or replaces a resource;
//! - a property that SAM does not know is refused, never dropped;
//! - the errors are AWS's sentences.

mod api;
mod application;
mod connector;
mod deployment;
mod editor;
mod events;
mod fault;
mod function;
mod globals;
mod http_api;
mod implicit;
mod intrinsics;
mod layer;
mod logical_id;
mod policies;
mod resolve;
mod resource;
mod role;
mod s3_uri;
mod schema;
mod simple_table;
mod state_machine;
mod tags;
mod template;
mod translate;
mod value;
mod websocket_api;
mod world;

use std::fmt;

/// The name of the transform in a template's `Transform` section.
pub const TRANSFORM: &str = "AWS::Serverless-2016-10-31";

/// What the transform knows of the world.
pub struct SamContext<'a> {
    pub region: &'a str,
    /// `aws`, `aws-cn`, `aws-us-gov` ...
    pub partition: &'a str,
    /// The stack's parameters as given. Defaults of the template, `AWS::Region` and
    /// `AWS::Partition` are added where absent.
    pub parameter_values: serde_json::Map<String, serde_json::Value>,
    /// The ARN of an AWS managed policy by its name.
    pub managed_policies: &'a dyn Fn(&str) -> Option<String>,
    /// The URL of the template of an application in the Serverless Application Repository, by id
    /// and version, or the sentence that says why there is none.
    pub applications: &'a dyn Fn(&str, &str) -> Result<String, String>,
    /// Seconds since 1970, for APIs with `AlwaysDeploy`.
    pub now_s: u64,
}

impl<'a> SamContext<'a> {
    /// A context without parameters, managed policies and application repository.
    pub fn new(region: &'a str, partition: &'a str) -> SamContext<'a> {
        SamContext {
            region,
            partition,
            parameter_values: serde_json::Map::new(),
            managed_policies: &|_| None,
            applications: &|_, _| {
                Err("Serverless Application Repository is not available in this region.".to_owned())
            },
            now_s: 0,
        }
    }
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformError {
    /// One sentence for each error.
    pub causes: Vec<String>,
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Invalid Serverless Application Specification document. Number of errors found: {}.",
            self.causes.len()
        )?;
        self.causes.iter().try_for_each(|cause| write!(f, " {cause}"))
    }
}

impl std::error::Error for TransformError {}

/// Transforms `template`, given in JSON with intrinsic functions in their long form.
pub fn transform(
    template: &serde_json::Value,
    context: &SamContext<'_>,
) -> Result<serde_json::Value, TransformError> {
    translate::translate(template, context).map_err(|causes| TransformError { causes })
}
