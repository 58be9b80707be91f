//! Tags: from SAM's map to the form that each CloudFormation type takes.

use crate::fault::{Fault, Result};
use crate::resource::Resource;
use crate::value::{Map, Value, map};

/// Tag keys that only the transform may set.
const RESERVED: [&str; 3] =
    ["lambda:createdBy", "serverlessrepo:applicationId", "serverlessrepo:semanticVersion"];

/// How a type takes tags.
enum Form {
    List,
    Map,
}

/// Types whose tags `PropagateTags` sets.
fn form(kind: &str) -> Option<Form> {
    match kind {
        "AWS::Lambda::Function"
        | "AWS::ApiGateway::RestApi"
        | "AWS::ApiGateway::Stage"
        | "AWS::ApiGateway::DomainName"
        | "AWS::ApiGateway::DomainNameV2"
        | "AWS::ApiGateway::UsagePlan"
        | "AWS::ApiGateway::ApiKey"
        | "AWS::ApiGateway::DomainNameAccessAssociation"
        | "AWS::IAM::Role"
        | "AWS::SQS::Queue"
        | "AWS::SNS::Topic"
        | "AWS::IoT::TopicRule"
        | "AWS::S3::Bucket"
        | "AWS::Lambda::CapacityProvider"
        | "AWS::StepFunctions::StateMachine" => Some(Form::List),
        "AWS::ApiGatewayV2::Stage" | "AWS::ApiGatewayV2::DomainName" => Some(Form::Map),
        _ => None,
    }
}

/// `{key: value}` as `[{Key, Value}]`.
pub fn list(tags: &Value) -> Vec<Value> {
    let Some(tags) = tags.as_map() else { return Vec::new() };
    tags.iter()
        .map(|(key, value)| {
            let value = if value.is_null() { Value::from("") } else { value.clone() };
            map! { "Key" => key, "Value" => value }.into()
        })
        .collect()
}

/// The tags of a generated resource: the mark of SAM, then `more`, then the resource's own.
pub fn marked(id: &str, tags: &Value, more: &Map) -> Result<Value> {
    for reserved in RESERVED {
        if tags.as_map().is_some_and(|tags| tags.contains(reserved)) {
            let message = format!(
                "{reserved} is a reserved Tag key name and cannot be set on your resource. \
                 Please change the tag key in the input."
            );
            return Err(Fault::resource(id, message));
        }
    }
    let mut all = list(&map! { "lambda:createdBy" => "SAM" }.into());
    all.extend(list(&more.clone().into()));
    all.extend(list(tags));
    Ok(all.into())
}

/// Sets `tags` on every resource that takes tags, replacing those it has.
pub fn propagate(resources: &mut [Resource], tags: &Value, wanted: bool) {
    if !wanted || !tags.truthy() {
        return;
    }
    for resource in resources {
        match form(resource.kind) {
            Some(Form::List) => resource.set("Tags", list(tags)),
            Some(Form::Map) => resource.set("Tags", tags),
            None => {}
        }
    }
}
