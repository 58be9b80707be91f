//! `AWS::IAM::User`, `AWS::IAM::AccessKey`.

use serde_json::json;
use sereno_kernel::{Ctx, ResourceRequest, ResourceState, ResourceType, Result};

use super::grants::Holder;
use super::role::without_null;
use super::{
    call, call_unless_gone, change_tags, create_named, forget, known, name, part, required, tags,
    text, texts,
};

const PROPERTIES: [&str; 7] =
    ["Groups", "ManagedPolicyArns", "Path", "PermissionsBoundary", "Policies", "Tags", "UserName"];

pub fn user() -> ResourceType {
    ResourceType::new("AWS::IAM::User")
        .create_only(&["UserName"])
        .create(create)
        .update(update)
        .delete(delete)
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &PROPERTIES)?;
    let user = name(&request, "UserName", 64);
    let input = without_null(json!({
        "UserName": user,
        "Path": text(properties, "Path").unwrap_or_else(|| "/".to_owned()),
        "PermissionsBoundary": text(properties, "PermissionsBoundary"),
        "Tags": tags(&request, properties),
    }));
    create_named(&ctx, &request, "CreateUser", input).await?;
    Holder { kind: "User", name: &user }.put_all(&ctx, properties).await?;
    for group in texts(properties, "Groups") {
        call(&ctx, "AddUserToGroup", json!({"GroupName": group, "UserName": user})).await?;
    }
    let state = shown(&ctx, &user).await?;
    forget(&ctx, &request).await?;
    Ok(state)
}

async fn shown(ctx: &Ctx, user: &str) -> Result<ResourceState> {
    let answer = call(ctx, "GetUser", json!({"UserName": user})).await?;
    Ok(ResourceState::new(user).attribute("Arn", part(&answer, &["User", "Arn"])))
}

async fn update(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let (before, after) = (&request.previous, &request.properties);
    known(after, &PROPERTIES)?;
    let user = request.physical_id.as_str();
    if text(before, "Path") != text(after, "Path") {
        let path = text(after, "Path").unwrap_or_else(|| "/".to_owned());
        call(&ctx, "UpdateUser", json!({"UserName": user, "NewPath": path})).await?;
    }
    let holder = Holder { kind: "User", name: user };
    holder.change(&ctx, &request).await?;
    holder.change_boundary(&ctx, &request).await?;
    let (old, new) = (texts(before, "Groups"), texts(after, "Groups"));
    for group in old.iter().filter(|g| !new.contains(g)) {
        let input = json!({"GroupName": group, "UserName": user});
        call_unless_gone(&ctx, "RemoveUserFromGroup", input).await?;
    }
    for group in new.iter().filter(|g| !old.contains(g)) {
        call(&ctx, "AddUserToGroup", json!({"GroupName": group, "UserName": user})).await?;
    }
    change_tags(&ctx, &request, "User", ("UserName", user)).await?;
    shown(&ctx, user).await
}

async fn delete(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let user = request.physical_id.as_str();
    for group in texts(&request.properties, "Groups") {
        let input = json!({"GroupName": group, "UserName": user});
        call_unless_gone(&ctx, "RemoveUserFromGroup", input).await?;
    }
    Holder { kind: "User", name: user }.remove_all(&ctx, &request.properties).await?;
    call_unless_gone(&ctx, "DeleteUser", json!({"UserName": user})).await
}

pub fn access_key() -> ResourceType {
    ResourceType::new("AWS::IAM::AccessKey")
        .create_only(&["UserName", "Serial"])
        .create(create_key)
        .update(update_key)
        .delete(|ctx: Ctx, request: ResourceRequest| async move {
            let input = json!({
                "UserName": required(&request.properties, "UserName")?,
                "AccessKeyId": request.physical_id,
            });
            call_unless_gone(&ctx, "DeleteAccessKey", input).await
        })
}

async fn create_key(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &["Serial", "Status", "UserName"])?;
    let user = required(properties, "UserName")?;
    let answer = call(&ctx, "CreateAccessKey", json!({"UserName": user})).await?;
    let id = part(&answer, &["AccessKey", "AccessKeyId"]);
    let id = id.as_str().unwrap_or_default();
    if text(properties, "Status").as_deref() == Some("Inactive") {
        let input = json!({"UserName": user, "AccessKeyId": id, "Status": "Inactive"});
        call(&ctx, "UpdateAccessKey", input).await?;
    }
    let secret = part(&answer, &["AccessKey", "SecretAccessKey"]);
    Ok(ResourceState::new(id).attribute("SecretAccessKey", secret))
}

async fn update_key(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    let status = text(properties, "Status").unwrap_or_else(|| "Active".to_owned());
    let id = request.physical_id.as_str();
    let input = json!({
        "UserName": required(properties, "UserName")?, "AccessKeyId": id, "Status": status,
    });
    call(&ctx, "UpdateAccessKey", input).await?;
    Ok(ResourceState { physical_id: id.to_owned(), attributes: request.attributes })
}
