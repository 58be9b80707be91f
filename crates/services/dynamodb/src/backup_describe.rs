//! Backups as the API describes them.

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::Ctx;

use crate::describe;
use crate::state::BackupRecord;

pub fn arn(ctx: &Ctx, backup: &BackupRecord) -> String {
    ctx.arn("dynamodb", &format!("table/{}/backup/{}", backup.table.name, backup.id))
}

fn status(backup: &BackupRecord) -> api::BackupStatus {
    if backup.ready { api::BackupStatus::Available } else { api::BackupStatus::Creating }
}

fn kind(backup: &BackupRecord) -> api::BackupType {
    if backup.system { api::BackupType::System } else { api::BackupType::User }
}

fn expiry(backup: &BackupRecord) -> Option<Timestamp> {
    (backup.expires_ms > 0).then(|| Timestamp::from_millis(backup.expires_ms))
}

pub fn details(ctx: &Ctx, backup: &BackupRecord) -> api::BackupDetails {
    api::BackupDetails {
        backup_arn: arn(ctx, backup),
        backup_name: backup.name.clone(),
        backup_size_bytes: Some(backup.bytes),
        backup_status: status(backup),
        backup_type: kind(backup),
        backup_creation_date_time: Timestamp::from_millis(backup.created_ms),
        backup_expiry_date_time: expiry(backup),
    }
}

pub fn summary(ctx: &Ctx, backup: &BackupRecord) -> api::BackupSummary {
    api::BackupSummary {
        table_name: Some(backup.table.name.clone()),
        table_id: Some(backup.table.id.clone()),
        table_arn: Some(ctx.arn("dynamodb", &format!("table/{}", backup.table.name))),
        backup_arn: Some(arn(ctx, backup)),
        backup_name: Some(backup.name.clone()),
        backup_creation_date_time: Some(Timestamp::from_millis(backup.created_ms)),
        backup_expiry_date_time: expiry(backup),
        backup_status: Some(status(backup)),
        backup_type: Some(kind(backup)),
        backup_size_bytes: Some(backup.bytes),
    }
}

pub fn description(ctx: &Ctx, backup: &BackupRecord) -> api::BackupDescription {
    api::BackupDescription {
        backup_details: Some(details(ctx, backup)),
        source_table_details: Some(source(ctx, backup)),
        source_table_feature_details: Some(features(backup)),
    }
}

fn source(ctx: &Ctx, backup: &BackupRecord) -> api::SourceTableDetails {
    let table = &backup.table;
    api::SourceTableDetails {
        table_name: table.name.clone(),
        table_id: table.id.clone(),
        table_arn: Some(ctx.arn("dynamodb", &format!("table/{}", table.name))),
        table_size_bytes: Some(backup.bytes),
        key_schema: describe::table_keys(table),
        table_creation_date_time: Timestamp::from_millis(table.created_ms),
        provisioned_throughput: api::ProvisionedThroughput {
            read_capacity_units: table.throughput.read_units,
            write_capacity_units: table.throughput.write_units,
        },
        on_demand_throughput: describe::on_demand(
            table.on_demand_read_max,
            table.on_demand_write_max,
        ),
        item_count: Some(backup.items),
        billing_mode: Some(describe::billing_mode(table)),
    }
}

fn features(backup: &BackupRecord) -> api::SourceTableFeatureDetails {
    let table = &backup.table;
    let locals = table.indexes.iter().filter(|index| index.local).map(|index| {
        api::LocalSecondaryIndexInfo {
            index_name: Some(index.name.clone()),
            key_schema: Some(describe::keys(index)),
            projection: Some(describe::projection(index)),
        }
    });
    let globals = table.indexes.iter().filter(|index| !index.local).map(|index| {
        api::GlobalSecondaryIndexInfo {
            index_name: Some(index.name.clone()),
            key_schema: Some(describe::keys(index)),
            projection: Some(describe::projection(index)),
            provisioned_throughput: Some(api::ProvisionedThroughput {
                read_capacity_units: index.throughput.read_units,
                write_capacity_units: index.throughput.write_units,
            }),
            on_demand_throughput: describe::on_demand(
                index.on_demand_read_max,
                index.on_demand_write_max,
            ),
        }
    });
    api::SourceTableFeatureDetails {
        local_secondary_indexes: describe::list(locals),
        global_secondary_indexes: describe::list(globals),
        stream_description: describe::stream_specification(table),
        time_to_live_description: table.ttl_attribute.clone().map(|attribute| {
            api::TimeToLiveDescription {
                time_to_live_status: Some(api::TimeToLiveStatus::Enabled),
                attribute_name: Some(attribute),
            }
        }),
        sse_description: describe::sse(table),
        ..Default::default()
    }
}
