//! Execution roles and the policies in them.

use crate::fault::{Fault, Result};
use crate::intrinsics::{if_parts, is_if, is_no_value};
use crate::policies::{Policy, PolicyKind};
use crate::resource::Resource;
use crate::value::{Map, Text, Value, list, map};
use crate::world::World;

/// Lets a service take the role.
pub fn trust(service: &str) -> Map {
    let statement = map! {
        "Action" => list!["sts:AssumeRole"],
        "Effect" => "Allow",
        "Principal" => map! { "Service" => list![service] },
    };
    map! { "Version" => "2012-10-17", "Statement" => list![statement] }
}

/// A policy with one permission, named `{prefix}{suffix}`.
pub fn allow(prefix: &str, suffix: &str, action: &str, resource: &Value) -> Value {
    named(&format!("{prefix}{suffix}"), list![statement(action.into(), resource)])
}

/// A statement that allows.
pub fn statement(action: Value, resource: impl Into<Value>) -> Map {
    map! { "Action" => action, "Effect" => "Allow", "Resource" => resource.into() }
}

/// A policy of `statements`, without a version as AWS writes these.
pub fn named(name: &str, statements: Value) -> Value {
    let document = map! { "Statement" => statements };
    map! { "PolicyName" => name, "PolicyDocument" => document }.into()
}

/// What a role is made of.
pub struct RoleParts<'a> {
    pub attributes: &'a Map,
    pub trust: Value,
    /// Policies as the template lists them.
    pub policies: &'a [Policy],
    /// ARNs of managed policies that come first.
    pub managed: Vec<Value>,
    /// Policies that come first.
    pub inline: Vec<Value>,
    pub path: &'a Value,
    pub boundary: &'a Value,
    pub tags: Value,
}

/// Makes the role of the resource `owner`.
pub fn role(owner: &Text, parts: RoleParts<'_>, world: &World<'_>) -> Result<Resource> {
    let id = owner.plus("Role");
    let (mut managed, mut inline) = (parts.managed, parts.inline);
    for (index, policy) in parts.policies.iter().enumerate() {
        match policy.kind {
            PolicyKind::Statement => {
                let name = format!("{id}Policy{index}");
                let wrap = |document: &Value| -> Value {
                    map! { "PolicyName" => name.as_str(), "PolicyDocument" => document }.into()
                };
                inline.push(in_branches(&policy.data, |v| !is_no_value(v), wrap));
            }
            PolicyKind::Managed => {
                let arn = in_branches(&policy.data, Value::is_str, |name| {
                    managed_arn(name.as_str().unwrap_or_default(), world)
                });
                if !managed.contains(&arn) {
                    managed.push(arn);
                }
            }
            PolicyKind::Template | PolicyKind::Unknown => {
                return Err(Fault::resource(
                    owner,
                    format!("Policy at index {index} in the 'Policies' property is not valid"),
                ));
            }
        }
    }
    let mut role = Resource::new("AWS::IAM::Role", id)?
        .with_attributes(parts.attributes)
        .with("AssumeRolePolicyDocument", parts.trust)
        .with("ManagedPolicyArns", managed)
        .with("Path", parts.path)
        .with("PermissionsBoundary", parts.boundary)
        .with("Tags", parts.tags);
    if !inline.is_empty() {
        role.set("Policies", inline);
    }
    Ok(role)
}

/// `value`, or each branch of the `Fn::If` it is, converted where `applies`.
fn in_branches(
    value: &Value,
    applies: impl Fn(&Value) -> bool,
    convert: impl Fn(&Value) -> Value,
) -> Value {
    let one = |value: &Value| if applies(value) { convert(value) } else { value.clone() };
    match if_parts(value) {
        Ok((condition, yes, no)) if is_if(value) => {
            map! { "Fn::If" => list![condition, one(yes), one(no)] }.into()
        }
        _ => one(value),
    }
}

/// The ARN of a managed policy given by name; what is no known name stands for itself.
fn managed_arn(name: &str, world: &World<'_>) -> Value {
    if name.starts_with("arn:") {
        return name.into();
    }
    (world.context.managed_policies)(name).unwrap_or_else(|| name.to_owned()).into()
}
