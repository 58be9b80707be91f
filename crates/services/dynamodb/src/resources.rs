//! The CloudFormation type AWS::DynamoDB::Table. It calls DynamoDB's own operations as the stack's
//! caller.
//! https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html

use std::sync::Arc;
use std::time::Duration;

use sereno_api_dynamodb as api;
use sereno_kernel::{Ctx, Error, ResourceRequest, ResourceState, ResourceType, Result};

use crate::errors;
use crate::resource_properties::{self as properties, Properties};
use crate::resource_settings as settings;
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
pub fn redefines_attribute(previous: &Properties, wanted: &Properties) -> bool {
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
    let name = name_of(&request)?;
    make(&ctx, &request, &name, &request.properties).await?;
    state(&ctx, &name).await
}

pub fn name_of(request: &ResourceRequest) -> Result<String> {
    match request.properties.get("TableName") {
        Some(name) => properties::text(name, "TableName"),
        None => Ok(request.suggested_name.clone()),
    }
}

/// Makes the table that the properties describe.
pub async fn make(
    ctx: &Ctx,
    request: &ResourceRequest,
    name: &str,
    wanted: &Properties,
) -> Result<()> {
    let mut input = properties::create_input(wanted, name.to_owned())?;
    let stack_tags =
        request.tags.iter().map(|(key, value)| api::Tag { key: key.clone(), value: value.clone() });
    let tags = input.tags.get_or_insert_default();
    for tag in stack_tags {
        // DynamoDB takes no tags of the reserved prefix from its callers.
        if !tag.key.starts_with("aws:") && !tags.iter().any(|own| own.key == tag.key) {
            tags.push(tag);
        }
    }
    let made = match properties::import_input(wanted, &input, &request.token)? {
        Some(import) => import_table(ctx, import, &input).await,
        None => ctx.call::<api::CreateTable>(input).await.map(|_| ()),
    };
    match made {
        Ok(()) => {}
        Err(error) if error.code() == "ResourceInUseException" => {
            // A second run after a crash adopts what the first one made.
            adopt(ctx, name, request, error).await?;
        }
        Err(error) => return Err(error),
    }
    settings::settle(ctx, name, &Properties::new(), wanted).await
}

/// Imports the table, waits for it, and then sets what an import does not.
async fn import_table(
    ctx: &Ctx,
    import: api::ImportTableInput,
    table: &api::CreateTableInput,
) -> Result<()> {
    if table.local_secondary_indexes.is_some() {
        return Err(errors::validation("An imported table cannot have local secondary indexes"));
    }
    let arn = ctx.call::<api::ImportTable>(import).await?.import_table_description.import_arn;
    let asked = api::DescribeImportInput { import_arn: arn.unwrap_or_default() };
    loop {
        let found = ctx.call::<api::DescribeImport>(asked.clone()).await?;
        let found = found.import_table_description;
        match found.import_status {
            Some(api::ImportStatus::InProgress) => {}
            Some(api::ImportStatus::Completed) => break,
            _ => return Err(errors::validation(found.failure_message.unwrap_or_default())),
        }
        let clock = ctx.cloud().clock();
        clock.sleep_until(ctx.now().plus(Duration::from_millis(200))).await;
    }
    let mut input = empty(&table.table_name);
    input.stream_specification.clone_from(&table.stream_specification);
    input.table_class.clone_from(&table.table_class);
    input.deletion_protection_enabled = table.deletion_protection_enabled.filter(|on| *on);
    input.warm_throughput.clone_from(&table.warm_throughput);
    if input != empty(&table.table_name) {
        ctx.call::<api::UpdateTable>(input).await?;
    }
    let resource_arn = ctx.arn("dynamodb", &format!("table/{}", table.table_name));
    if let Some(tags) = table.tags.clone().filter(|tags| !tags.is_empty()) {
        let input = api::TagResourceInput { resource_arn: resource_arn.clone(), tags };
        ctx.call::<api::TagResource>(input).await?;
    }
    if let Some(policy) = table.resource_policy.clone() {
        settings::put_policy(ctx, resource_arn, Some(policy)).await?;
    }
    Ok(())
}

/// Only a table of the template's own generated name can be ours.
async fn adopt(ctx: &Ctx, name: &str, request: &ResourceRequest, error: Error) -> Result<()> {
    let generated = !request.properties.contains_key("TableName");
    let input = api::DescribeTableInput { table_name: name.to_owned() };
    let found = ctx.call::<api::DescribeTable>(input).await;
    if generated && found.is_ok() { Ok(()) } else { Err(error) }
}

pub async fn describe(ctx: &Ctx, name: &str) -> Result<api::TableDescription> {
    let input = api::DescribeTableInput { table_name: name.to_owned() };
    Ok(ctx.call::<api::DescribeTable>(input).await?.table.unwrap_or_default())
}

pub async fn state(ctx: &Ctx, name: &str) -> Result<ResourceState> {
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
    properties::check(&request.properties)?;
    change(&engine, &ctx, &request.physical_id, &request.previous, &request.properties).await?;
    state(&ctx, &request.physical_id).await
}

/// Makes the table what the properties say.
pub async fn change(
    engine: &Engine,
    ctx: &Ctx,
    name: &str,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    update_indexes(engine, ctx, name, after).await?;
    let mut input = changes(name, before, after)?;
    let current = describe(ctx, name).await?;
    set_throughput(&mut input, &current, after)?;
    if input != empty(name) {
        ctx.call::<api::UpdateTable>(input).await?;
    }
    update_stream(ctx, name, &current, after).await?;
    adjust(ctx, name, &current, before, after).await
}

/// The settings of a replica alone: class, protection, tags, policy, recovery, insights.
pub async fn change_replica(
    ctx: &Ctx,
    name: &str,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    let input = changes(name, before, after)?;
    if input != empty(name) {
        ctx.call::<api::UpdateTable>(input).await?;
    }
    let current = describe(ctx, name).await?;
    adjust(ctx, name, &current, before, after).await
}

async fn adjust(
    ctx: &Ctx,
    name: &str,
    current: &api::TableDescription,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    settings::update_tags(ctx, current, before, after).await?;
    settings::update_policy(ctx, current, before, after).await?;
    settings::settle(ctx, name, before, after).await
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

pub async fn delete(ctx: Ctx, request: ResourceRequest) -> Result<()> {
    let input = api::DeleteTableInput { table_name: request.physical_id };
    match ctx.call::<api::DeleteTable>(input).await {
        Err(error) if error.code() == "ResourceNotFoundException" => Ok(()),
        other => other.map(|_| ()),
    }
}
