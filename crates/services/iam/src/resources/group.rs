//! `AWS::IAM::Group`, `AWS::IAM::UserToGroupAddition`.

use serde_json::json;
use sereno_kernel::{Ctx, ResourceRequest, ResourceState, ResourceType, Result};

use super::grants::Holder;
use super::{
    call, call_unless_gone, create_named, forget, known, name, part, required, text, texts,
};

const PROPERTIES: [&str; 4] = ["GroupName", "ManagedPolicyArns", "Path", "Policies"];

pub fn group() -> ResourceType {
    ResourceType::new("AWS::IAM::Group")
        .create_only(&["GroupName"])
        .create(create)
        .update(update)
        .delete(delete)
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &PROPERTIES)?;
    let group = name(&request, "GroupName", 128);
    let path = text(properties, "Path").unwrap_or_else(|| "/".to_owned());
    let input = json!({"GroupName": group, "Path": path});
    create_named(&ctx, &request, "CreateGroup", input).await?;
    Holder { kind: "Group", name: &group }.put_all(&ctx, properties).await?;
    let state = shown(&ctx, &group).await?;
    forget(&ctx, &request).await?;
    Ok(state)
}

async fn shown(ctx: &Ctx, group: &str) -> Result<ResourceState> {
    let answer = call(ctx, "GetGroup", json!({"GroupName": group})).await?;
    Ok(ResourceState::new(group).attribute("Arn", part(&answer, &["Group", "Arn"])))
}

async fn update(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    known(&request.properties, &PROPERTIES)?;
    let group = request.physical_id.as_str();
    let after = text(&request.properties, "Path");
    if text(&request.previous, "Path") != after {
        let path = after.unwrap_or_else(|| "/".to_owned());
        call(&ctx, "UpdateGroup", json!({"GroupName": group, "NewPath": path})).await?;
    }
    Holder { kind: "Group", name: group }.change(&ctx, &request).await?;
    shown(&ctx, group).await
}

async fn delete(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let group = request.physical_id.as_str();
    Holder { kind: "Group", name: group }.remove_all(&ctx, &request.properties).await?;
    call_unless_gone(&ctx, "DeleteGroup", json!({"GroupName": group})).await
}

pub fn addition() -> ResourceType {
    ResourceType::new("AWS::IAM::UserToGroupAddition")
        .create(|ctx: Ctx, request: ResourceRequest| async move {
            known(&request.properties, &["GroupName", "Users"])?;
            change_members(&ctx, &request).await?;
            Ok(ResourceState::new(&request.suggested_name))
        })
        .update(|ctx: Ctx, request: ResourceRequest| async move {
            known(&request.properties, &["GroupName", "Users"])?;
            change_members(&ctx, &request).await?;
            Ok(ResourceState::new(&request.physical_id))
        })
        .delete(|ctx: Ctx, request: ResourceRequest| async move {
            let gone = ResourceRequest {
                previous: request.properties,
                properties: Default::default(),
                ..request
            };
            change_members(&ctx, &gone).await
        })
}

/// Goes from the previous members, who may be in another group, to the new ones.
async fn change_members(ctx: &Ctx, request: &ResourceRequest) -> Result<()> {
    let members = |properties| -> Vec<(String, String)> {
        let group = text(properties, "GroupName").unwrap_or_default();
        texts(properties, "Users").into_iter().map(|user| (group.clone(), user)).collect()
    };
    if !request.properties.is_empty() {
        required(&request.properties, "GroupName")?;
    }
    let (before, after) = (members(&request.previous), members(&request.properties));
    for (group, user) in before.iter().filter(|m| !after.contains(m)) {
        let input = json!({"GroupName": group, "UserName": user});
        call_unless_gone(ctx, "RemoveUserFromGroup", input).await?;
    }
    for (group, user) in after.iter().filter(|m| !before.contains(m)) {
        call(ctx, "AddUserToGroup", json!({"GroupName": group, "UserName": user})).await?;
    }
    Ok(())
}
