//! UpdateTable: throughput, billing, indexes, stream, encryption, class and protection of a table.
//! Sentences and their order recorded: dynalite, updateTable; Alternator's and nubo-db's suites on AWS.

use std::collections::BTreeSet;
use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Txn, transact};

use crate::create_rules;
use crate::describe::{self, Moment, Sizes};
use crate::errors;
use crate::replicas;
use crate::state::{IndexState, STREAMS, TABLES, TableRecord, Throughput};
use crate::table::{Engine, Target};
use crate::tables;
use crate::tasks;

pub async fn update(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::UpdateTableInput,
) -> Result<api::UpdateTableOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    refuse_unsupported(&input)?;
    check(&input)?;
    let (_, table) = tables::find(&engine, &ctx, &input.table_name).await?;
    let sizes = Sizes::of(&engine, &ctx, &table).await?;
    let scope = target.scope();
    let before_after = transact!(ctx.store(), Error, |txn| {
        let Some(before) = TABLES.get(txn, scope, target.name.as_str()).await? else {
            return Err(errors::table_not_found(&target.name));
        };
        let mut record = before.clone();
        if record.filling {
            return Err(errors::table_in_use(&target.name));
        }
        apply(&ctx, txn, &input, &mut record)?;
        let updates = input.replica_updates.as_deref().unwrap_or_default();
        replicas::apply(&ctx, txn, updates, &mut record).await?;
        if replicas::removes(updates, ctx.region()) {
            replicas::resign(&ctx, txn, &record).await?;
        } else {
            replicas::store(&ctx, txn, scope, &mut record).await?;
        }
        (before, record)
    })?;
    let description = answer(&before_after, &target.arn(), &sizes);
    Ok(api::UpdateTableOutput { table_description: Some(description) })
}

fn refuse_unsupported(input: &api::UpdateTableInput) -> Result<()> {
    let refuse = |given: bool, what: &str| {
        if given { Err(errors::unsupported(what)) } else { Ok(()) }
    };
    refuse(input.multi_region_consistency.is_some(), "multi-region consistency")?;
    refuse(input.global_table_witness_updates.is_some(), "witnesses of global tables")?;
    refuse(
        input.global_table_settings_replication_mode.is_some(),
        "settings replication of global tables",
    )?;
    refuse(input.disassociation_protection_enabled.is_some(), "disassociating replicas")?;
    refuse(input.vector_index_updates.is_some(), "vector indexes")
}

/// What the request alone shows.
fn check(input: &api::UpdateTableInput) -> Result<()> {
    let updates = input.global_secondary_index_updates.as_deref().unwrap_or_default();
    let any = input.provisioned_throughput.is_some()
        || input.billing_mode.is_some()
        || input.stream_specification.is_some()
        || !updates.is_empty()
        || input.sse_specification.is_some()
        || input.table_class.is_some()
        || input.deletion_protection_enabled.is_some()
        || input.on_demand_throughput.is_some()
        || input.warm_throughput.is_some()
        || input.replica_updates.as_ref().is_some_and(|updates| !updates.is_empty());
    if !any {
        return Err(errors::validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
             GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
        ));
    }
    let provisioned = input.billing_mode == Some(api::BillingMode::Provisioned);
    if provisioned && input.provisioned_throughput.is_none() {
        return Err(errors::parameters(
            "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        ));
    }
    if let Some(throughput) = &input.provisioned_throughput {
        create_rules::check_throughput(throughput)?;
    }
    let mut seen = BTreeSet::new();
    for update in updates {
        let names: Vec<&String> = [
            update.update.as_ref().map(|update| &update.index_name),
            update.create.as_ref().map(|create| &create.index_name),
            update.delete.as_ref().map(|delete| &delete.index_name),
        ]
        .into_iter()
        .flatten()
        .collect();
        let [name] = names.as_slice() else {
            let what = if names.is_empty() {
                "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                 GlobalSecondaryIndexUpdate.Delete must not be null"
            } else {
                "Only one of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
                 GlobalSecondaryIndexUpdate.Delete must be specified"
            };
            return Err(errors::parameters(what));
        };
        if !seen.insert(*name) {
            return Err(errors::parameters(format_args!(
                "Only one global secondary index update per index is allowed simultaneously. Index: \
                 {name}"
            )));
        }
    }
    Ok(())
}

/// The answer still shows the old throughput: the change is under way.
fn answer(
    (before, after): &(TableRecord, TableRecord),
    arn: &str,
    sizes: &Sizes,
) -> api::TableDescription {
    let mut shown = after.clone();
    if before.provisioned && after.provisioned {
        let units = (before.throughput.read_units, before.throughput.write_units);
        (shown.throughput.read_units, shown.throughput.write_units) = units;
        shown.throughput.decreases_today = before.throughput.decreases_today;
    }
    // An index that is gone is shown once more.
    for index in &before.indexes {
        if !after.indexes.iter().any(|left| left.number == index.number) {
            let mut gone = index.clone();
            gone.state = IndexState::Deleting;
            shown.indexes.push(gone);
        }
    }
    describe::table(&shown, arn, sizes, Moment::Updating)
}

fn apply(
    ctx: &Ctx,
    txn: &mut Txn,
    input: &api::UpdateTableInput,
    record: &mut TableRecord,
) -> Result<()> {
    apply_throughput(ctx, input, record)?;
    apply_indexes(ctx, txn, input, record)?;
    apply_stream(ctx, txn, input, record)?;
    if let Some(given) = &input.sse_specification {
        let mut sse = tables::sse(ctx, Some(given));
        // Without a key named, a key chosen before stays.
        if let (Some(new), Some(old)) = (&mut sse, &record.sse)
            && given.kms_master_key_id.is_none()
            && new.enabled
            && old.key_arn.is_some()
        {
            new.key_arn.clone_from(&old.key_arn);
        }
        record.sse = sse;
    }
    if let Some(class) = &input.table_class {
        record.infrequent_access = *class == api::TableClass::StandardInfrequentAccess;
        record.class_stated = true;
        record.class_changed_ms = ctx.now().millis();
    }
    if let Some(protected) = input.deletion_protection_enabled {
        record.deletion_protection = protected;
    }
    if let Some(most) = &input.on_demand_throughput {
        // -1 takes the limit away.
        let limit = |units: Option<i64>| units.filter(|units| *units != -1);
        record.on_demand_read_max = limit(most.max_read_request_units);
        record.on_demand_write_max = limit(most.max_write_request_units);
    }
    if let Some(warm) = &input.warm_throughput {
        record.warm_read = warm.read_units_per_second.or(record.warm_read);
        record.warm_write = warm.write_units_per_second.or(record.warm_write);
    }
    Ok(())
}

fn apply_throughput(
    ctx: &Ctx,
    input: &api::UpdateTableInput,
    record: &mut TableRecord,
) -> Result<()> {
    let was_provisioned = record.provisioned;
    let provisioned = match &input.billing_mode {
        Some(mode) => *mode == api::BillingMode::Provisioned,
        None => was_provisioned,
    };
    if input.provisioned_throughput.is_some() && !provisioned {
        return Err(errors::parameters(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is \
             PAY_PER_REQUEST",
        ));
    }
    let now_ms = ctx.now().millis();
    if let Some(given) = &input.provisioned_throughput {
        change_units(&mut record.throughput, given, now_ms, was_provisioned)?;
    }
    if provisioned != was_provisioned {
        record.provisioned = provisioned;
        record.billing_stated = true;
        if !provisioned {
            record.billing_changed_ms = now_ms;
            let indexes = record.indexes.iter_mut().filter(|index| !index.local);
            let all = indexes.map(|index| &mut index.throughput);
            for throughput in all.chain(std::iter::once(&mut record.throughput)) {
                (throughput.read_units, throughput.write_units) = (0, 0);
                throughput.decreased_ms = now_ms;
                throughput.decreases_today += 1;
            }
        }
    }
    if provisioned && !was_provisioned {
        let given: BTreeSet<&str> = input
            .global_secondary_index_updates
            .iter()
            .flatten()
            .filter_map(|update| Some(update.update.as_ref()?.index_name.as_str()))
            .collect();
        let missing: Vec<&str> = record
            .indexes
            .iter()
            .filter(|index| !index.local && !given.contains(index.name.as_str()))
            .map(|index| index.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(errors::parameters(format_args!(
                "ProvisionedThroughput must be specified for index: {}",
                missing.join(",")
            )));
        }
    }
    Ok(())
}

fn change_units(
    throughput: &mut Throughput,
    given: &api::ProvisionedThroughput,
    now_ms: i64,
    must_change: bool,
) -> Result<()> {
    let read = given.read_capacity_units - throughput.read_units;
    let write = given.write_capacity_units - throughput.write_units;
    if read == 0 && write == 0 && must_change {
        return Err(errors::validation(format!(
            "The provisioned throughput for the table will not change. The requested value equals the \
             current value. Current ReadCapacityUnits provisioned for the table: {}. Requested \
             ReadCapacityUnits: {}. Current WriteCapacityUnits provisioned for the table: {}. Requested \
             WriteCapacityUnits: {}. Refer to the Amazon DynamoDB Developer Guide for current limits \
             and how to request higher limits.",
            throughput.read_units,
            given.read_capacity_units,
            throughput.write_units,
            given.write_capacity_units
        )));
    }
    if read > 0 || write > 0 {
        throughput.increased_ms = now_ms;
    }
    if read < 0 || write < 0 {
        throughput.decreased_ms = now_ms;
        throughput.decreases_today += 1;
    }
    throughput.read_units = given.read_capacity_units;
    throughput.write_units = given.write_capacity_units;
    Ok(())
}

fn one_at_a_time() -> Error {
    errors::limit_exceeded(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per \
         table",
    )
}

fn apply_indexes(
    ctx: &Ctx,
    txn: &mut Txn,
    input: &api::UpdateTableInput,
    record: &mut TableRecord,
) -> Result<()> {
    let updates = input.global_secondary_index_updates.as_deref().unwrap_or_default();
    let online = updates.iter().filter(|update| update.update.is_none()).count();
    let busy = record.indexes.iter().any(|index| index.state == IndexState::Creating);
    if online > 1 || (online == 1 && busy) || updates.len() > 5 {
        return Err(one_at_a_time());
    }
    for update in updates {
        if let Some(update) = &update.update {
            update_index(ctx, update, record)?;
        } else if let Some(create) = &update.create {
            create_index(ctx, txn, input, create, record)?;
        } else if let Some(delete) = &update.delete {
            delete_index(ctx, txn, &delete.index_name, record)?;
        }
    }
    Ok(())
}

fn update_index(
    ctx: &Ctx,
    update: &api::UpdateGlobalSecondaryIndexAction,
    record: &mut TableRecord,
) -> Result<()> {
    let provisioned = record.provisioned;
    let given = update.provisioned_throughput.as_ref();
    if given.is_some_and(|given| create_rules::check_throughput(given).is_err()) {
        return Err(errors::validation(
            "This operation cannot be performed with given input values. Please contact DynamoDB \
             service team for more info: Action Blocked: IndexUpdate",
        ));
    }
    let index = record
        .indexes
        .iter_mut()
        .find(|index| !index.local && index.name == update.index_name)
        .ok_or_else(errors::not_found)?;
    if let Some(given) = &update.provisioned_throughput {
        if !provisioned {
            return Err(errors::parameters(format_args!(
                "ProvisionedThroughput should not be specified for index: {} when BillingMode is \
                 PAY_PER_REQUEST",
                update.index_name
            )));
        }
        let fresh = index.throughput.read_units == 0;
        change_units(&mut index.throughput, given, ctx.now().millis(), !fresh)?;
    }
    if let Some(most) = &update.on_demand_throughput {
        index.on_demand_read_max = most.max_read_request_units.filter(|units| *units != -1);
        index.on_demand_write_max = most.max_write_request_units.filter(|units| *units != -1);
    }
    Ok(())
}

fn create_index(
    ctx: &Ctx,
    txn: &mut Txn,
    input: &api::UpdateTableInput,
    create: &api::CreateGlobalSecondaryIndexAction,
    record: &mut TableRecord,
) -> Result<()> {
    if record.indexes.iter().any(|index| index.name == create.index_name) {
        return Err(errors::validation("Attempting to create an index which already exists"));
    }
    let wanted = api::GlobalSecondaryIndex {
        index_name: create.index_name.clone(),
        key_schema: create.key_schema.clone(),
        projection: create.projection.clone(),
        provisioned_throughput: create.provisioned_throughput.clone(),
        on_demand_throughput: create.on_demand_throughput.clone(),
        warm_throughput: create.warm_throughput.clone(),
    };
    let given = input.attribute_definitions.as_deref().unwrap_or_default();
    create_rules::check_global(&wanted, given, record.provisioned)?;
    let mut index = create_rules::global_record(&wanted);
    let keys: Vec<&String> = index.hash.iter().chain(&index.range).collect();
    for attribute in create_rules::attribute_records(given) {
        match record.attributes.iter().find(|have| have.name == attribute.name) {
            Some(have) if have.kind != attribute.kind => {
                return Err(errors::parameters(format_args!(
                    "Attributes cannot be redefined. Please check that your attribute has the same type \
                     as previously defined. Existing schema: Schema:[SchemaElement: \
                     key{{{}:{}:HASH}}] New schema: Schema:[SchemaElement: key{{{}:{}:HASH}}]",
                    have.name, have.kind, attribute.name, attribute.kind
                )));
            }
            None if keys.contains(&&attribute.name) => record.attributes.push(attribute),
            _ => {}
        }
    }
    index.number = record.next_index;
    record.next_index += 1;
    index.state = IndexState::Creating;
    index.backfilling = true;
    tasks::backfill(ctx, txn, record, index.number);
    record.indexes.push(index);
    Ok(())
}

fn delete_index(ctx: &Ctx, txn: &mut Txn, name: &str, record: &mut TableRecord) -> Result<()> {
    let at = record.indexes.iter().position(|index| !index.local && index.name == name);
    let index = record.indexes.remove(at.ok_or_else(errors::not_found)?);
    tasks::purge_indexes(ctx, txn, record, vec![index.number]);
    // Attributes that are no keys any more are not restricted any more.
    let mut keys: BTreeSet<&String> = [&record.hash].into_iter().chain(&record.range).collect();
    keys.extend(record.indexes.iter().flat_map(|index| index.hash.iter().chain(&index.range)));
    let used: Vec<bool> =
        record.attributes.iter().map(|attribute| keys.contains(&attribute.name)).collect();
    let mut used = used.into_iter();
    record.attributes.retain(|_| used.next().unwrap_or(true));
    Ok(())
}

fn apply_stream(
    ctx: &Ctx,
    txn: &mut Txn,
    input: &api::UpdateTableInput,
    record: &mut TableRecord,
) -> Result<()> {
    let Some(given) = &input.stream_specification else { return Ok(()) };
    let enabled = record.stream.as_ref().is_some_and(|stream| stream.enabled);
    let view = create_rules::stream_view(Some(given))?;
    let name = record.name.clone();
    match (view, enabled) {
        (Some(_), true) => Err(errors::validation(format!(
            "Table already has an enabled stream: TableName: {name}"
        ))),
        (None, false) => {
            Err(errors::validation(format!("Table has no stream to disable: TableName: {name}")))
        }
        (Some(view), false) => {
            let stream = tables::new_stream(ctx, view);
            tables::put_stream(ctx, txn, record, &stream);
            record.stream = Some(stream);
            Ok(())
        }
        (None, true) => {
            if let Some(mut stream) = record.stream.clone() {
                stream.enabled = false;
                stream.disabled_ms = ctx.now().millis();
                let entry = tables::entry(record, &stream);
                let key = (name.as_str(), stream.label.as_str());
                STREAMS.put(txn, ctx.scope(), &key, &entry);
                record.stream = Some(stream);
            }
            Ok(())
        }
    }
}
