//! What an operation needs: actions and ARNs.
//! https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
//!
//! AWS judges an operation on a group by the ARN of a stream without a name; policies are written
//! with `:*` behind the group's, so that they hold for both.

use sereno_api_logs as api;
use sereno_base::Arn;
use sereno_kernel::{Access, Ctx};

use crate::query;

/// The ARN of a group.
pub fn group_arn(ctx: &Ctx, name: &str) -> String {
    ctx.arn("logs", &format!("log-group:{name}"))
}

pub fn stream_arn(ctx: &Ctx, group: &str, stream: &str) -> String {
    ctx.arn("logs", &format!("log-group:{group}:log-stream:{stream}"))
}

/// The name of the group that an ARN is about, whatever else it names.
pub fn group_of(arn: &str) -> Option<(Arn, String)> {
    let arn = Arn::parse(arn).filter(|arn| arn.service == "logs")?;
    let name = arn.resource.strip_prefix("log-group:")?.split(':').next()?.to_owned();
    Some((arn, name))
}

/// The name in an identifier: a name or an ARN.
pub fn name_in(identifier: &str) -> String {
    group_of(identifier).map_or_else(|| identifier.to_owned(), |(_, name)| name)
}

pub fn group(action: &'static str, ctx: &Ctx, name: &str) -> Access {
    Access::new(action, stream_arn(ctx, name, ""))
}

pub fn stream(action: &'static str, ctx: &Ctx, group: &str, stream: &str) -> Access {
    Access::new(action, stream_arn(ctx, group, stream))
}

/// An operation that takes a name or an identifier.
pub fn identified(
    action: &'static str,
    ctx: &Ctx,
    name: Option<&String>,
    identifier: Option<&String>,
) -> Access {
    let name = name.or(identifier).map_or_else(String::new, |text| name_in(text));
    group(action, ctx, &name)
}

pub fn resource(action: &'static str, arn: &str) -> Access {
    Access::new(action, arn)
}

pub fn anything(action: &'static str) -> Access {
    Access::new(action, "*")
}

pub fn create_group(ctx: &Ctx, input: &api::CreateLogGroupInput) -> Access {
    let access = group("logs:CreateLogGroup", ctx, &input.log_group_name);
    match &input.tags {
        Some(_) => access.and("logs:TagResource", group_arn(ctx, &input.log_group_name)),
        None => access,
    }
}

pub fn get_events(ctx: &Ctx, input: &api::GetLogEventsInput) -> Access {
    let name = input.log_group_name.as_ref().or(input.log_group_identifier.as_ref());
    let name = name.map_or_else(String::new, |text| name_in(text));
    let access = stream("logs:GetLogEvents", ctx, &name, &input.log_stream_name);
    unmasking(access, ctx, input.unmask, &name)
}

pub fn filter_events(ctx: &Ctx, input: &api::FilterLogEventsInput) -> Access {
    let name = input.log_group_name.as_ref().or(input.log_group_identifier.as_ref());
    let name = name.map_or_else(String::new, |text| name_in(text));
    let access = group("logs:FilterLogEvents", ctx, &name);
    unmasking(access, ctx, input.unmask, &name)
}

pub fn start_query(ctx: &Ctx, input: &api::StartQueryInput) -> Access {
    let mut names = query::groups(input).into_iter();
    let first = names.next().unwrap_or_default();
    let access = group("logs:StartQuery", ctx, &name_in(&first));
    names.fold(access, |access, name| {
        access.and("logs:StartQuery", stream_arn(ctx, &name_in(&name), ""))
    })
}

pub fn get_record(ctx: &Ctx, input: &api::GetLogRecordInput) -> Access {
    let name = query::group_of_pointer(&input.log_record_pointer).unwrap_or_default();
    unmasking(group("logs:GetLogRecord", ctx, &name), ctx, input.unmask, &name)
}

/// Seeing what data protection hides is a right of its own.
fn unmasking(access: Access, ctx: &Ctx, unmask: Option<bool>, group: &str) -> Access {
    if unmask == Some(true) {
        access.and("logs:Unmask", stream_arn(ctx, group, ""))
    } else {
        access
    }
}
