//! Options that several requests have in common.

use sereno_api_cloudformation as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Result};
use sereno_template::parameters::Given;

use crate::errors;
use crate::policy;
use crate::source;
use crate::state::TagRecord;

const NAME_CHARACTERS_MAX: usize = 128;
const TAGS_MAX: usize = 50;

/// Refuses names that AWS refuses (recorded: test_stack_name_creation).
pub fn check_name(name: &str) -> Result<()> {
    let constraint = |what: &str| {
        errors::validation(format!(
            "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: {what}"
        ))
    };
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|c| c.is_ascii_alphabetic());
    if !begins || !characters.all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(constraint(
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*",
        ));
    }
    if name.len() > NAME_CHARACTERS_MAX {
        return Err(constraint("Member must have length less than or equal to 128"));
    }
    Ok(())
}

pub fn given(parameters: Option<Vec<api::Parameter>>) -> Vec<(String, Given)> {
    let one = |it: api::Parameter| {
        let key = it.parameter_key?;
        match (it.use_previous_value, it.parameter_value) {
            (Some(true), _) => Some((key, Given::Previous)),
            (_, Some(value)) => Some((key, Given::Value(value))),
            // A key alone leaves the default.
            (_, None) => None,
        }
    };
    parameters.into_iter().flatten().filter_map(one).collect()
}

pub fn tags(tags: Option<Vec<api::Tag>>) -> Result<Option<Vec<TagRecord>>> {
    let Some(tags) = tags else { return Ok(None) };
    if tags.len() > TAGS_MAX {
        return Err(errors::validation("Tag count exceeds the limit of 50."));
    }
    if let Some(tag) = tags.iter().find(|tag| tag.key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(errors::validation(format!(
            "aws: prefixed tag key names are not allowed for external use. ({})",
            tag.key
        )));
    }
    let record = |tag: api::Tag| TagRecord { key: tag.key, value: tag.value };
    Ok(Some(tags.into_iter().map(record).collect()))
}

pub fn capabilities(capabilities: Option<Vec<api::Capability>>) -> Vec<String> {
    capabilities.into_iter().flatten().map(|it| it.as_str().to_owned()).collect()
}

/// Refuses what needs services that are not there.
pub fn refuse_config(
    notifications: Option<&Vec<String>>,
    rollback: Option<&api::RollbackConfiguration>,
    deployment: Option<&api::DeploymentConfig>,
) -> Result<()> {
    if notifications.is_some_and(|arns| !arns.is_empty()) {
        return Err(errors::unsupported("NotificationARNs"));
    }
    if deployment.is_some() {
        return Err(errors::unsupported("DeploymentConfig"));
    }
    let Some(rollback) = rollback else { return Ok(()) };
    if let Some(trigger) = rollback.rollback_triggers.iter().flatten().next() {
        // recorded: test_update_with_invalid_rollback_configuration_errors
        let alarms = ["AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"];
        if !alarms.contains(&trigger.r#type.as_str()) {
            return Err(errors::validation("Rollback Trigger Type not supported"));
        }
        let alarm = Arn::parse(&trigger.arn).filter(|arn| arn.resource.starts_with("alarm:"));
        if alarm.is_none() {
            return Err(errors::validation("RelativeId of a Rollback Trigger's ARN is incorrect"));
        }
        return Err(errors::unsupported("RollbackConfiguration"));
    }
    if rollback.monitoring_time_in_minutes.is_some_and(|minutes| minutes > 0) {
        return Err(errors::unsupported("RollbackConfiguration"));
    }
    Ok(())
}

/// Whether the role can be assumed by CloudFormation; the right to pass it was judged before.
pub async fn pass_role(ctx: &Ctx, role: Option<&str>) -> Result<()> {
    let Some(role) = role else { return Ok(()) };
    if Arn::parse(role).and_then(|arn| arn.account_id()) != Some(ctx.account()) {
        return Err(errors::validation("Cross-account pass role is not allowed."));
    }
    match ctx.as_role(role, "AWSCloudFormation", "cloudformation.amazonaws.com").await {
        Ok(_) => Ok(()),
        Err(error) if error.is_transient() => Err(error),
        Err(_) => Err(errors::bad_role(role)),
    }
}

/// A stack policy from a request that gives it in one of two ways.
pub async fn policy_text(
    ctx: &Ctx,
    body: Option<String>,
    url: Option<String>,
) -> Result<Option<String>> {
    let text = match (body, url) {
        (None, None) => return Ok(None),
        // recorded: test_set_policy_both_policy_and_url
        (Some(_), Some(_)) => {
            return Err(errors::validation(
                "You cannot specify both StackPolicyURL and StackPolicyBody",
            ));
        }
        (Some(body), None) => body,
        (None, Some(url)) => source::read(ctx, &source::location(ctx, &url)?).await?,
    };
    policy::validate(&text)?;
    Ok(Some(text))
}
