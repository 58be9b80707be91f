//! The settings of a table in a stack that operations of their own make: expiry, recovery, insights,
//! Kinesis, tags, policies.

use sereno_api_dynamodb as api;
use sereno_kernel::{Ctx, Result};

use crate::resource_properties::{self as properties, Properties};
use crate::resources;

/// The settings that CreateTable does not take.
pub async fn settle(ctx: &Ctx, name: &str, before: &Properties, after: &Properties) -> Result<()> {
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
    set_insights(ctx, name, None, before, after).await?;
    let old = properties::index_insights(before)?;
    for (index, wanted) in properties::index_insights(after)? {
        let old = old.iter().find(|(name, _)| *name == index).map(|(_, map)| map.clone());
        let old = old.unwrap_or_default();
        set_insights(ctx, name, Some(index), &old, &wanted).await?;
    }
    set_kinesis(ctx, name, before, after).await?;
    set_stream_policy(ctx, name, before, after).await
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

async fn set_insights(
    ctx: &Ctx,
    name: &str,
    index_name: Option<String>,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    let wanted = properties::insights(after)?.filter(|(on, _)| *on);
    if wanted == properties::insights(before)?.filter(|(on, _)| *on) {
        return Ok(());
    }
    let action = match &wanted {
        Some(_) => api::ContributorInsightsAction::Enable,
        None => api::ContributorInsightsAction::Disable,
    };
    ctx.call::<api::UpdateContributorInsights>(api::UpdateContributorInsightsInput {
        table_name: name.to_owned(),
        index_name,
        contributor_insights_action: action,
        contributor_insights_mode: wanted
            .and_then(|(_, mode)| mode)
            .map(|mode| mode.as_str().into()),
    })
    .await
    .map(|_| ())
}

async fn set_kinesis(ctx: &Ctx, name: &str, before: &Properties, after: &Properties) -> Result<()> {
    let (old, new) = (properties::kinesis(before)?, properties::kinesis(after)?);
    if old == new {
        return Ok(());
    }
    let input =
        |(stream_arn, precision): (String, Option<String>)| api::KinesisStreamingDestinationInput {
            table_name: name.to_owned(),
            stream_arn,
            enable_kinesis_streaming_configuration: precision.map(|precision| {
                api::EnableKinesisStreamingConfiguration {
                    approximate_creation_date_time_precision: Some(precision.as_str().into()),
                }
            }),
        };
    if let Some(old) = old {
        ctx.call::<api::DisableKinesisStreamingDestination>(input(old)).await?;
    }
    if let Some(new) = new {
        ctx.call::<api::EnableKinesisStreamingDestination>(input(new)).await?;
    }
    Ok(())
}

/// A new stream has no policy yet, so it is compared with what is there.
async fn set_stream_policy(
    ctx: &Ctx,
    name: &str,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    let (old, new) = (properties::stream_policy(before)?, properties::stream_policy(after)?);
    let changed = before.get("StreamSpecification") != after.get("StreamSpecification");
    if !changed || (old.is_none() && new.is_none()) {
        return Ok(());
    }
    let table = resources::describe(ctx, name).await?;
    let streams = table.stream_specification.is_some();
    match table.latest_stream_arn.filter(|_| streams) {
        Some(arn) => put_policy(ctx, arn, new).await,
        None => Ok(()),
    }
}

pub async fn put_policy(ctx: &Ctx, resource_arn: String, policy: Option<String>) -> Result<()> {
    match policy {
        Some(policy) => {
            let input = api::PutResourcePolicyInput { resource_arn, policy, ..Default::default() };
            ctx.call::<api::PutResourcePolicy>(input).await.map(|_| ())
        }
        None => {
            let input = api::DeleteResourcePolicyInput { resource_arn, ..Default::default() };
            ctx.call::<api::DeleteResourcePolicy>(input).await.map(|_| ())
        }
    }
}

pub async fn update_tags(
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

pub async fn update_policy(
    ctx: &Ctx,
    current: &api::TableDescription,
    before: &Properties,
    after: &Properties,
) -> Result<()> {
    if before.get("ResourcePolicy") == after.get("ResourcePolicy") {
        return Ok(());
    }
    put_policy(ctx, current.table_arn.clone().unwrap_or_default(), properties::policy(after)?).await
}
