//! Smaller settings of a table, and what an account may have: time to live, continuous backups,
//! contributor insights, Kinesis destinations, limits, endpoints.

use std::sync::Arc;
use std::time::Duration;

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Scope, transact};

use crate::errors;
use crate::state::{TABLES, TTL_TABLES, TableRecord, TtlTable};
use crate::table::{Engine, Target};
use crate::tables;
use crate::ttl;

pub async fn describe_ttl(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeTimeToLiveInput,
) -> Result<api::DescribeTimeToLiveOutput> {
    let (_, table) = tables::find(&engine, &ctx, &input.table_name).await?;
    let attribute = table.record.ttl_attribute.clone();
    let status = match &attribute {
        Some(_) => api::TimeToLiveStatus::Enabled,
        None => api::TimeToLiveStatus::Disabled,
    };
    Ok(api::DescribeTimeToLiveOutput {
        time_to_live_description: Some(api::TimeToLiveDescription {
            time_to_live_status: Some(status),
            attribute_name: attribute,
        }),
    })
}

/// Recorded: Alternator's suite on AWS (test_ttl).
pub async fn update_ttl(
    ctx: Ctx,
    input: api::UpdateTimeToLiveInput,
) -> Result<api::UpdateTimeToLiveOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let wanted = input.time_to_live_specification.clone();
    let scope = target.scope();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let Some(mut record) = TABLES.get(txn, scope, target.name.as_str()).await? else {
            return Err(errors::table_not_found(&target.name));
        };
        check_ttl(&record, &wanted)?;
        let key = (target.account, target.region.as_str(), target.name.as_str());
        if wanted.enabled {
            record.ttl_attribute = Some(wanted.attribute_name.clone());
            TTL_TABLES.put(txn, Scope::GLOBAL, &key, &TtlTable { storage: record.storage });
            ttl::fill(&ctx, txn, &record);
        } else {
            record.ttl_attribute = None;
            TTL_TABLES.delete(txn, Scope::GLOBAL, &key);
            crate::tasks::purge_indexes(&ctx, txn, record.storage, vec![crate::state::TTL_INDEX]);
        }
        record.ttl_changed_ms = ctx.now().millis();
        TABLES.put(txn, scope, target.name.as_str(), &record);
    })?;
    Ok(api::UpdateTimeToLiveOutput {
        time_to_live_specification: Some(input.time_to_live_specification),
    })
}

fn check_ttl(record: &TableRecord, wanted: &api::TimeToLiveSpecification) -> Result<()> {
    match (&record.ttl_attribute, wanted.enabled) {
        (Some(_), true) => Err(errors::validation("TimeToLive is already enabled")),
        (None, false) => Err(errors::validation("TimeToLive is already disabled")),
        (Some(have), false) if *have != wanted.attribute_name => Err(errors::validation(format!(
            "TimeToLive is active on a different AttributeName: current AttributeName is {have}"
        ))),
        _ => Ok(()),
    }
}

const PITR_DAYS_DEFAULT: i64 = 35;

fn backups(ctx: &Ctx, record: &TableRecord) -> api::ContinuousBackupsDescription {
    let on = record.pitr_since_ms > 0;
    let days = Duration::from_secs(24 * 3600 * record.pitr_days.max(1).cast_unsigned());
    let earliest = ctx.now().minus(days).max(Timestamp::from_millis(record.pitr_since_ms));
    api::ContinuousBackupsDescription {
        continuous_backups_status: api::ContinuousBackupsStatus::Enabled,
        point_in_time_recovery_description: Some(api::PointInTimeRecoveryDescription {
            point_in_time_recovery_status: Some(if on {
                api::PointInTimeRecoveryStatus::Enabled
            } else {
                api::PointInTimeRecoveryStatus::Disabled
            }),
            recovery_period_in_days: on.then(|| i32::try_from(record.pitr_days).unwrap_or(35)),
            earliest_restorable_date_time: on.then_some(earliest),
            latest_restorable_date_time: on.then(|| ctx.now()),
        }),
    }
}

pub async fn describe_backups(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeContinuousBackupsInput,
) -> Result<api::DescribeContinuousBackupsOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let table = engine.load(&ctx, &target).await?.ok_or_else(|| backup_table_lost(&target))?;
    Ok(api::DescribeContinuousBackupsOutput {
        continuous_backups_description: Some(backups(&ctx, &table.record)),
    })
}

fn backup_table_lost(target: &Target) -> sereno_kernel::Error {
    sereno_kernel::Error::not_found(
        "TableNotFoundException",
        format!("Table not found: {}", target.name),
    )
}

pub async fn describe_insights(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeContributorInsightsInput,
) -> Result<api::DescribeContributorInsightsOutput> {
    let (target, table) = tables::find(&engine, &ctx, &input.table_name).await?;
    let index = input.index_name.as_deref().unwrap_or_default();
    let mode = table.record.contributor_insights.get(index);
    let on = mode.is_some();
    Ok(api::DescribeContributorInsightsOutput {
        table_name: Some(target.name),
        index_name: input.index_name,
        contributor_insights_status: Some(if on {
            api::ContributorInsightsStatus::Enabled
        } else {
            api::ContributorInsightsStatus::Disabled
        }),
        last_update_date_time: on.then(|| Timestamp::from_millis(table.record.insights_changed_ms)),
        contributor_insights_mode: mode.map(|mode| mode.as_str().into()),
        ..Default::default()
    })
}

pub async fn describe_kinesis(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeKinesisStreamingDestinationInput,
) -> Result<api::DescribeKinesisStreamingDestinationOutput> {
    let (target, table) = tables::find(&engine, &ctx, &input.table_name).await?;
    let destinations = table
        .record
        .kinesis
        .iter()
        .map(|destination| api::KinesisDataStreamDestination {
            stream_arn: Some(destination.stream_arn.clone()),
            destination_status: Some(destination.status.as_str().into()),
            ..Default::default()
        })
        .collect();
    Ok(api::DescribeKinesisStreamingDestinationOutput {
        table_name: Some(target.name),
        kinesis_data_stream_destinations: Some(destinations),
    })
}

/// The defaults of us-east-1.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
pub async fn limits(_: Ctx, _: api::DescribeLimitsInput) -> Result<api::DescribeLimitsOutput> {
    Ok(api::DescribeLimitsOutput {
        account_max_read_capacity_units: Some(80_000),
        account_max_write_capacity_units: Some(80_000),
        table_max_read_capacity_units: Some(40_000),
        table_max_write_capacity_units: Some(40_000),
    })
}

pub async fn endpoints(
    ctx: Ctx,
    _: api::DescribeEndpointsInput,
) -> Result<api::DescribeEndpointsOutput> {
    // Clients that discover endpoints come back to where they asked.
    let endpoint = ctx.endpoint();
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    Ok(api::DescribeEndpointsOutput {
        endpoints: vec![api::Endpoint { address: host.to_owned(), cache_period_in_minutes: 1440 }],
    })
}

pub async fn update_backups(
    ctx: Ctx,
    input: api::UpdateContinuousBackupsInput,
) -> Result<api::UpdateContinuousBackupsOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let wanted = &input.point_in_time_recovery_specification;
    let days = wanted.recovery_period_in_days.map_or(PITR_DAYS_DEFAULT, i64::from);
    let now = ctx.now().millis();
    let record = tables::change(&ctx, &target, |record| {
        if !wanted.point_in_time_recovery_enabled {
            record.pitr_since_ms = 0;
        } else if record.pitr_since_ms == 0 {
            record.pitr_since_ms = now;
        }
        record.pitr_days = days;
        Ok(())
    })
    .await
    .map_err(|error| {
        if error.code() == "ResourceNotFoundException" { backup_table_lost(&target) } else { error }
    })?;
    Ok(api::UpdateContinuousBackupsOutput {
        continuous_backups_description: Some(backups(&ctx, &record)),
    })
}
