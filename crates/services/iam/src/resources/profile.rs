//! `AWS::IAM::InstanceProfile`, `AWS::IAM::OIDCProvider`.

use serde_json::json;
use sereno_kernel::{Ctx, ResourceRequest, ResourceState, ResourceType, Result};

use super::{
    call, call_unless_gone, change_tags, create_named, forget, known, name, part, required, tags,
    text, texts,
};

pub fn profile() -> ResourceType {
    ResourceType::new("AWS::IAM::InstanceProfile")
        .create_only(&["InstanceProfileName", "Path"])
        .create(create)
        .update(update)
        .delete(delete)
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &["InstanceProfileName", "Path", "Roles"])?;
    let profile = name(&request, "InstanceProfileName", 128);
    let path = text(properties, "Path").unwrap_or_else(|| "/".to_owned());
    let input = json!({"InstanceProfileName": profile, "Path": path});
    let fresh = create_named(&ctx, &request, "CreateInstanceProfile", input).await?.is_some();
    let held = if fresh { Vec::new() } else { roles(&ctx, &profile).await? };
    change_roles(&ctx, &profile, &held, &texts(properties, "Roles")).await?;
    let answer = call(&ctx, "GetInstanceProfile", json!({"InstanceProfileName": profile})).await?;
    forget(&ctx, &request).await?;
    let arn = part(&answer, &["InstanceProfile", "Arn"]);
    Ok(ResourceState::new(profile).attribute("Arn", arn))
}

async fn roles(ctx: &Ctx, profile: &str) -> Result<Vec<String>> {
    let answer = call(ctx, "GetInstanceProfile", json!({"InstanceProfileName": profile})).await?;
    let roles = part(&answer, &["InstanceProfile", "Roles"]);
    let names = roles.as_array().into_iter().flatten();
    Ok(names.filter_map(|r| r["RoleName"].as_str().map(str::to_owned)).collect())
}

async fn change_roles(ctx: &Ctx, profile: &str, before: &[String], after: &[String]) -> Result<()> {
    for role in before.iter().filter(|r| !after.contains(r)) {
        let input = json!({"InstanceProfileName": profile, "RoleName": role});
        call_unless_gone(ctx, "RemoveRoleFromInstanceProfile", input).await?;
    }
    for role in after.iter().filter(|r| !before.contains(r)) {
        let input = json!({"InstanceProfileName": profile, "RoleName": role});
        call(ctx, "AddRoleToInstanceProfile", input).await?;
    }
    Ok(())
}

async fn update(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let profile = request.physical_id.as_str();
    let before = texts(&request.previous, "Roles");
    change_roles(&ctx, profile, &before, &texts(&request.properties, "Roles")).await?;
    Ok(ResourceState { physical_id: profile.to_owned(), attributes: request.attributes })
}

async fn delete(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let profile = request.physical_id.as_str();
    change_roles(&ctx, profile, &texts(&request.properties, "Roles"), &[]).await?;
    let input = json!({"InstanceProfileName": profile});
    call_unless_gone(&ctx, "DeleteInstanceProfile", input).await
}

pub fn provider() -> ResourceType {
    ResourceType::new("AWS::IAM::OIDCProvider")
        .create_only(&["Url"])
        .create(create_provider)
        .update(update_provider)
        .delete(|ctx: Ctx, request: ResourceRequest| async move {
            let input = json!({"OpenIDConnectProviderArn": request.physical_id});
            call_unless_gone(&ctx, "DeleteOpenIDConnectProvider", input).await
        })
}

async fn create_provider(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let properties = &request.properties;
    known(properties, &["ClientIdList", "Tags", "ThumbprintList", "Url"])?;
    let url = required(properties, "Url")?;
    let input = json!({
        "Url": url,
        "ClientIDList": texts(properties, "ClientIdList"),
        "ThumbprintList": texts(properties, "ThumbprintList"),
        "Tags": tags(&request, properties),
    });
    create_named(&ctx, &request, "CreateOpenIDConnectProvider", input).await?;
    forget(&ctx, &request).await?;
    let host = url.trim_start_matches("https://").trim_end_matches('/');
    let arn = format!("arn:{}:iam::{}:oidc-provider/{host}", ctx.partition(), ctx.account());
    Ok(ResourceState::new(&arn).attribute("Arn", arn))
}

async fn update_provider(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let arn = request.physical_id.as_str();
    let (before, after) = (&request.previous, &request.properties);
    if texts(before, "ThumbprintList") != texts(after, "ThumbprintList") {
        let input = json!({
            "OpenIDConnectProviderArn": arn, "ThumbprintList": texts(after, "ThumbprintList"),
        });
        call(&ctx, "UpdateOpenIDConnectProviderThumbprint", input).await?;
    }
    let (old, new) = (texts(before, "ClientIdList"), texts(after, "ClientIdList"));
    for id in old.iter().filter(|id| !new.contains(id)) {
        let input = json!({"OpenIDConnectProviderArn": arn, "ClientID": id});
        call(&ctx, "RemoveClientIDFromOpenIDConnectProvider", input).await?;
    }
    for id in new.iter().filter(|id| !old.contains(id)) {
        let input = json!({"OpenIDConnectProviderArn": arn, "ClientID": id});
        call(&ctx, "AddClientIDToOpenIDConnectProvider", input).await?;
    }
    let target = ("OpenIDConnectProviderArn", arn);
    change_tags(&ctx, &request, "OpenIDConnectProvider", target).await?;
    Ok(ResourceState { physical_id: arn.to_owned(), attributes: request.attributes })
}
