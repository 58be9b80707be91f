//! Global tables of version 2017.11.29: CreateGlobalTable, UpdateGlobalTable, DescribeGlobalTable,
//! ListGlobalTables. Tables that exist, empty, in several regions become replicas of each other
//! ([`crate::replicas`]).
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables.V1.html

use sereno_api_dynamodb as api;
use sereno_base::{Region, Timestamp, arn};
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Range, Read, Table, Txn, record, transact};

use crate::errors;
use crate::replicas;
use crate::state::{ITEMS, TABLES, TableRecord, ViewType};
use crate::table::{Engine, Target, data_scope};
use crate::tables;
use crate::tasks;

record! {
    pub struct GlobalTableRecord {
        1 => created_ms: i64,
        2 => regions: Vec<String>,
    }
}

/// By name, in the account's scope.
pub const GLOBAL_TABLES: Table<String, GlobalTableRecord> =
    Table::new("dynamodb", "global-tables").partition(0);

const PAGE_MAX: usize = 100;

pub async fn create(
    ctx: Ctx,
    input: api::CreateGlobalTableInput,
) -> Result<api::CreateGlobalTableOutput> {
    let name = &input.global_table_name;
    let mut regions = Vec::new();
    for replica in &input.replication_group {
        let wanted = replica.region_name.as_deref().unwrap_or_default();
        let region = region(wanted)?;
        if regions.contains(&region) {
            return Err(errors::replica_exists(wanted));
        }
        regions.push(region);
    }
    let Some((first, others)) = regions.split_first() else {
        return Err(errors::validation("ReplicationGroup must not be empty"));
    };
    let record = GlobalTableRecord {
        created_ms: ctx.now().millis(),
        regions: regions.iter().map(|region| region.as_str().to_owned()).collect(),
    };
    transact!(ctx.store(), Error, |txn| {
        if GLOBAL_TABLES.get(txn, ctx.account_scope(), name.as_str()).await?.is_some() {
            return Err(errors::global_table_exists(name));
        }
        let there = ctx.in_region(*first);
        let mut base = member(&there, txn, name).await?;
        for other in others {
            join(&there, txn, &mut base, *other).await?;
        }
        replicas::LEGACY.clone_into(&mut base.global_version);
        replicas::store(&there, txn, there.scope(), &mut base).await?;
        GLOBAL_TABLES.put(txn, ctx.account_scope(), name.as_str(), &record);
    })?;
    let mut description = description(&ctx, name, &record);
    description.global_table_status = Some(api::GlobalTableStatus::Creating);
    Ok(api::CreateGlobalTableOutput { global_table_description: Some(description) })
}

fn region(name: &str) -> Result<Region> {
    Region::parse(name).ok_or_else(|| errors::validation(format!("Invalid RegionName: {name}")))
}

/// A table that may become part: it streams whole items, and is in no other group.
async fn member(ctx: &Ctx, txn: &mut Txn, name: &str) -> Result<TableRecord> {
    let found = TABLES.get(txn, ctx.scope(), name).await?;
    let record =
        found.filter(|record| !record.filling).ok_or_else(|| errors::backup_table_lost(name))?;
    let streams = record
        .stream
        .as_ref()
        .is_some_and(|stream| stream.enabled && stream.view == ViewType::NewAndOldImages);
    if !streams {
        return Err(errors::validation(format!(
            "Table {name} in region {} must have DynamoDB Streams enabled with new and old images",
            ctx.region().as_str()
        )));
    }
    if !record.replicas.is_empty() {
        return Err(errors::validation(format!("Table {name} is already part of a global table")));
    }
    let scope = data_scope(&record, ctx.scope());
    let partition = ITEMS.partition_key(scope, &(record.storage, 0)).partition;
    if !txn.range(&Range::all(partition).limit(1)).await?.is_empty() {
        return Err(errors::validation(format!(
            "Table {name} in region {} is not empty",
            ctx.region().as_str()
        )));
    }
    Ok(record)
}

/// Makes the table of another region a replica of `base`, which the caller stores.
async fn join(ctx: &Ctx, txn: &mut Txn, base: &mut TableRecord, region: Region) -> Result<()> {
    let there = ctx.in_region(region);
    let own = member(&there, txn, &base.name).await?;
    let keys = |record: &TableRecord| {
        let indexes = record.indexes.iter().map(|index| {
            (index.name.clone(), index.local, index.hash.clone(), index.range.clone())
        });
        (record.hash.clone(), record.range.clone(), indexes.collect::<Vec<_>>())
    };
    if keys(&own) != keys(base) || own.attributes != base.attributes {
        return Err(errors::validation(format!(
            "The tables {} differ in their keys or indexes",
            base.name
        )));
    }
    tasks::purge(&there, txn, &own);
    let mut replica = replicas::member(ctx, base, region);
    replica.id.clone_from(&own.id);
    replica.created_ms = own.created_ms;
    replica.stream.clone_from(&own.stream);
    replica.tags.clone_from(&own.tags);
    replica.policy.clone_from(&own.policy);
    replica.policy_revision.clone_from(&own.policy_revision);
    replica.deletion_protection = own.deletion_protection;
    replica.sse.clone_from(&own.sse);
    replicas::adopt(txn, there.scope(), &replica, region, base);
    Ok(())
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateGlobalTableInput,
) -> Result<api::UpdateGlobalTableOutput> {
    let name = &input.global_table_name;
    let mut wanted = Vec::new();
    for update in &input.replica_updates {
        match (&update.create, &update.delete) {
            (Some(create), None) => wanted.push(region(&create.region_name)?),
            (None, Some(_)) => {
                return Err(errors::unsupported(
                    "removing a replica from a global table of version 2017.11.29 and keeping its \
                     table; DeleteTable removes both, UpdateGlobalTable with Delete",
                ));
            }
            _ => {
                return Err(errors::validation(
                    "One of ReplicaUpdate.Create, ReplicaUpdate.Delete must be specified",
                ));
            }
        }
    }
    let record = transact!(ctx.store(), Error, |txn| {
        let found = GLOBAL_TABLES.get(txn, ctx.account_scope(), name.as_str()).await?;
        let mut record = found.ok_or_else(|| errors::global_table_not_found(name))?;
        let first = region(record.regions.first().map_or("", String::as_str))?;
        let there = ctx.in_region(first);
        let found = TABLES.get(txn, there.scope(), name.as_str()).await?;
        let mut base = found.ok_or_else(|| errors::backup_table_lost(name))?;
        for region in &wanted {
            let text = region.as_str().to_owned();
            if record.regions.contains(&text) {
                return Err(errors::replica_exists(&text));
            }
            join(&there, txn, &mut base, *region).await?;
            record.regions.push(text);
        }
        replicas::store(&there, txn, there.scope(), &mut base).await?;
        GLOBAL_TABLES.put(txn, ctx.account_scope(), name.as_str(), &record);
        record
    })?;
    let description = description(&ctx, name, &record);
    Ok(api::UpdateGlobalTableOutput { global_table_description: Some(description) })
}

/// The table of this region is deleted.
pub async fn forget(ctx: &Ctx, txn: &mut Txn, name: &str) -> Result<()> {
    if let Some(mut record) = GLOBAL_TABLES.get(txn, ctx.account_scope(), name).await? {
        record.regions.retain(|region| region != ctx.region().as_str());
        if record.regions.is_empty() {
            GLOBAL_TABLES.delete(txn, ctx.account_scope(), name);
        } else {
            GLOBAL_TABLES.put(txn, ctx.account_scope(), name, &record);
        }
    }
    Ok(())
}

fn description(ctx: &Ctx, name: &str, record: &GlobalTableRecord) -> api::GlobalTableDescription {
    let replica = |region: &String| api::ReplicaDescription {
        region_name: Some(region.clone()),
        replica_status: Some(api::ReplicaStatus::Active),
        ..Default::default()
    };
    let resource = format!("global-table/{name}");
    api::GlobalTableDescription {
        replication_group: Some(record.regions.iter().map(replica).collect()),
        global_table_arn: Some(arn("dynamodb", None, Some(ctx.account()), &resource)),
        creation_date_time: Some(Timestamp::from_millis(record.created_ms)),
        global_table_status: Some(api::GlobalTableStatus::Active),
        global_table_name: Some(name.to_owned()),
    }
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeGlobalTableInput,
) -> Result<api::DescribeGlobalTableOutput> {
    let name = &input.global_table_name;
    let found = GLOBAL_TABLES.get(ctx.store(), ctx.account_scope(), name.as_str()).await?;
    let record = found.ok_or_else(|| errors::global_table_not_found(name))?;
    let description = description(&ctx, name, &record);
    Ok(api::DescribeGlobalTableOutput { global_table_description: Some(description) })
}

/// Those that have a replica in the region asked for.
pub async fn list(
    ctx: Ctx,
    input: api::ListGlobalTablesInput,
) -> Result<api::ListGlobalTablesOutput> {
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut listing = GLOBAL_TABLES.list(ctx.account_scope(), ());
    if let Some(after) = &input.exclusive_start_global_table_name {
        listing = listing.after(after.as_str());
    }
    let all = listing.read(ctx.store()).await?;
    let there = |record: &GlobalTableRecord| {
        input.region_name.as_ref().is_none_or(|region| record.regions.contains(region))
    };
    let mut page: Vec<api::GlobalTable> = all
        .into_iter()
        .filter(|(_, record)| there(record))
        .map(|(name, record)| api::GlobalTable {
            global_table_name: Some(name),
            replication_group: Some(
                record
                    .regions
                    .into_iter()
                    .map(|region| api::Replica { region_name: Some(region) })
                    .collect(),
            ),
        })
        .collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().filter(|_| more).and_then(|table| table.global_table_name.clone());
    Ok(api::ListGlobalTablesOutput {
        global_tables: Some(page),
        last_evaluated_global_table_name: last,
    })
}

/// No replica scales by itself here, so there are no settings to show.
pub async fn describe_scaling(
    engine: std::sync::Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeTableReplicaAutoScalingInput,
) -> Result<api::DescribeTableReplicaAutoScalingOutput> {
    let (target, table) = tables::find(&engine, &ctx, &input.table_name).await?;
    let Target { name, region, .. } = target;
    let others = table.record.replicas.iter().map(|replica| replica.region.clone());
    let regions =
        others.chain([region.as_str().to_owned()]).filter(|_| !table.record.replicas.is_empty());
    let replicas = regions.map(|region| api::ReplicaAutoScalingDescription {
        region_name: Some(region),
        replica_status: Some(api::ReplicaStatus::Active),
        ..Default::default()
    });
    Ok(api::DescribeTableReplicaAutoScalingOutput {
        table_auto_scaling_description: Some(api::TableAutoScalingDescription {
            table_name: Some(name),
            table_status: Some(api::TableStatus::Active),
            replicas: Some(replicas.collect()),
        }),
    })
}
