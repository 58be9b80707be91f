//! A table as the API describes it.

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};

use crate::replicas;
use crate::state::{
    COUNTS, IndexRecord, IndexState, ProjectionKind, SIZES, StreamRecordOf, TableRecord,
    Throughput, ViewType,
};
use crate::table::{Engine, Table};

/// Numbers of items and bytes, by index number.
#[derive(Default)]
pub struct Sizes(Vec<(u32, i64, i64)>);

impl Sizes {
    /// What is counted until now.
    pub async fn of(engine: &Engine, ctx: &Ctx, table: &Table) -> Result<Sizes> {
        engine.tallies.flush(ctx.store()).await?;
        let mut sizes = Vec::new();
        let numbers = table.indexes.iter().map(|index| index.record.number);
        for number in std::iter::once(0).chain(numbers) {
            let key = (table.record.storage, number);
            let items = COUNTS.get(ctx.store(), table.data, &key).await?;
            let bytes = SIZES.get(ctx.store(), table.data, &key).await?;
            sizes.push((
                number,
                items.map_or(0, |counter| counter.0.max(0)),
                bytes.map_or(0, |counter| counter.0.max(0)),
            ));
        }
        Ok(Sizes(sizes))
    }

    pub fn of_table(&self) -> (i64, i64) {
        self.get(0)
    }

    fn get(&self, number: u32) -> (i64, i64) {
        self.0
            .iter()
            .find(|(have, ..)| *have == number)
            .map_or((0, 0), |(_, items, bytes)| (*items, *bytes))
    }
}

/// Statuses other than the settled ones: what a change answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Creating,
    Settled,
    Updating,
    Deleting,
}

pub fn table(
    record: &TableRecord,
    arn: &str,
    sizes: &Sizes,
    moment: Moment,
) -> api::TableDescription {
    let (items, bytes) = sizes.get(0);
    let deleting = moment == Moment::Deleting;
    let globals = record.indexes.iter().filter(|index| !index.local);
    let locals = record.indexes.iter().filter(|index| index.local);
    let some = |settled: bool| settled && !deleting;
    api::TableDescription {
        attribute_definitions: some(true).then(|| {
            record
                .attributes
                .iter()
                .map(|attribute| api::AttributeDefinition {
                    attribute_name: attribute.name.clone(),
                    attribute_type: attribute.kind.as_str().into(),
                })
                .collect()
        }),
        table_name: Some(record.name.clone()),
        key_schema: some(true).then(|| table_keys(record)),
        table_status: Some(status(record, moment)),
        creation_date_time: some(true).then(|| Timestamp::from_millis(record.created_ms)),
        provisioned_throughput: Some(throughput(&record.throughput)),
        table_size_bytes: Some(bytes),
        item_count: Some(items),
        table_arn: Some(arn.to_owned()),
        table_id: Some(record.id.clone()),
        billing_mode_summary: record.billing_stated.then(|| billing(record, moment)),
        local_secondary_indexes: list(
            locals.filter(|_| some(true)).map(|index| local(index, arn, sizes)),
        ),
        global_secondary_indexes: list(
            globals.filter(|_| some(true)).map(|index| global(record, index, arn, sizes, moment)),
        ),
        stream_specification: stream_specification(record),
        latest_stream_label: record.stream.as_ref().map(|stream| stream.label.clone()),
        latest_stream_arn: record.stream.as_ref().map(|stream| stream_arn(arn, stream)),
        restore_summary: restore(record),
        sse_description: sse(record),
        table_class_summary: class(record),
        deletion_protection_enabled: Some(record.deletion_protection),
        on_demand_throughput: on_demand(record.on_demand_read_max, record.on_demand_write_max),
        warm_throughput: warm(record, moment),
        replicas: replicas::describe(record),
        global_table_version: (!record.replicas.is_empty()).then(|| record.global_version.clone()),
        ..Default::default()
    }
}

pub fn table_keys(record: &TableRecord) -> Vec<api::KeySchemaElement> {
    let names = [Some(&record.hash), record.range.as_ref()];
    let element = |(name, kind): (Option<&String>, api::KeyType)| {
        Some(api::KeySchemaElement { attribute_name: name?.clone(), key_type: kind })
    };
    names.into_iter().zip([api::KeyType::Hash, api::KeyType::Range]).filter_map(element).collect()
}

pub fn stream_specification(record: &TableRecord) -> Option<api::StreamSpecification> {
    let stream = record.stream.as_ref().filter(|stream| stream.enabled)?;
    Some(api::StreamSpecification {
        stream_enabled: true,
        stream_view_type: Some(view(stream.view)),
    })
}

pub fn billing_mode(record: &TableRecord) -> api::BillingMode {
    if record.provisioned { api::BillingMode::Provisioned } else { api::BillingMode::PayPerRequest }
}

pub fn stream_arn(table_arn: &str, stream: &StreamRecordOf) -> String {
    format!("{table_arn}/stream/{}", stream.label)
}

pub fn list<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let all: Vec<T> = items.collect();
    (!all.is_empty()).then_some(all)
}

fn status(record: &TableRecord, moment: Moment) -> api::TableStatus {
    let busy =
        |index: &IndexRecord| matches!(index.state, IndexState::Creating | IndexState::Deleting);
    match moment {
        Moment::Creating => api::TableStatus::Creating,
        Moment::Updating => api::TableStatus::Updating,
        Moment::Deleting => api::TableStatus::Deleting,
        Moment::Settled if record.filling => api::TableStatus::Creating,
        Moment::Settled if record.indexes.iter().any(busy) => api::TableStatus::Updating,
        Moment::Settled => api::TableStatus::Active,
    }
}

fn time(ms: i64) -> Option<Timestamp> {
    (ms > 0).then(|| Timestamp::from_millis(ms))
}

fn throughput(given: &Throughput) -> api::ProvisionedThroughputDescription {
    api::ProvisionedThroughputDescription {
        last_increase_date_time: time(given.increased_ms),
        last_decrease_date_time: time(given.decreased_ms),
        number_of_decreases_today: Some(given.decreases_today),
        read_capacity_units: Some(given.read_units),
        write_capacity_units: Some(given.write_units),
    }
}

fn billing(record: &TableRecord, moment: Moment) -> api::BillingModeSummary {
    api::BillingModeSummary {
        billing_mode: Some(billing_mode(record)),
        last_update_to_pay_per_request_date_time: time(record.billing_changed_ms)
            .filter(|_| moment != Moment::Creating),
    }
}

pub fn keys(index: &IndexRecord) -> Vec<api::KeySchemaElement> {
    let element = |kind: api::KeyType| {
        move |name: &String| api::KeySchemaElement {
            attribute_name: name.clone(),
            key_type: kind.clone(),
        }
    };
    let hash = index.hash.iter().map(element(api::KeyType::Hash));
    hash.chain(index.range.iter().map(element(api::KeyType::Range))).collect()
}

pub fn projection(index: &IndexRecord) -> api::Projection {
    api::Projection {
        projection_type: Some(match index.projection {
            ProjectionKind::All => api::ProjectionType::All,
            ProjectionKind::KeysOnly => api::ProjectionType::KeysOnly,
            ProjectionKind::Include => api::ProjectionType::Include,
        }),
        non_key_attributes: (index.projection == ProjectionKind::Include)
            .then(|| index.non_key_attributes.clone()),
    }
}

fn local(index: &IndexRecord, arn: &str, sizes: &Sizes) -> api::LocalSecondaryIndexDescription {
    let (items, bytes) = sizes.get(index.number);
    api::LocalSecondaryIndexDescription {
        index_name: Some(index.name.clone()),
        key_schema: Some(keys(index)),
        projection: Some(projection(index)),
        index_size_bytes: Some(bytes),
        item_count: Some(items),
        index_arn: Some(format!("{arn}/index/{}", index.name)),
    }
}

fn global(
    record: &TableRecord,
    index: &IndexRecord,
    arn: &str,
    sizes: &Sizes,
    moment: Moment,
) -> api::GlobalSecondaryIndexDescription {
    let (items, bytes) = sizes.get(index.number);
    let status = match (moment, index.state) {
        (Moment::Creating, _) | (_, IndexState::Creating) => api::IndexStatus::Creating,
        (Moment::Deleting, _) | (_, IndexState::Deleting) => api::IndexStatus::Deleting,
        (_, IndexState::Updating) => api::IndexStatus::Updating,
        _ => api::IndexStatus::Active,
    };
    let warm = moment == Moment::Settled && index.state == IndexState::Active;
    let (read, write) = if record.provisioned {
        (index.throughput.read_units, index.throughput.write_units)
    } else {
        (ON_DEMAND_WARM_READ, ON_DEMAND_WARM_WRITE)
    };
    api::GlobalSecondaryIndexDescription {
        index_name: Some(index.name.clone()),
        key_schema: Some(keys(index)),
        projection: Some(projection(index)),
        index_status: Some(status),
        backfilling: (index.state == IndexState::Creating).then_some(index.backfilling),
        provisioned_throughput: Some(throughput(&index.throughput)),
        index_size_bytes: Some(bytes),
        item_count: Some(items),
        index_arn: Some(format!("{arn}/index/{}", index.name)),
        on_demand_throughput: on_demand(index.on_demand_read_max, index.on_demand_write_max),
        warm_throughput: warm.then_some(api::GlobalSecondaryIndexWarmThroughputDescription {
            read_units_per_second: Some(read),
            write_units_per_second: Some(write),
            status: Some(api::IndexStatus::Active),
        }),
    }
}

pub fn view(view: ViewType) -> api::StreamViewType {
    match view {
        ViewType::NewAndOldImages => api::StreamViewType::NewAndOldImages,
        ViewType::NewImage => api::StreamViewType::NewImage,
        ViewType::OldImage => api::StreamViewType::OldImage,
        ViewType::KeysOnly => api::StreamViewType::KeysOnly,
    }
}

pub fn sse(record: &TableRecord) -> Option<api::SSEDescription> {
    let sse = record.sse.as_ref().filter(|sse| sse.enabled)?;
    Some(api::SSEDescription {
        status: Some(api::SSEStatus::Enabled),
        sse_type: Some(api::SSEType::Kms),
        kms_master_key_arn: sse.key_arn.clone(),
        inaccessible_encryption_date_time: None,
    })
}

fn class(record: &TableRecord) -> Option<api::TableClassSummary> {
    (record.class_stated || record.class_changed_ms > 0).then(|| api::TableClassSummary {
        table_class: Some(if record.infrequent_access {
            api::TableClass::StandardInfrequentAccess
        } else {
            api::TableClass::Standard
        }),
        last_update_date_time: time(record.class_changed_ms),
    })
}

pub fn on_demand(read: Option<i64>, write: Option<i64>) -> Option<api::OnDemandThroughput> {
    (read.is_some() || write.is_some()).then_some(api::OnDemandThroughput {
        max_read_request_units: read,
        max_write_request_units: write,
    })
}

/// Recorded: LocalStack, test_gsi_with_billing_mode.
const ON_DEMAND_WARM_READ: i64 = 12_000;
const ON_DEMAND_WARM_WRITE: i64 = 4_000;

/// Shown once the table is there, or at once if the client set it.
fn warm(record: &TableRecord, moment: Moment) -> Option<api::TableWarmThroughputDescription> {
    let stated = record.warm_read.is_some() || record.warm_write.is_some();
    let status = match moment {
        Moment::Settled => api::TableStatus::Active,
        Moment::Creating | Moment::Updating if stated => api::TableStatus::Updating,
        _ => return None,
    };
    let (read, write) = if record.provisioned {
        (record.throughput.read_units, record.throughput.write_units)
    } else {
        (ON_DEMAND_WARM_READ, ON_DEMAND_WARM_WRITE)
    };
    Some(api::TableWarmThroughputDescription {
        read_units_per_second: Some(record.warm_read.unwrap_or(read)),
        write_units_per_second: Some(record.warm_write.unwrap_or(write)),
        status: Some(status),
    })
}

fn restore(record: &TableRecord) -> Option<api::RestoreSummary> {
    let at = time(record.restored_at_ms)?;
    Some(api::RestoreSummary {
        source_backup_arn: record.restored_backup.clone(),
        source_table_arn: record.restored_from.clone(),
        restore_date_time: at,
        restore_in_progress: record.filling,
    })
}
