//! `AWS::IAM::Role`, `AWS::IAM::ServiceLinkedRole`.

use serde_json::{Value, json};
use sereno_kernel::{Ctx, ResourceRequest, ResourceState, ResourceType, Result};

use super::grants::Holder;
use super::{
    call, call_unless_gone, change_tags, create_named, document, forget, known, name, part,
    required, tags, text,
};
use crate::errors;

const PROPERTIES: [&str; 9] = [
    "AssumeRolePolicyDocument",
    "Description",
    "ManagedPolicyArns",
    "MaxSessionDuration",
    "Path",
    "PermissionsBoundary",
    "Policies",
    "RoleName",
    "Tags",
];

pub fn role() -> ResourceType {
    ResourceType::new("AWS::IAM::Role")
        .create_only(&["RoleName", "Path"])
        .create(create)
        .update(update)
        .delete(delete)
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &PROPERTIES)?;
    let role = name(&request, "RoleName", 64);
    let input = with_duration(
        properties,
        json!({
            "RoleName": role,
            "Path": text(properties, "Path").unwrap_or_else(|| "/".to_owned()),
            "AssumeRolePolicyDocument": document(properties, "AssumeRolePolicyDocument")?,
            "Description": text(properties, "Description"),
            "PermissionsBoundary": text(properties, "PermissionsBoundary"),
            "Tags": tags(&request, properties),
        }),
    )?;
    create_named(&ctx, &request, "CreateRole", without_null(input)).await?;
    Holder { kind: "Role", name: &role }.put_all(&ctx, properties).await?;
    let state = shown(&ctx, &role).await?;
    forget(&ctx, &request).await?;
    Ok(state)
}

fn with_duration(properties: &super::Properties, mut input: Value) -> Result<Value> {
    if let Some(duration) = text(properties, "MaxSessionDuration") {
        let seconds: i32 = duration.parse().map_err(|_| {
            errors::validation("Property MaxSessionDuration must be a number of seconds.")
        })?;
        input["MaxSessionDuration"] = seconds.into();
    }
    Ok(input)
}

/// An absent member is not the same as null.
pub(super) fn without_null(mut input: Value) -> Value {
    if let Value::Object(members) = &mut input {
        members.retain(|_, v| !v.is_null());
    }
    input
}

async fn shown(ctx: &Ctx, role: &str) -> Result<ResourceState> {
    let answer = call(ctx, "GetRole", json!({"RoleName": role})).await?;
    Ok(ResourceState::new(role)
        .attribute("Arn", part(&answer, &["Role", "Arn"]))
        .attribute("RoleId", part(&answer, &["Role", "RoleId"])))
}

async fn update(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let (before, after) = (&request.previous, &request.properties);
    known(after, &PROPERTIES)?;
    let role = request.physical_id.as_str();
    let trust = document(after, "AssumeRolePolicyDocument")?;
    if document(before, "AssumeRolePolicyDocument").ok().as_ref() != Some(&trust) {
        let input = json!({"RoleName": role, "PolicyDocument": trust});
        call(&ctx, "UpdateAssumeRolePolicy", input).await?;
    }
    let changed = |property: &str| before.get(property) != after.get(property);
    if changed("Description") || changed("MaxSessionDuration") {
        let input = json!({"RoleName": role, "Description": text(after, "Description")});
        call(&ctx, "UpdateRole", without_null(with_duration(after, input)?)).await?;
    }
    let holder = Holder { kind: "Role", name: role };
    holder.change(&ctx, &request).await?;
    holder.change_boundary(&ctx, &request).await?;
    change_tags(&ctx, &request, "Role", ("RoleName", role)).await?;
    shown(&ctx, role).await
}

async fn delete(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let role = request.physical_id.as_str();
    Holder { kind: "Role", name: role }.remove_all(&ctx, &request.properties).await?;
    call_unless_gone(&ctx, "DeleteRole", json!({"RoleName": role})).await
}

pub fn service_linked() -> ResourceType {
    ResourceType::new("AWS::IAM::ServiceLinkedRole")
        .create_only(&["AWSServiceName", "CustomSuffix"])
        .create(create_linked)
        .update(update_linked)
        .delete(|ctx: Ctx, request: ResourceRequest| async move {
            let input = json!({"RoleName": request.physical_id});
            call_unless_gone(&ctx, "DeleteServiceLinkedRole", input).await
        })
}

async fn create_linked(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &["AWSServiceName", "CustomSuffix", "Description"])?;
    let input = without_null(json!({
        "AWSServiceName": required(properties, "AWSServiceName")?,
        "CustomSuffix": text(properties, "CustomSuffix"),
        "Description": text(properties, "Description"),
    }));
    let answer = call(&ctx, "CreateServiceLinkedRole", input).await?;
    let role = part(&answer, &["Role", "RoleName"]);
    let role = role.as_str().unwrap_or_default();
    Ok(ResourceState::new(role).attribute("RoleName", role))
}

async fn update_linked(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let role = request.physical_id.as_str();
    let description = text(&request.properties, "Description").unwrap_or_default();
    let input = json!({"RoleName": role, "Description": description});
    call(&ctx, "UpdateRoleDescription", input).await?;
    Ok(ResourceState::new(role).attribute("RoleName", role))
}
