//! Amazon CloudWatch Logs.
//!
//! A stream is a span of the store's map in the order of time; a page of it costs what it shows.
//! A batch of events is one commit: the events, the stream's new end, and what subscriptions owe.
//!
//! Invariants:
//! * no operation holds more than a page of events in memory, however large a group is;
//! * a group or stream that is deleted is out of sight at once: its number is gone with its record;
//! * an event that its group no longer keeps is never shown, whether or not its room has been freed;
//! * the filter language ([`pattern`]) knows nothing of the store.

mod access;
mod errors;
mod event;
mod filter;
mod group;
mod insights;
mod merge;
mod metric;
mod pattern;
mod policy;
mod query;
mod read;
mod resources;
mod rules;
mod state;
mod stream;
mod subscription;
mod tag;
mod tasks;
mod token;

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Service};

/// Access to the group that `log_group_name` names.
macro_rules! on_group {
    ($action:literal) => {
        |ctx: &Ctx, input| access::group($action, ctx, &input.log_group_name)
    };
}

/// Access to the group that a name or an identifier names.
macro_rules! on_identified {
    ($action:literal) => {
        |ctx: &Ctx, input| {
            let name = input.log_group_name.as_ref();
            access::identified($action, ctx, name, input.log_group_identifier.as_ref())
        }
    };
}

pub fn service() -> Service {
    let service = Service::new(&api::SERVICE).violations(errors::violations);
    let service = queries(tags(events(streams(groups(service)))));
    subscriptions(policies(service))
        .on::<api::TestMetricFilter>(|_, _| access::anything("logs:TestMetricFilter"), metric::test)
        .resource(resources::log_group())
        .resource(resources::log_stream())
        .resource(resources::subscription_filter())
        .resource(resources::resource_policy())
        .task(tasks::purge_task())
        .task(tasks::retain_task())
        .task(subscription::deliver_task())
}

fn groups(service: Service) -> Service {
    service
        .on::<api::CreateLogGroup>(access::create_group, group::create)
        .on::<api::DeleteLogGroup>(on_group!("logs:DeleteLogGroup"), group::delete)
        .on::<api::DescribeLogGroups>(
            |ctx, _| access::group("logs:DescribeLogGroups", ctx, ""),
            group::describe,
        )
        .on::<api::ListLogGroups>(
            |ctx, _| access::group("logs:ListLogGroups", ctx, ""),
            group::list,
        )
        .on::<api::PutRetentionPolicy>(on_group!("logs:PutRetentionPolicy"), group::put_retention)
        .on::<api::DeleteRetentionPolicy>(
            on_group!("logs:DeleteRetentionPolicy"),
            group::delete_retention,
        )
        .on::<api::PutLogGroupDeletionProtection>(
            |ctx, input| {
                let name = access::name_in(&input.log_group_identifier);
                access::group("logs:PutLogGroupDeletionProtection", ctx, &name)
            },
            group::protect,
        )
}

fn streams(service: Service) -> Service {
    service
        .on::<api::CreateLogStream>(on_group!("logs:CreateLogStream"), stream::create)
        .on::<api::DeleteLogStream>(
            |ctx, input| {
                let (group, stream) = (&input.log_group_name, &input.log_stream_name);
                access::stream("logs:DeleteLogStream", ctx, group, stream)
            },
            stream::delete,
        )
        .on::<api::DescribeLogStreams>(on_identified!("logs:DescribeLogStreams"), stream::describe)
}

fn events(service: Service) -> Service {
    service
        .on::<api::PutLogEvents>(
            |ctx, input| {
                let (group, stream) = (&input.log_group_name, &input.log_stream_name);
                access::stream("logs:PutLogEvents", ctx, group, stream)
            },
            event::put,
        )
        .on::<api::GetLogEvents>(access::get_events, read::get)
        .on::<api::FilterLogEvents>(access::filter_events, filter::filter)
}

fn tags(service: Service) -> Service {
    service
        .on::<api::TagResource>(
            |_, input| access::resource("logs:TagResource", &input.resource_arn),
            tag::tag,
        )
        .on::<api::UntagResource>(
            |_, input| access::resource("logs:UntagResource", &input.resource_arn),
            tag::untag,
        )
        .on::<api::ListTagsForResource>(
            |_, input| access::resource("logs:ListTagsForResource", &input.resource_arn),
            tag::list,
        )
        .on::<api::TagLogGroup>(on_group!("logs:TagLogGroup"), tag::tag_group)
        .on::<api::UntagLogGroup>(on_group!("logs:UntagLogGroup"), tag::untag_group)
        .on::<api::ListTagsLogGroup>(on_group!("logs:ListTagsLogGroup"), tag::list_group)
}

fn queries(service: Service) -> Service {
    service
        .on::<api::StartQuery>(access::start_query, query::start)
        .on::<api::StopQuery>(|_, _| access::anything("logs:StopQuery"), query::stop)
        .on::<api::GetQueryResults>(|_, _| access::anything("logs:GetQueryResults"), query::results)
        .on::<api::DescribeQueries>(
            |_, _| access::anything("logs:DescribeQueries"),
            query::describe,
        )
        .on::<api::GetLogRecord>(access::get_record, query::record)
        .task(query::run_task())
        .task(query::forget_task())
}

fn policies(service: Service) -> Service {
    service
        .on::<api::PutResourcePolicy>(
            |_, _| access::anything("logs:PutResourcePolicy"),
            policy::put,
        )
        .on::<api::DescribeResourcePolicies>(
            |_, _| access::anything("logs:DescribeResourcePolicies"),
            policy::describe,
        )
        .on::<api::DeleteResourcePolicy>(
            |_, _| access::anything("logs:DeleteResourcePolicy"),
            policy::delete,
        )
        .resource_policy(policy::guard)
}

fn subscriptions(service: Service) -> Service {
    service
        .on::<api::PutSubscriptionFilter>(
            on_group!("logs:PutSubscriptionFilter"),
            subscription::put,
        )
        .on::<api::DescribeSubscriptionFilters>(
            on_group!("logs:DescribeSubscriptionFilters"),
            subscription::describe,
        )
        .on::<api::DeleteSubscriptionFilter>(
            on_group!("logs:DeleteSubscriptionFilter"),
            subscription::delete,
        )
}
