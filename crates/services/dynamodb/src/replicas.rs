//! Global tables: one table in several regions.
//!
//! Every region has a record of its own, with its own stream, tags, policy, encryption, class,
//! protection and recovery; keys, indexes, billing and expiry are the same everywhere and are changed
//! everywhere in one commit. The items lie once, under the region where the table began. So a write in one
//! region is seen by the others at once, writes never conflict across regions, and a write leaves its
//! record in every region's stream in its own commit. (AWS's replicas are behind by about a second.)
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GlobalTables.html

use sereno_api_dynamodb as api;
use sereno_base::Region;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Scope, Txn};

use crate::errors;
use crate::state::{ReplicaRecord, STREAMS, TABLES, TTL_TABLES, TableRecord, TtlTable};
use crate::tables;

const CURRENT: &str = "2019.11.21";
pub const LEGACY: &str = "2017.11.29";

/// Writes a table's record, and what it shares with its replicas into theirs.
pub async fn store(ctx: &Ctx, txn: &mut Txn, scope: Scope, record: &mut TableRecord) -> Result<()> {
    record.changes += 1;
    let name = record.name.clone();
    TABLES.put(txn, scope, name.as_str(), record);
    for replica in &record.replicas {
        let Some(region) = Region::parse(&replica.region) else { continue };
        let there = scope.in_region(region);
        if let Some(mut other) = TABLES.get(txn, there, name.as_str()).await? {
            share(record, ctx.region(), &mut other, region);
            TABLES.put(txn, there, name.as_str(), &other);
        }
    }
    Ok(())
}

/// What all replicas have in common.
fn share(from: &TableRecord, own: Region, to: &mut TableRecord, region: Region) {
    to.attributes.clone_from(&from.attributes);
    to.indexes.clone_from(&from.indexes);
    to.next_index = from.next_index;
    to.provisioned = from.provisioned;
    to.throughput = from.throughput.clone();
    to.billing_changed_ms = from.billing_changed_ms;
    to.billing_stated = from.billing_stated;
    to.ttl_attribute.clone_from(&from.ttl_attribute);
    to.ttl_changed_ms = from.ttl_changed_ms;
    to.on_demand_read_max = from.on_demand_read_max;
    to.on_demand_write_max = from.on_demand_write_max;
    to.warm_read = from.warm_read;
    to.warm_write = from.warm_write;
    to.keepers = from.keepers;
    to.global_version.clone_from(&from.global_version);
    to.replicas = from
        .replicas
        .iter()
        .filter(|replica| replica.region != region.as_str())
        .cloned()
        .chain([as_seen(from, own)])
        .collect();
    to.changes += 1;
}

/// A table as the other regions list it.
fn as_seen(record: &TableRecord, region: Region) -> ReplicaRecord {
    ReplicaRecord {
        region: region.as_str().to_owned(),
        stream: record.stream.clone(),
        key: record.replica_key.clone(),
        infrequent_access: record.class_stated.then_some(record.infrequent_access),
    }
}

/// Carries out an UpdateTable's `ReplicaUpdates`.
pub async fn apply(
    ctx: &Ctx,
    txn: &mut Txn,
    updates: &[api::ReplicationGroupUpdate],
    record: &mut TableRecord,
) -> Result<()> {
    if !updates.is_empty() && record.global_version == LEGACY {
        return Err(errors::validation(
            "Replicas of a global table of version 2017.11.29 are changed by UpdateGlobalTable",
        ));
    }
    for update in updates {
        match (&update.create, &update.update, &update.delete, &update.disassociate) {
            (Some(create), None, None, None) => add(ctx, txn, create, record).await?,
            (None, Some(update), None, None) => change(ctx, txn, update, record).await?,
            (None, None, Some(delete), None) if delete.region_name == ctx.region().as_str() => {}
            (None, None, Some(delete), None) => {
                remove(ctx, txn, &delete.region_name, record).await?;
            }
            (None, None, None, Some(_)) => {
                return Err(errors::unsupported("disassociating replicas"));
            }
            _ => {
                return Err(errors::parameters(
                    "One of ReplicaUpdate.Create, ReplicaUpdate.Update, ReplicaUpdate.Delete must be \
                     specified",
                ));
            }
        }
    }
    Ok(())
}

/// Whether the table of `region` itself is to go.
pub fn removes(updates: &[api::ReplicationGroupUpdate], region: Region) -> bool {
    let deleted = updates.iter().filter_map(|update| update.delete.as_ref());
    deleted.into_iter().any(|delete| delete.region_name == region.as_str())
}

/// A replica removes itself.
pub async fn resign(ctx: &Ctx, txn: &mut Txn, record: &TableRecord) -> Result<()> {
    if record.replicas.is_empty() {
        return Err(not_a_member());
    }
    if record.deletion_protection {
        return Err(errors::deletion_protected());
    }
    drop_region(ctx, txn, record);
    leave(ctx, txn, record).await
}

fn region(name: &str) -> Result<Region> {
    Region::parse(name).ok_or_else(|| {
        errors::validation(format!("Invalid Request: Region {name} is not a valid region"))
    })
}

fn refuse_overrides(
    throughput: bool,
    on_demand: bool,
    indexes: Option<&Vec<api::ReplicaGlobalSecondaryIndex>>,
) -> Result<()> {
    let indexed = indexes.into_iter().flatten().any(|index| {
        index.provisioned_throughput_override.is_some()
            || index.on_demand_throughput_override.is_some()
    });
    if throughput || on_demand || indexed {
        return Err(errors::unsupported("throughput of single replicas"));
    }
    Ok(())
}

async fn add(
    ctx: &Ctx,
    txn: &mut Txn,
    wanted: &api::CreateReplicationGroupMemberAction,
    record: &mut TableRecord,
) -> Result<()> {
    refuse_overrides(
        wanted.provisioned_throughput_override.is_some(),
        wanted.on_demand_throughput_override.is_some(),
        wanted.global_secondary_indexes.as_ref(),
    )?;
    let mut replica = member(ctx, record, region(&wanted.region_name)?);
    replica.replica_key.clone_from(&wanted.kms_master_key_id);
    if let Some(key) = &wanted.kms_master_key_id {
        let given = api::SSESpecification {
            enabled: Some(true),
            kms_master_key_id: Some(key.clone()),
            ..Default::default()
        };
        replica.sse = tables::sse(&ctx.in_region(region(&wanted.region_name)?), Some(&given));
    }
    if let Some(class) = &wanted.table_class_override {
        replica.infrequent_access = *class == api::TableClass::StandardInfrequentAccess;
        replica.class_stated = true;
    }
    insert(ctx, txn, replica, &wanted.region_name, record).await
}

/// The record of a new replica.
pub fn member(ctx: &Ctx, record: &TableRecord, region: Region) -> TableRecord {
    let own = ctx.region().as_str();
    let home = if record.home.is_empty() { own } else { &record.home };
    let stream = record.stream.as_ref().filter(|stream| stream.enabled);
    TableRecord {
        id: ctx.random_uuid(),
        created_ms: ctx.now().millis(),
        home: if home == region.as_str() { String::new() } else { home.to_owned() },
        stream: stream.map(|stream| tables::new_stream(ctx, stream.view)),
        tags: Default::default(),
        policy: None,
        policy_revision: String::new(),
        pitr_since_ms: 0,
        pitr_days: 0,
        contributor_insights: Default::default(),
        kinesis: Vec::new(),
        deletion_protection: false,
        replica_key: None,
        sse: None,
        restored_from: None,
        restored_at_ms: 0,
        restored_backup: None,
        changes: 0,
        ..record.clone()
    }
}

/// Makes a new replica known in its region and to `record`, which the caller stores.
async fn insert(
    ctx: &Ctx,
    txn: &mut Txn,
    replica: TableRecord,
    region_name: &str,
    record: &mut TableRecord,
) -> Result<()> {
    let there = region(region_name)?;
    let ctx_there = ctx.in_region(there);
    let name = record.name.clone();
    let known =
        there == ctx.region() || TABLES.get(txn, ctx_there.scope(), name.as_str()).await?.is_some();
    if known {
        return Err(errors::validation(format!(
            "Failed to create a the new replica of table with name: '{name}' because one or more \
             replicas already existed as tables."
        )));
    }
    if let Some(stream) = &replica.stream {
        tables::put_stream(&ctx_there, txn, &replica, stream);
    }
    CURRENT.clone_into(&mut record.global_version);
    if replica.ttl_attribute.is_some() {
        let key = tables::ttl_key(&ctx_there, &name);
        let entry = TtlTable { storage: replica.storage };
        TTL_TABLES.put(txn, Scope::GLOBAL, &key, &entry);
    }
    adopt(txn, ctx_there.scope(), &replica, there, record);
    Ok(())
}

/// Stores a replica and lets `record`, which the caller stores, know it.
pub fn adopt(
    txn: &mut Txn,
    scope: Scope,
    replica: &TableRecord,
    region: Region,
    record: &mut TableRecord,
) {
    TABLES.put(txn, scope, record.name.as_str(), replica);
    record.replicas.push(as_seen(replica, region));
}

async fn change(
    ctx: &Ctx,
    txn: &mut Txn,
    wanted: &api::UpdateReplicationGroupMemberAction,
    record: &mut TableRecord,
) -> Result<()> {
    refuse_overrides(
        wanted.provisioned_throughput_override.is_some(),
        wanted.on_demand_throughput_override.is_some(),
        wanted.global_secondary_indexes.as_ref(),
    )?;
    let there = ctx.in_region(region(&wanted.region_name)?);
    let name = record.name.clone();
    let known = record.replicas.iter_mut().find(|one| one.region == wanted.region_name);
    let Some(known) = known else { return Err(not_a_member()) };
    let Some(mut replica) = TABLES.get(txn, there.scope(), name.as_str()).await? else {
        return Err(not_a_member());
    };
    if let Some(key) = &wanted.kms_master_key_id {
        replica.replica_key = Some(key.clone());
        known.key = Some(key.clone());
    }
    if let Some(class) = &wanted.table_class_override {
        replica.infrequent_access = *class == api::TableClass::StandardInfrequentAccess;
        replica.class_stated = true;
        replica.class_changed_ms = ctx.now().millis();
        known.infrequent_access = Some(replica.infrequent_access);
    }
    TABLES.put(txn, there.scope(), name.as_str(), &replica);
    Ok(())
}

/// Recorded: LocalStack, test_global_tables_version_2019.
fn not_a_member() -> sereno_kernel::Error {
    errors::validation(
        "Update global table operation failed because one or more replicas were not part of the \
         global table",
    )
}

/// Removes a replica in another region; `record` is stored by the caller.
async fn remove(
    ctx: &Ctx,
    txn: &mut Txn,
    region_name: &str,
    record: &mut TableRecord,
) -> Result<()> {
    let at = record.replicas.iter().position(|replica| replica.region == region_name);
    let at = at.ok_or_else(not_a_member)?;
    let there = ctx.in_region(region(region_name)?);
    let name = record.name.clone();
    let replica = TABLES.get(txn, there.scope(), name.as_str()).await?;
    let Some(replica) = replica else { return Err(not_a_member()) };
    if replica.deletion_protection {
        return Err(errors::deletion_protected());
    }
    drop_region(&there, txn, &replica);
    if replica.pitr_since_ms > 0 {
        crate::undo::let_go(ctx, txn, record);
    }
    record.replicas.remove(at);
    if record.replicas.is_empty() {
        record.global_version.clear();
    }
    Ok(())
}

/// What goes with a table's record in its own region.
pub fn drop_region(ctx: &Ctx, txn: &mut Txn, record: &TableRecord) {
    let (scope, name) = (ctx.scope(), record.name.as_str());
    TABLES.delete(txn, scope, name);
    TTL_TABLES.delete(txn, Scope::GLOBAL, &tables::ttl_key(ctx, name));
    if let Some(stream) = record.stream.as_ref().filter(|stream| stream.enabled) {
        let mut ended = tables::entry(record, stream);
        ended.enabled = false;
        ended.ended_ms = ctx.now().millis();
        STREAMS.put(txn, scope, &(name, stream.label.as_str()), &ended);
    }
}

/// The others forget a replica whose table was deleted.
pub async fn leave(ctx: &Ctx, txn: &mut Txn, record: &TableRecord) -> Result<()> {
    let own = ctx.region().as_str();
    for (at, replica) in record.replicas.iter().enumerate() {
        let scope = ctx.in_region(region(&replica.region)?).scope();
        let Some(mut other) = TABLES.get(txn, scope, record.name.as_str()).await? else { continue };
        other.replicas.retain(|one| one.region != own);
        if other.replicas.is_empty() {
            other.global_version.clear();
        }
        if record.pitr_since_ms > 0 {
            other.keepers = other.keepers.saturating_sub(1);
            if other.keepers == 0 && at == 0 {
                other.keepers = 1;
                crate::undo::let_go(&ctx.in_region(region(&replica.region)?), txn, &mut other);
            }
        }
        other.changes += 1;
        TABLES.put(txn, scope, record.name.as_str(), &other);
    }
    Ok(())
}

/// The other regions, as DescribeTable lists them.
pub fn describe(record: &TableRecord) -> Option<Vec<api::ReplicaDescription>> {
    let all: Vec<api::ReplicaDescription> = record.replicas.iter().map(description).collect();
    (!all.is_empty()).then_some(all)
}

fn description(replica: &ReplicaRecord) -> api::ReplicaDescription {
    api::ReplicaDescription {
        region_name: Some(replica.region.clone()),
        replica_status: Some(api::ReplicaStatus::Active),
        kms_master_key_id: replica.key.clone(),
        replica_table_class_summary: replica.infrequent_access.map(|infrequent| {
            let class = if infrequent {
                api::TableClass::StandardInfrequentAccess
            } else {
                api::TableClass::Standard
            };
            api::TableClassSummary { table_class: Some(class), ..Default::default() }
        }),
        ..Default::default()
    }
}
