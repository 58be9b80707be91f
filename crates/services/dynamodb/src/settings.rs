//! Smaller settings of a table, and what an account may have: time to live, continuous backups,
//! limits, endpoints.

use std::sync::Arc;
use std::time::Duration;

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Scope, transact};

use crate::errors;
use crate::replicas;
use crate::state::{TABLES, TTL_TABLES, TableRecord, TtlTable};
use crate::table::{Engine, Target};
use crate::tables;
use crate::ttl;
use crate::undo;

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
        if record.filling {
            return Err(errors::table_in_use(&target.name));
        }
        check_ttl(&record, &wanted)?;
        let key = (target.account, target.region.as_str(), target.name.as_str());
        if wanted.enabled {
            record.ttl_attribute = Some(wanted.attribute_name.clone());
            TTL_TABLES.put(txn, Scope::GLOBAL, &key, &TtlTable { storage: record.storage });
            ttl::fill(&ctx, txn, &record);
        } else {
            record.ttl_attribute = None;
            TTL_TABLES.delete(txn, Scope::GLOBAL, &key);
            crate::tasks::purge_indexes(&ctx, txn, &record, vec![crate::state::TTL_INDEX]);
        }
        record.ttl_changed_ms = ctx.now().millis();
        replicas::store(&ctx, txn, scope, &mut record).await?;
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

fn backups(ctx: &Ctx, record: &TableRecord) -> api::ContinuousBackupsDescription {
    let on = record.pitr_since_ms > 0;
    api::ContinuousBackupsDescription {
        continuous_backups_status: api::ContinuousBackupsStatus::Enabled,
        point_in_time_recovery_description: Some(api::PointInTimeRecoveryDescription {
            point_in_time_recovery_status: Some(if on {
                api::PointInTimeRecoveryStatus::Enabled
            } else {
                api::PointInTimeRecoveryStatus::Disabled
            }),
            recovery_period_in_days: on.then(|| i32::try_from(record.pitr_days).unwrap_or(35)),
            earliest_restorable_date_time: on.then(|| earliest(ctx, record)),
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
    let table =
        engine.load(&ctx, &target).await?.ok_or_else(|| errors::backup_table_lost(&target.name))?;
    Ok(api::DescribeContinuousBackupsOutput {
        continuous_backups_description: Some(backups(&ctx, &table.record)),
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
    let on = wanted.point_in_time_recovery_enabled;
    let days = wanted.recovery_period_in_days.map(i64::from);
    let scope = target.scope();
    let record = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let Some(mut record) = TABLES.get(txn, scope, target.name.as_str()).await? else {
            return Err(errors::backup_table_lost(&target.name));
        };
        if record.filling {
            return Err(errors::table_in_use(&target.name));
        }
        match (record.pitr_since_ms > 0, on) {
            (false, true) => {
                record.pitr_since_ms = ctx.now().millis();
                record.keepers += 1;
                undo::trim(&ctx, txn, &record);
            }
            (true, false) => {
                record.pitr_since_ms = 0;
                undo::let_go(&ctx, txn, &mut record);
            }
            _ => {}
        }
        record.pitr_days = days.unwrap_or(undo::DAYS_MAX);
        replicas::store(&ctx, txn, scope, &mut record).await?;
        record
    })?;
    Ok(api::UpdateContinuousBackupsOutput {
        continuous_backups_description: Some(backups(&ctx, &record)),
    })
}

/// The first moment that a table can be restored to.
fn earliest(ctx: &Ctx, record: &TableRecord) -> Timestamp {
    let days = Duration::from_secs(24 * 3600 * record.pitr_days.max(1).cast_unsigned());
    ctx.now().minus(days).max(Timestamp::from_millis(record.pitr_since_ms))
}

/// Whether the table's past reaches back to `at`.
pub fn check_restorable(ctx: &Ctx, record: &TableRecord, at: Timestamp) -> Result<()> {
    if record.pitr_since_ms == 0 {
        return Err(errors::recovery_unavailable(&record.name));
    }
    // Clients name moments in seconds.
    let earliest = Timestamp::from_secs(earliest(ctx, record).secs());
    if at < earliest || at > ctx.now() {
        return Err(sereno_kernel::Error::invalid(
            "InvalidRestoreTimeException",
            format!(
                "The restore time must be between {} and {}",
                earliest.iso8601(),
                ctx.now().iso8601()
            ),
        ));
    }
    Ok(())
}
