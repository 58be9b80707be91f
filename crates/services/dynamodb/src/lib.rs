//! Amazon DynamoDB.
//!
//! A table is a record ([`state::TABLES`]) and a span of the store's map; an item is a value there, an
//! index a second span derived from the first. Every write of an item is one commit: the item, its
//! index entries, its expiry time and its stream record, with checks on what was read.
//!
//! Invariants:
//! * no operation holds more than a page (1 MB) of a table in memory;
//! * a writer's commit checks the version of the table's record, so nobody writes by an old schema;
//! * indexes are never behind the table: what AWS calls eventually consistent is consistent here;
//! * the expression languages know nothing of this crate: see `sereno-ddbexpr`.

mod access;
mod backup;
mod backup_describe;
mod batch;
mod capacity;
mod convert;
mod create_rules;
mod describe;
mod errors;
mod export;
mod export_format;
mod export_record;
mod export_task;
mod expressions;
mod fill;
mod global_tables;
mod import;
mod import_format;
mod import_record;
mod import_source;
mod import_task;
mod insights;
mod ion;
mod item;
mod keys;
mod kinesis;
mod page;
mod partiql;
mod partiql_batch;
mod partiql_select;
mod past;
mod policy;
mod query;
mod query_rules;
mod replicas;
mod resource_properties;
mod resource_settings;
mod resources;
mod resources_global;
mod resources_translate;
mod restore;
mod scan;
mod selection;
mod settings;
mod state;
mod stream_convert;
mod streams;
mod table;
mod tables;
mod tags;
mod tally;
mod tasks;
mod throttle;
mod tokens;
mod transact;
mod transact_get;
mod transfer;
mod ttl;
mod undo;
mod update_item;
mod update_rules;
mod update_table;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_kernel::{Access, Ctx, Service};

use table::Engine;

/// `handler` with the engine as its first argument.
macro_rules! with {
    ($engine:ident, $handler:path) => {{
        let engine = Arc::clone(&$engine);
        move |ctx: Ctx, input| $handler(Arc::clone(&engine), ctx, input)
    }};
}

/// Access to the table that `table_name` names.
macro_rules! on_table {
    ($action:literal) => {
        |ctx: &Ctx, input: &_| access::table($action, ctx, &TableName::table_name(input))
    };
}

/// Inputs that name one table.
trait TableName {
    fn table_name(&self) -> String;
}

macro_rules! table_name {
    ($($input:ident)+) => {$(
        impl TableName for api::$input {
            fn table_name(&self) -> String {
                self.table_name.clone()
            }
        }
    )+};
}

table_name! {
    CreateTableInput UpdateTableInput DescribeTableInput DeleteTableInput DescribeTimeToLiveInput UpdateTimeToLiveInput
    DescribeContinuousBackupsInput UpdateContinuousBackupsInput DescribeContributorInsightsInput
    DescribeKinesisStreamingDestinationInput KinesisStreamingDestinationInput
    UpdateKinesisStreamingDestinationInput UpdateContributorInsightsInput
    CreateBackupInput DescribeTableReplicaAutoScalingInput
}

/// Data operations judge their access themselves, with the table's keys at hand.
fn self_judged<T>(_: &Ctx, _: &T) -> Access {
    Access::authenticated()
}

/// DynamoDB Streams: a service of its own on the wire, part of the same on AWS's bill.
pub fn streams_service() -> Service {
    streams::service()
}

pub fn service() -> Service {
    let engine = Arc::new(Engine::default());
    let service = Service::new(&api::SERVICE)
        .violations(errors::violations)
        .on::<api::GetItem>(self_judged, with!(engine, item::get))
        .on::<api::PutItem>(self_judged, with!(engine, item::put))
        .on::<api::UpdateItem>(self_judged, with!(engine, update_item::update))
        .on::<api::DeleteItem>(self_judged, with!(engine, item::delete))
        .on::<api::Query>(self_judged, with!(engine, query::query))
        .on::<api::Scan>(self_judged, with!(engine, scan::scan))
        .on::<api::BatchGetItem>(self_judged, with!(engine, batch::get))
        .on::<api::BatchWriteItem>(self_judged, with!(engine, batch::write))
        .on::<api::TransactWriteItems>(self_judged, with!(engine, transact::write))
        .on::<api::TransactGetItems>(self_judged, with!(engine, transact_get::get))
        .on::<api::ExecuteStatement>(self_judged, with!(engine, partiql::execute))
        .on::<api::BatchExecuteStatement>(self_judged, with!(engine, partiql_batch::batch))
        .on::<api::ExecuteTransaction>(self_judged, with!(engine, partiql_batch::transaction));
    let service = on_tables(service, &engine);
    let service = on_policies(service);
    let service = on_backups(service, &engine);
    let service = on_regions(service, &engine);
    let guard = Arc::clone(&engine);
    service
        .resource_policy(move |ctx, arn| policy::guard(Arc::clone(&guard), ctx, arn))
        .resource(resources::table(Arc::clone(&engine)))
        .resource(resources_global::global_table(Arc::clone(&engine)))
        .task(tasks::purge_task())
        .task(tasks::backfill_task(Arc::clone(&engine)))
        .task(tasks::expire_task(Arc::clone(&engine)))
        .task(tasks::tally_task(Arc::clone(&engine)))
        .task(tasks::trim_task())
        .task(ttl::fill_task(Arc::clone(&engine)))
        .task(backup::copy_task())
        .task(export_task::task())
        .task(backup::expire_task())
        .task(undo::task())
        .task(import_task::task(Arc::clone(&engine)))
        .task(restore::task(engine))
        .task(tokens::task())
}

fn on_tables(service: Service, engine: &Arc<Engine>) -> Service {
    service
        .on::<api::CreateTable>(on_table!("dynamodb:CreateTable"), tables::create)
        .on::<api::DescribeTable>(
            on_table!("dynamodb:DescribeTable"),
            with!(engine, tables::describe),
        )
        .on::<api::UpdateTable>(
            on_table!("dynamodb:UpdateTable"),
            with!(engine, update_table::update),
        )
        .on::<api::DeleteTable>(on_table!("dynamodb:DeleteTable"), with!(engine, tables::delete))
        .on::<api::ListTables>(|_, _| access::anything("dynamodb:ListTables"), tables::list)
        .on::<api::TagResource>(
            |_, input| access::tagged("dynamodb:TagResource", &input.resource_arn),
            tags::tag,
        )
        .on::<api::UntagResource>(
            |_, input| access::tagged("dynamodb:UntagResource", &input.resource_arn),
            tags::untag,
        )
        .on::<api::ListTagsOfResource>(
            |_, input| access::tagged("dynamodb:ListTagsOfResource", &input.resource_arn),
            with!(engine, tags::list),
        )
        .on::<api::DescribeTimeToLive>(
            on_table!("dynamodb:DescribeTimeToLive"),
            with!(engine, settings::describe_ttl),
        )
        .on::<api::UpdateTimeToLive>(on_table!("dynamodb:UpdateTimeToLive"), settings::update_ttl)
        .on::<api::DescribeContinuousBackups>(
            on_table!("dynamodb:DescribeContinuousBackups"),
            with!(engine, settings::describe_backups),
        )
        .on::<api::UpdateContinuousBackups>(
            on_table!("dynamodb:UpdateContinuousBackups"),
            settings::update_backups,
        )
        .on::<api::DescribeContributorInsights>(
            on_table!("dynamodb:DescribeContributorInsights"),
            with!(engine, insights::describe),
        )
        .on::<api::DescribeKinesisStreamingDestination>(
            on_table!("dynamodb:DescribeKinesisStreamingDestination"),
            with!(engine, kinesis::describe),
        )
        .on::<api::DescribeLimits>(
            |_, _| access::anything("dynamodb:DescribeLimits"),
            settings::limits,
        )
        .on::<api::DescribeEndpoints>(
            |_, _| access::anything("dynamodb:DescribeEndpoints"),
            settings::endpoints,
        )
}

fn on_policies(service: Service) -> Service {
    service
        .on::<api::PutResourcePolicy>(
            |_, input| Access::new("dynamodb:PutResourcePolicy", &*input.resource_arn),
            policy::put,
        )
        .on::<api::GetResourcePolicy>(
            |_, input| Access::new("dynamodb:GetResourcePolicy", &*input.resource_arn),
            policy::get,
        )
        .on::<api::DeleteResourcePolicy>(
            |_, input| Access::new("dynamodb:DeleteResourcePolicy", &*input.resource_arn),
            policy::delete,
        )
}

fn on_backups(service: Service, engine: &Arc<Engine>) -> Service {
    service
        .on::<api::CreateBackup>(on_table!("dynamodb:CreateBackup"), with!(engine, backup::create))
        .on::<api::DescribeBackup>(
            |_, input| Access::new("dynamodb:DescribeBackup", &*input.backup_arn),
            backup::describe,
        )
        .on::<api::DeleteBackup>(
            |_, input| Access::new("dynamodb:DeleteBackup", &*input.backup_arn),
            backup::delete,
        )
        .on::<api::ListBackups>(|_, _| access::anything("dynamodb:ListBackups"), backup::list)
        .on::<api::RestoreTableFromBackup>(access::restore_backup, restore::from_backup)
        .on::<api::RestoreTableToPointInTime>(
            access::restore_moment,
            with!(engine, restore::to_point_in_time),
        )
        .on::<api::ExportTableToPointInTime>(
            |_, input| Access::new("dynamodb:ExportTableToPointInTime", &*input.table_arn),
            with!(engine, export::export),
        )
        .on::<api::DescribeExport>(
            |_, input| Access::new("dynamodb:DescribeExport", &*input.export_arn),
            export::describe,
        )
        .on::<api::ListExports>(|_, _| access::anything("dynamodb:ListExports"), export::list)
        .on::<api::ImportTable>(access::import, import::import)
        .on::<api::DescribeImport>(
            |_, input| Access::new("dynamodb:DescribeImport", &*input.import_arn),
            import::describe,
        )
        .on::<api::ListImports>(|_, _| access::anything("dynamodb:ListImports"), import::list)
}

fn on_regions(service: Service, engine: &Arc<Engine>) -> Service {
    service
        .on::<api::UpdateContributorInsights>(
            on_table!("dynamodb:UpdateContributorInsights"),
            insights::update,
        )
        .on::<api::ListContributorInsights>(
            |_, _| access::anything("dynamodb:ListContributorInsights"),
            insights::list,
        )
        .on::<api::EnableKinesisStreamingDestination>(
            on_table!("dynamodb:EnableKinesisStreamingDestination"),
            with!(engine, kinesis::enable),
        )
        .on::<api::DisableKinesisStreamingDestination>(
            on_table!("dynamodb:DisableKinesisStreamingDestination"),
            with!(engine, kinesis::disable),
        )
        .on::<api::UpdateKinesisStreamingDestination>(
            on_table!("dynamodb:UpdateKinesisStreamingDestination"),
            with!(engine, kinesis::update),
        )
        .on::<api::CreateGlobalTable>(
            |ctx, input| {
                access::global("dynamodb:CreateGlobalTable", ctx, &input.global_table_name)
            },
            global_tables::create,
        )
        .on::<api::UpdateGlobalTable>(
            |ctx, input| {
                access::global("dynamodb:UpdateGlobalTable", ctx, &input.global_table_name)
            },
            global_tables::update,
        )
        .on::<api::DescribeGlobalTable>(
            |ctx, input| {
                access::global("dynamodb:DescribeGlobalTable", ctx, &input.global_table_name)
            },
            global_tables::describe,
        )
        .on::<api::ListGlobalTables>(
            |_, _| access::anything("dynamodb:ListGlobalTables"),
            global_tables::list,
        )
        .on::<api::DescribeTableReplicaAutoScaling>(
            on_table!("dynamodb:DescribeTableReplicaAutoScaling"),
            with!(engine, global_tables::describe_scaling),
        )
}
