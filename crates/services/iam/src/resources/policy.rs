//! `AWS::IAM::Policy`, `AWS::IAM::ManagedPolicy`, `AWS::IAM::{Role,User,Group}Policy`.

use serde_json::{Value, json};
use sereno_kernel::{Ctx, ResourceRequest, ResourceState, ResourceType, Result};

use super::grants::{Holder, named};
use super::role::without_null;
use super::{
    Properties, call, call_unless_gone, change_tags, create_named, document, forget, known, name,
    part, required, tags, text,
};
use crate::errors;

/// An inline policy put on several entities.
pub fn inline() -> ResourceType {
    ResourceType::new("AWS::IAM::Policy").create(create_inline).update(update_inline).delete(
        |ctx: Ctx, request: ResourceRequest| async move {
            let policy = required(&request.properties, "PolicyName")?;
            for (kind, holder) in named(&request.properties) {
                Holder { kind, name: &holder }.delete(&ctx, &policy).await?;
            }
            Ok(())
        },
    )
}

const INLINE: [&str; 5] = ["Groups", "PolicyDocument", "PolicyName", "Roles", "Users"];

async fn create_inline(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &INLINE)?;
    put_inline(&ctx, properties).await?;
    let id = request.suggested_name.clone();
    Ok(ResourceState::new(&id).attribute("Id", id))
}

async fn put_inline(ctx: &Ctx, properties: &Properties) -> Result<()> {
    let policy = required(properties, "PolicyName")?;
    let document = document(properties, "PolicyDocument")?;
    let holders = named(properties);
    if holders.is_empty() {
        return Err(errors::validation("At least one of [Groups,Roles,Users] must be non-empty."));
    }
    for (kind, holder) in holders {
        Holder { kind, name: &holder }.put(ctx, &policy, &document).await?;
    }
    Ok(())
}

async fn update_inline(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let (before, after) = (&request.previous, &request.properties);
    known(after, &INLINE)?;
    put_inline(&ctx, after).await?;
    let (old, new) = (required(before, "PolicyName")?, required(after, "PolicyName")?);
    let kept = named(after);
    for (kind, holder) in named(before) {
        if old != new || !kept.contains(&(kind, holder.clone())) {
            Holder { kind, name: &holder }.delete(&ctx, &old).await?;
        }
    }
    Ok(ResourceState { physical_id: request.physical_id, attributes: request.attributes })
}

/// An inline policy of one role, user or group.
pub fn of_one(type_name: &'static str, kind: &'static str) -> ResourceType {
    let holder_property = match kind {
        "Role" => "RoleName",
        "User" => "UserName",
        _ => "GroupName",
    };
    let put = move |ctx: Ctx, request: ResourceRequest| async move {
        let properties = &request.properties;
        known(properties, &["PolicyDocument", "PolicyName", holder_property])?;
        let holder = required(properties, holder_property)?;
        let policy = required(properties, "PolicyName")?;
        let document = document(properties, "PolicyDocument")?;
        Holder { kind, name: &holder }.put(&ctx, &policy, &document).await?;
        Ok(ResourceState::new(format!("{policy}|{holder}")))
    };
    let create_only: &'static [&'static str] = match kind {
        "Role" => &["PolicyName", "RoleName"],
        "User" => &["PolicyName", "UserName"],
        _ => &["PolicyName", "GroupName"],
    };
    ResourceType::new(type_name).create_only(create_only).create(put).update(put).delete(
        move |ctx: Ctx, request: ResourceRequest| async move {
            let holder = required(&request.properties, holder_property)?;
            let policy = required(&request.properties, "PolicyName")?;
            Holder { kind, name: &holder }.delete(&ctx, &policy).await
        },
    )
}

const MANAGED: [&str; 8] = [
    "Description",
    "Groups",
    "ManagedPolicyName",
    "Path",
    "PolicyDocument",
    "Roles",
    "Tags",
    "Users",
];

pub fn managed() -> ResourceType {
    ResourceType::new("AWS::IAM::ManagedPolicy")
        .create_only(&["Description", "ManagedPolicyName", "Path"])
        .create(create_managed)
        .update(update_managed)
        .delete(delete_managed)
}

async fn create_managed(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &MANAGED)?;
    let policy = name(&request, "ManagedPolicyName", 128);
    let path = text(properties, "Path").unwrap_or_else(|| "/".to_owned());
    let arn = format!("arn:{}:iam::{}:policy{path}{policy}", ctx.partition(), ctx.account());
    let input = without_null(json!({
        "PolicyName": policy,
        "Path": path,
        "PolicyDocument": document(properties, "PolicyDocument")?,
        "Description": text(properties, "Description"),
        "Tags": tags(&request, properties),
    }));
    create_named(&ctx, &request, "CreatePolicy", input).await?;
    for (kind, holder) in named(properties) {
        Holder { kind, name: &holder }.attach(&ctx, &arn).await?;
    }
    let state = shown(&ctx, &arn).await?;
    forget(&ctx, &request).await?;
    Ok(state)
}

async fn shown(ctx: &Ctx, arn: &str) -> Result<ResourceState> {
    let answer = call(ctx, "GetPolicy", json!({"PolicyArn": arn})).await?;
    let mut state = ResourceState::new(arn).attribute("PolicyArn", arn);
    for name in [
        "AttachmentCount",
        "CreateDate",
        "DefaultVersionId",
        "IsAttachable",
        "PermissionsBoundaryUsageCount",
        "PolicyId",
        "UpdateDate",
    ] {
        state = state.attribute(name, part(&answer, &["Policy", name]));
    }
    Ok(state)
}

async fn update_managed(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let (before, after) = (&request.previous, &request.properties);
    known(after, &MANAGED)?;
    let arn = request.physical_id.as_str();
    let new = document(after, "PolicyDocument")?;
    if document(before, "PolicyDocument").ok().as_ref() != Some(&new) {
        make_room(&ctx, arn).await?;
        let input = json!({"PolicyArn": arn, "PolicyDocument": new, "SetAsDefault": true});
        call(&ctx, "CreatePolicyVersion", input).await?;
    }
    let (old, kept) = (named(before), named(after));
    for (kind, holder) in old.iter().filter(|h| !kept.contains(h)) {
        Holder { kind, name: holder }.detach(&ctx, arn).await?;
    }
    for (kind, holder) in kept.iter().filter(|h| !old.contains(h)) {
        Holder { kind, name: holder }.attach(&ctx, arn).await?;
    }
    change_tags(&ctx, &request, "Policy", ("PolicyArn", arn)).await?;
    shown(&ctx, arn).await
}

/// A policy has five versions at most: the oldest that is not in force goes, as CloudFormation does it.
async fn make_room(ctx: &Ctx, arn: &str) -> Result<()> {
    let versions = versions(ctx, arn).await?;
    if versions.len() < 5 {
        return Ok(());
    }
    let oldest = versions.iter().rev().find(|(_, default)| !default);
    if let Some((id, _)) = oldest {
        let input = json!({"PolicyArn": arn, "VersionId": id});
        call(ctx, "DeletePolicyVersion", input).await?;
    }
    Ok(())
}

/// (id, whether it is in force), the newest first.
async fn versions(ctx: &Ctx, arn: &str) -> Result<Vec<(String, bool)>> {
    let answer = call(ctx, "ListPolicyVersions", json!({"PolicyArn": arn})).await?;
    let all = answer["Versions"].as_array().cloned().unwrap_or_default();
    let read = |v: &Value| {
        let id = v["VersionId"].as_str()?.to_owned();
        Some((id, v["IsDefaultVersion"].as_bool().unwrap_or(false)))
    };
    Ok(all.iter().filter_map(read).collect())
}

async fn delete_managed(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let arn = request.physical_id.as_str();
    for (kind, holder) in named(&request.properties) {
        Holder { kind, name: &holder }.detach(&ctx, arn).await?;
    }
    let versions = match versions(&ctx, arn).await {
        Err(error) if error.code() == "NoSuchEntity" => return Ok(()),
        other => other?,
    };
    for (id, _) in versions.iter().filter(|(_, default)| !default) {
        let input = json!({"PolicyArn": arn, "VersionId": id});
        call_unless_gone(&ctx, "DeletePolicyVersion", input).await?;
    }
    call_unless_gone(&ctx, "DeletePolicy", json!({"PolicyArn": arn})).await
}
