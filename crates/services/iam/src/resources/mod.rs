//! CloudFormation types of IAM. They call IAM's own operations, so a stack can do what its owner may.
//!
//! A try that a crash ended is finished by the next one with the same token: what exists under a generated name,
//! or under a name that this token has marked as its own, is adopted.

mod grants;
mod group;
mod policy;
mod profile;
mod role;
mod user;

use serde_json::{Map, Value, json};
use sereno_kernel::{Ctx, Error, ResourceRequest, Result, Service};
use sereno_store::{Batch, Check, Table};

use crate::errors;

pub fn all(service: Service) -> Service {
    service
        .resource(role::role())
        .resource(role::service_linked())
        .resource(user::user())
        .resource(user::access_key())
        .resource(group::group())
        .resource(group::addition())
        .resource(policy::inline())
        .resource(policy::managed())
        .resource(policy::of_one("AWS::IAM::RolePolicy", "Role"))
        .resource(policy::of_one("AWS::IAM::UserPolicy", "User"))
        .resource(policy::of_one("AWS::IAM::GroupPolicy", "Group"))
        .resource(profile::profile())
        .resource(profile::provider())
}

/// Names that a try has begun to make, by token and logical id.
const BEGUN: Table<(String, String), ()> = Table::new("iam", "stack_names");

pub(super) type Properties = Map<String, Value>;

/// Calls an operation of IAM.
pub(super) async fn call(ctx: &Ctx, operation: &str, input: Value) -> Result<Value> {
    ctx.call_json("iam", operation, &input).await
}

/// The same; what is gone already is no error.
pub(super) async fn call_unless_gone(ctx: &Ctx, operation: &str, input: Value) -> Result<()> {
    match call(ctx, operation, input).await {
        Err(error) if error.code() != "NoSuchEntity" => Err(error),
        _ => Ok(()),
    }
}

/// The text of a property; numbers and booleans count as texts, as in templates.
pub(super) fn text(properties: &Properties, name: &str) -> Option<String> {
    match properties.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        _ => None,
    }
}

pub(super) fn required(properties: &Properties, name: &str) -> Result<String> {
    text(properties, name)
        .ok_or_else(|| errors::validation(format!("Property {name} cannot be empty.")))
}

pub(super) fn texts(properties: &Properties, name: &str) -> Vec<String> {
    match properties.get(name) {
        Some(Value::Array(all)) => {
            all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        }
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

/// A policy document: an object, or its text.
pub(super) fn document(properties: &Properties, name: &str) -> Result<String> {
    match properties.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(object @ Value::Object(_)) => Ok(object.to_string()),
        _ => Err(errors::validation(format!("Property {name} cannot be empty."))),
    }
}

/// Only these properties are known; any other is refused.
pub(super) fn known(properties: &Properties, names: &[&str]) -> Result<()> {
    match properties.keys().find(|k| !names.contains(&k.as_str())) {
        Some(other) => Err(errors::validation(format!("Encountered unsupported property {other}"))),
        None => Ok(()),
    }
}

/// The template's tags over the stack's.
pub(super) fn tags(request: &ResourceRequest, properties: &Properties) -> Value {
    let mut tags: Vec<(String, String)> =
        request.tags.iter().filter(|(key, _)| !key.starts_with("aws:")).cloned().collect();
    if let Some(Value::Array(own)) = properties.get("Tags") {
        for tag in own {
            let key = tag.get("Key").and_then(Value::as_str).unwrap_or_default();
            let value = tag.get("Value").and_then(Value::as_str).unwrap_or_default();
            tags.retain(|(k, _)| !k.eq_ignore_ascii_case(key));
            tags.push((key.to_owned(), value.to_owned()));
        }
    }
    tags.into_iter().map(|(k, v)| json!({"Key": k, "Value": v})).collect()
}

/// Sets and removes tags until they are those of the new properties.
pub(super) async fn change_tags(
    ctx: &Ctx,
    request: &ResourceRequest,
    kind: &str,
    target: (&str, &str),
) -> Result<()> {
    let (before, after) = (tags(request, &request.previous), tags(request, &request.properties));
    let keys = |tags: &Value| -> Vec<String> {
        let all = tags.as_array().into_iter().flatten();
        all.filter_map(|t| t["Key"].as_str().map(str::to_owned)).collect()
    };
    let kept = keys(&after);
    let gone: Vec<String> = keys(&before).into_iter().filter(|k| !kept.contains(k)).collect();
    if !gone.is_empty() {
        call(ctx, &format!("Untag{kind}"), json!({target.0: target.1, "TagKeys": gone})).await?;
    }
    if before != after && !kept.is_empty() {
        call(ctx, &format!("Tag{kind}"), json!({target.0: target.1, "Tags": after})).await?;
    }
    Ok(())
}

/// The name in the template, or the generated one, no longer than `most` characters.
pub(super) fn name(request: &ResourceRequest, property: &str, most: usize) -> String {
    match text(&request.properties, property) {
        Some(name) => name,
        None if request.suggested_name.len() <= most => request.suggested_name.clone(),
        None => {
            // The random end makes it unique: shorten in front of it.
            let suggested = &request.suggested_name;
            let (head, tail) = suggested.rsplit_once('-').unwrap_or((suggested, ""));
            let room = most.saturating_sub(tail.len() + 1);
            let head: String = head.chars().take(room).collect();
            format!("{}-{tail}", head.trim_end_matches('-'))
        }
    }
}

/// Makes something under a name. `exists` tells whether it is there already; if an earlier try of the same
/// change made it, it is adopted.
pub(super) async fn create_named(
    ctx: &Ctx,
    request: &ResourceRequest,
    operation: &str,
    input: Value,
) -> Result<Option<Value>> {
    let key = (request.token.as_str(), request.logical_id.as_str());
    let scope = ctx.account_scope();
    let mut mark = Batch::new();
    BEGUN.check(&mut mark, scope, &key, Check::Absent);
    BEGUN.put(&mut mark, scope, &key, &());
    let first = match ctx.store().commit(mark).await {
        Ok(_) => true,
        Err(sereno_store::StoreError::Conflict) => false,
        Err(error) => return Err(error.into()),
    };
    let generated = has_generated_name(request, &input);
    match call(ctx, operation, input).await {
        Ok(made) => Ok(Some(made)),
        // A crash may also come after the last try was over: a generated name tells by itself whose it is.
        Err(error) if (!first || generated) && error.code() == "EntityAlreadyExists" => Ok(None),
        Err(error) => {
            if first {
                forget(ctx, request).await?;
            }
            Err(error)
        }
    }
}

/// Whether a member ends as only this resource's generated name does.
fn has_generated_name(request: &ResourceRequest, input: &Value) -> bool {
    let Some((_, tail)) = request.suggested_name.rsplit_once('-') else { return false };
    let mut members = input.as_object().into_iter().flatten().filter_map(|(_, v)| v.as_str());
    members.any(|member| member.ends_with(&format!("-{tail}")))
}

/// The try is over.
pub(super) async fn forget(ctx: &Ctx, request: &ResourceRequest) -> Result<()> {
    let mut done = Batch::new();
    let key = (request.token.as_str(), request.logical_id.as_str());
    BEGUN.delete(&mut done, ctx.account_scope(), &key);
    ctx.store().commit(done).await.map_err(Error::from)?;
    Ok(())
}

/// A part of an answer.
pub(super) fn part(answer: &Value, path: &[&str]) -> Value {
    path.iter().fold(answer, |value, name| &value[*name]).clone()
}
