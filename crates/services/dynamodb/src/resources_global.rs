//! The CloudFormation type AWS::DynamoDB::GlobalTable: the table of the stack's own region as
//! AWS::DynamoDB::Table makes it, and its replicas.
//! https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-globaltable.html

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Region;
use sereno_kernel::{Ctx, ResourceRequest, ResourceState, ResourceType, Result};

use crate::errors;
use crate::resource_properties::Properties;
use crate::resources;
use crate::resources_translate::{self as translate, Replica};
use crate::table::Engine;

pub fn global_table(engine: Arc<Engine>) -> ResourceType {
    ResourceType::new("AWS::DynamoDB::GlobalTable")
        .create_only(&["TableName", "KeySchema", "LocalSecondaryIndexes"])
        .replaces(resources::redefines_attribute)
        .create(create)
        .update(move |ctx, request| update(Arc::clone(&engine), ctx, request))
        .delete(delete)
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let wanted = translate::table(&ctx, &request.properties)?;
    let name = resources::name_of(&request)?;
    resources::make(&ctx, &request, &name, &wanted).await?;
    change_replicas(&ctx, &name, &Properties::new(), &request.properties).await?;
    resources::state(&ctx, &name).await
}

async fn update(engine: Arc<Engine>, ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let before = translate::table(&ctx, &request.previous)?;
    let after = translate::table(&ctx, &request.properties)?;
    let name = request.physical_id.as_str();
    resources::change(&engine, &ctx, name, &before, &after).await?;
    change_replicas(&ctx, name, &request.previous, &request.properties).await?;
    resources::state(&ctx, name).await
}

async fn delete(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    for replica in translate::replicas(&request.properties).unwrap_or_default() {
        if replica.region != ctx.region() {
            resources::delete(ctx.in_region(replica.region), request.clone()).await?;
        }
    }
    resources::delete(ctx, request).await
}

/// Makes the other regions' replicas what the template says; compared with what is there, for the
/// step may be a second try.
async fn change_replicas(
    ctx: &Ctx,
    name: &str,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    let before = if before.is_empty() { Vec::new() } else { translate::replicas(before)? };
    let wanted = translate::replicas(after)?;
    let input = api::DescribeTableInput { table_name: name.to_owned() };
    let table = ctx.call::<api::DescribeTable>(input).await?.table.unwrap_or_default();
    let have: Vec<Region> = table
        .replicas
        .iter()
        .flatten()
        .filter_map(|replica| Region::parse(replica.region_name.as_deref()?))
        .collect();
    for gone in have.iter().filter(|have| !wanted.iter().any(|one| one.region == **have)) {
        let region_name = gone.as_str().to_owned();
        let delete = api::DeleteReplicationGroupMemberAction { region_name };
        let update = api::ReplicationGroupUpdate { delete: Some(delete), ..Default::default() };
        update_group(ctx, name, update).await?;
    }
    for replica in wanted.iter().filter(|replica| replica.region != ctx.region()) {
        if !have.contains(&replica.region) {
            add(ctx, name, replica).await?;
        }
        let old = before.iter().find(|old| old.region == replica.region);
        let old = old.map(|old| old.settings.clone()).unwrap_or_default();
        let there = ctx.in_region(replica.region);
        resources::change_replica(&there, name, &old, &replica.settings).await?;
    }
    Ok(())
}

async fn add(ctx: &Ctx, name: &str, replica: &Replica) -> Result<()> {
    let create = api::CreateReplicationGroupMemberAction {
        region_name: replica.region.as_str().to_owned(),
        kms_master_key_id: replica.key.clone(),
        ..Default::default()
    };
    let update = api::ReplicationGroupUpdate { create: Some(create), ..Default::default() };
    update_group(ctx, name, update).await
}

async fn update_group(ctx: &Ctx, name: &str, update: api::ReplicationGroupUpdate) -> Result<()> {
    let input = api::UpdateTableInput {
        table_name: name.to_owned(),
        replica_updates: Some(vec![update]),
        ..Default::default()
    };
    ctx.call::<api::UpdateTable>(input).await.map(|_| ()).map_err(|error| {
        if error.code() == "ResourceNotFoundException" {
            errors::table_not_found(name)
        } else {
            error
        }
    })
}
