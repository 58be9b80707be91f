//! The CloudFormation type AWS::DynamoDB::Table. It calls DynamoDB's own operations as the stack's
//! caller.
//! https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_kernel::{Ctx, Error, ResourceRequest, ResourceState, ResourceType, Result};

use crate::errors;
use crate::resource_properties::{self as properties, Properties};
use crate::table::Engine;
use crate::tasks;

pub fn table(engine: Arc<Engine>) -> ResourceType {
    ResourceType::new("AWS::DynamoDB::Table")
        .create_only(&[
            "TableName",
            "KeySchema",
            "LocalSecondaryIndexes",
            "ImportSourceSpecification",
        ])
        .replaces(redefines_attribute)
        .create(create)
        .update(move |ctx, request| update(Arc::clone(&engine), ctx, request))
        .delete(delete)
}

/// An attribute that stays a key but changes its type needs a new table.
fn redefines_attribute(previous: &Properties, wanted: &Properties) -> bool {
    let definitions = |map: &Properties| {
        map.get("AttributeDefinitions")
            .and_then(|value| properties::attribute_definitions(value, "AttributeDefinitions").ok())
            .unwrap_or_default()
    };
    let before = definitions(previous);
    definitions(wanted).iter().any(|attribute| {
        before.iter().any(|old| {
            old.attribute_name == attribute.attribute_name
                && old.attribute_type != attribute.attribute_type
        })
    })
}

async fn create(ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    properties::check(&request.properties)?;
    let name = match request.properties.get("TableName") {
        Some(name) => properties::text(name, "TableName")?,
        None => request.suggested_name.clone(),
    };
    let mut input = properties::create_input(&request.properties, name.clone())?;
    let stack_tags =
        request.tags.iter().map(|(key, value)| api::Tag { key: key.clone(), value: value.clone() });
    let tags = input.tags.get_or_insert_default();
    for tag in stack_tags {
        // DynamoDB takes no tags of the reserved prefix from its callers.
        if !tag.key.starts_with("aws:") && !tags.iter().any(|own| own.key == tag.key) {
            tags.push(tag);
        }
    }
    match ctx.call::<api::CreateTable>(input).await {
        Ok(_) => {}
        Err(error) if error.code() == "ResourceInUseException" => {
            // A second run after a crash adopts what the first one made.
            adopt(&ctx, &name, &request, error).await?;
        }
        Err(error) => return Err(error),
    }
    settle(&ctx, &name, &Properties::new(), &request.properties).await?;
    state(&ctx, &name).await
}

/// Only a table of the template's own generated name can be ours.
async fn adopt(ctx: &Ctx, name: &str, request: &ResourceRequest, error: Error) -> Result<()> {
    let generated = !request.properties.contains_key("TableName");
    let input = api::DescribeTableInput { table_name: name.to_owned() };
    let found = ctx.call::<api::DescribeTable>(input).await;
    if generated && found.is_ok() { Ok(()) } else { Err(error) }
}

/// The settings that CreateTable does not take.
async fn settle(ctx: &Ctx, name: &str, before: &Properties, after: &Properties) -> Result<()> {
    let changed = |key: &str| before.get(key) != after.get(key);
    if changed("TimeToLiveSpecification") {
        set_ttl(ctx, name, properties::ttl(after)?).await?;
    }
    if changed("PointInTimeRecoverySpecification") {
        let off = api::PointInTimeRecoverySpecification::default();
        let wanted = properties::recovery(after)?.unwrap_or(off);
        ctx.call::<api::UpdateContinuousBackups>(api::UpdateContinuousBackupsInput {
            table_name: name.to_owned(),
            point_in_time_recovery_specification: wanted,
        })
        .await?;
    }
    if properties::insights(after)? == Some(true) {
        return Err(errors::unsupported("contributor insights"));
    }
    Ok(())
}

/// Compared with what is there, not with the old template: the step may be a second try.
async fn set_ttl(ctx: &Ctx, name: &str, after: Option<(String, bool)>) -> Result<()> {
    let input = api::DescribeTimeToLiveInput { table_name: name.to_owned() };
    let found = ctx.call::<api::DescribeTimeToLive>(input).await?.time_to_live_description;
    let before = found.and_then(|found| found.attribute_name);
    let after = after.filter(|(_, enabled)| *enabled).map(|(attribute, _)| attribute);
    if before == after {
        return Ok(());
    }
    for (attribute, enabled) in [(before, false), (after, true)] {
        let Some(attribute_name) = attribute else { continue };
        ctx.call::<api::UpdateTimeToLive>(api::UpdateTimeToLiveInput {
            table_name: name.to_owned(),
            time_to_live_specification: api::TimeToLiveSpecification { enabled, attribute_name },
        })
        .await?;
    }
    Ok(())
}

async fn describe(ctx: &Ctx, name: &str) -> Result<api::TableDescription> {
    let input = api::DescribeTableInput { table_name: name.to_owned() };
    Ok(ctx.call::<api::DescribeTable>(input).await?.table.unwrap_or_default())
}

async fn state(ctx: &Ctx, name: &str) -> Result<ResourceState> {
    let table = describe(ctx, name).await?;
    let mut state = ResourceState::new(name)
        .attribute("Arn", table.table_arn.unwrap_or_default())
        .attribute("TableId", table.table_id.unwrap_or_default());
    if let Some(arn) = table.latest_stream_arn.filter(|_| table.stream_specification.is_some()) {
        state = state.attribute("StreamArn", arn);
    }
    Ok(state)
}

async fn update(engine: Arc<Engine>, ctx: Ctx, request: ResourceRequest) -> Result<ResourceState> {
    let (before, after) = (&request.previous, &request.properties);
    properties::check(after)?;
    let name = request.physical_id.as_str();
    update_indexes(&engine, &ctx, name, after).await?;
    let mut input = changes(name, before, after)?;
    let current = describe(&ctx, name).await?;
    set_throughput(&mut input, &current, after)?;
    if input != empty(name) {
        ctx.call::<api::UpdateTable>(input).await?;
    }
    update_stream(&ctx, name, &current, after).await?;
    update_tags(&ctx, &current, before, after).await?;
    update_policy(&ctx, &current, before, after).await?;
    settle(&ctx, name, before, after).await?;
    state(&ctx, name).await
}

fn empty(name: &str) -> api::UpdateTableInput {
    api::UpdateTableInput { table_name: name.to_owned(), ..Default::default() }
}

/// What one UpdateTable can change besides throughput and indexes.
fn changes(name: &str, before: &Properties, after: &Properties) -> Result<api::UpdateTableInput> {
    let changed = |key: &str| before.get(key) != after.get(key);
    let mut input = empty(name);
    if changed("SSESpecification") {
        let off = api::SSESpecification { enabled: Some(false), ..Default::default() };
        input.sse_specification = Some(properties::sse(after)?.unwrap_or(off));
    }
    if changed("TableClass") {
        input.table_class = Some(properties::class(after)?.unwrap_or(api::TableClass::Standard));
    }
    if changed("DeletionProtectionEnabled") {
        input.deletion_protection_enabled = Some(properties::protected(after)?.unwrap_or(false));
    }
    if changed("OnDemandThroughput") {
        let none = api::OnDemandThroughput {
            max_read_request_units: Some(-1),
            max_write_request_units: Some(-1),
        };
        input.on_demand_throughput = Some(properties::optional_on_demand(after)?.unwrap_or(none));
    }
    if changed("WarmThroughput") {
        input.warm_throughput = properties::optional_warm(after)?;
    }
    Ok(input)
}

/// DynamoDB refuses a throughput that is already there.
fn set_throughput(
    input: &mut api::UpdateTableInput,
    current: &api::TableDescription,
    after: &Properties,
) -> Result<()> {
    let on_demand =
        |mode: Option<&api::BillingMode>| mode == Some(&api::BillingMode::PayPerRequest);
    let now =
        current.billing_mode_summary.as_ref().and_then(|summary| summary.billing_mode.as_ref());
    let wanted = properties::billing(after)?;
    let switches = on_demand(now) != on_demand(wanted.as_ref());
    if switches {
        let mode = if on_demand(wanted.as_ref()) {
            api::BillingMode::PayPerRequest
        } else {
            api::BillingMode::Provisioned
        };
        input.billing_mode = Some(mode);
    }
    if on_demand(wanted.as_ref()) {
        return Ok(());
    }
    let differs = |given: &api::ProvisionedThroughput,
                   have: Option<&api::ProvisionedThroughputDescription>| {
        have.is_none_or(|have| {
            have.read_capacity_units != Some(given.read_capacity_units)
                || have.write_capacity_units != Some(given.write_capacity_units)
        })
    };
    input.provisioned_throughput = properties::optional_throughput(after)?
        .filter(|given| switches || differs(given, current.provisioned_throughput.as_ref()));
    let mut updates = Vec::new();
    for index in wanted_indexes(after)? {
        let have = current
            .global_secondary_indexes
            .iter()
            .flatten()
            .find(|have| have.index_name.as_ref() == Some(&index.index_name))
            .and_then(|have| have.provisioned_throughput.as_ref());
        if let Some(given) = index.provisioned_throughput.filter(|given| differs(given, have)) {
            updates.push(api::GlobalSecondaryIndexUpdate {
                update: Some(api::UpdateGlobalSecondaryIndexAction {
                    index_name: index.index_name,
                    provisioned_throughput: Some(given),
                    ..Default::default()
                }),
                ..Default::default()
            });
        }
    }
    input.global_secondary_index_updates = (!updates.is_empty()).then_some(updates);
    Ok(())
}

fn wanted_indexes(after: &Properties) -> Result<Vec<api::GlobalSecondaryIndex>> {
    match after.get("GlobalSecondaryIndexes") {
        Some(value) => properties::global_indexes(value, "GlobalSecondaryIndexes"),
        None => Ok(Vec::new()),
    }
}

/// One index at a time, as DynamoDB wants it; an index whose keys or projection change is made anew.
async fn update_indexes(engine: &Engine, ctx: &Ctx, name: &str, after: &Properties) -> Result<()> {
    let wanted = wanted_indexes(after)?;
    let current = describe(ctx, name).await?;
    let have = current.global_secondary_indexes.unwrap_or_default();
    let same = |index: &api::GlobalSecondaryIndex, have: &api::GlobalSecondaryIndexDescription| {
        have.index_name.as_ref() == Some(&index.index_name)
            && have.key_schema.as_ref() == Some(&index.key_schema)
            && have.projection.as_ref() == Some(&index.projection)
    };
    for old in have.iter().filter(|old| !wanted.iter().any(|index| same(index, old))) {
        let delete = api::DeleteGlobalSecondaryIndexAction {
            index_name: old.index_name.clone().unwrap_or_default(),
        };
        let update = api::GlobalSecondaryIndexUpdate { delete: Some(delete), ..Default::default() };
        change_index(engine, ctx, name, None, update).await?;
    }
    let definitions = after
        .get("AttributeDefinitions")
        .map(|value| properties::attribute_definitions(value, "AttributeDefinitions"))
        .transpose()?;
    for index in wanted.into_iter().filter(|index| !have.iter().any(|old| same(index, old))) {
        let create = api::CreateGlobalSecondaryIndexAction {
            index_name: index.index_name,
            key_schema: index.key_schema,
            projection: index.projection,
            provisioned_throughput: index.provisioned_throughput,
            on_demand_throughput: index.on_demand_throughput,
            warm_throughput: index.warm_throughput,
        };
        let update = api::GlobalSecondaryIndexUpdate { create: Some(create), ..Default::default() };
        change_index(engine, ctx, name, definitions.clone(), update).await?;
    }
    Ok(())
}

/// Changes an index and fills it before going on.
async fn change_index(
    engine: &Engine,
    ctx: &Ctx,
    name: &str,
    attribute_definitions: Option<Vec<api::AttributeDefinition>>,
    update: api::GlobalSecondaryIndexUpdate,
) -> Result<()> {
    let mut input = empty(name);
    input.attribute_definitions = attribute_definitions;
    input.global_secondary_index_updates = Some(vec![update]);
    ctx.call::<api::UpdateTable>(input).await?;
    tasks::fill_now(engine, ctx, name).await
}

/// A stream with another view is another stream.
async fn update_stream(
    ctx: &Ctx,
    name: &str,
    current: &api::TableDescription,
    after: &Properties,
) -> Result<()> {
    let wanted = properties::stream(after)?;
    if current.stream_specification == wanted {
        return Ok(());
    }
    let mut steps = Vec::new();
    if current.stream_specification.is_some() {
        steps.push(api::StreamSpecification { stream_enabled: false, stream_view_type: None });
    }
    steps.extend(wanted);
    for step in steps {
        let mut input = empty(name);
        input.stream_specification = Some(step);
        ctx.call::<api::UpdateTable>(input).await?;
    }
    Ok(())
}

async fn update_tags(
    ctx: &Ctx,
    current: &api::TableDescription,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    if before.get("Tags") == after.get("Tags") {
        return Ok(());
    }
    let arn = current.table_arn.clone().unwrap_or_default();
    let (old, new) = (properties::tags(before)?, properties::tags(after)?);
    let gone: Vec<String> = old
        .iter()
        .filter(|tag| !new.iter().any(|kept| kept.key == tag.key))
        .map(|tag| tag.key.clone())
        .collect();
    if !gone.is_empty() {
        let input = api::UntagResourceInput { resource_arn: arn.clone(), tag_keys: gone };
        ctx.call::<api::UntagResource>(input).await?;
    }
    if !new.is_empty() {
        let input = api::TagResourceInput { resource_arn: arn, tags: new };
        ctx.call::<api::TagResource>(input).await?;
    }
    Ok(())
}

async fn update_policy(
    ctx: &Ctx,
    current: &api::TableDescription,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    if before.get("ResourcePolicy") == after.get("ResourcePolicy") {
        return Ok(());
    }
    let resource_arn = current.table_arn.clone().unwrap_or_default();
    match properties::policy(after)? {
        Some(policy) => {
            let input = api::PutResourcePolicyInput { resource_arn, policy, ..Default::default() };
            ctx.call::<api::PutResourcePolicy>(input).await?;
        }
        None => {
            let input = api::DeleteResourcePolicyInput { resource_arn, ..Default::default() };
            ctx.call::<api::DeleteResourcePolicy>(input).await?;
        }
    }
    Ok(())
}

async fn delete(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let input = api::DeleteTableInput { table_name: request.physical_id };
    match ctx.call::<api::DeleteTable>(input).await {
        Err(error) if error.code() == "ResourceNotFoundException" => Ok(()),
        other => other.map(|_| ()),
    }
}
