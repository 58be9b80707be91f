//! Service-linked roles, from the table `linked.txt`: made for one service, changed by nobody else.

use serde_json::json;
use sereno_api_iam as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::ids::{self, Prefix};
use crate::rules::SESSION_S_DEFAULT;
use crate::state::{self, Entity, RoleRecord, Usage};
use crate::{errors, role};

struct Template<'t> {
    service: &'t str,
    role: &'t str,
    suffix_allowed: bool,
    policy: &'t str,
    description: Option<&'t str>,
}

fn template(service: &str) -> Option<Template<'static>> {
    let lines = include_str!("linked.txt").lines().filter(|l| !l.starts_with('#'));
    let mut templates = lines.filter_map(|line| {
        let mut words = line.splitn(4, ' ');
        let (service, role) = (words.next()?, words.next()?);
        Some(Template {
            service,
            role: role.trim_end_matches('*'),
            suffix_allowed: role.ends_with('*'),
            policy: words.next()?,
            description: words.next(),
        })
    });
    templates.find(|t| t.service == service)
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateServiceLinkedRoleInput,
) -> Result<api::CreateServiceLinkedRoleOutput> {
    let service = &input.aws_service_name;
    let Some(template) = template(service) else {
        return Err(errors::invalid_input(format!(
            "Cannot find Service Linked Role template for {service}"
        )));
    };
    let name = match &input.custom_suffix {
        None => template.role.to_owned(),
        Some(suffix) if template.suffix_allowed => format!("{}_{suffix}", template.role),
        Some(_) => {
            return Err(errors::invalid_input(format!(
                "Custom suffix is not allowed for {service}"
            )));
        }
    };
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    ]});
    let policy_arn = format!("arn:aws:iam::aws:policy/aws-service-role/{}", template.policy);
    let mut record = RoleRecord {
        name,
        path: format!("/aws-service-role/{service}/"),
        id: ids::unique_id(&ctx, Prefix::Role),
        created: ids::now(&ctx),
        trust: trust.to_string(),
        description: input.description.or(template.description.map(str::to_owned)),
        session_s_max: SESSION_S_DEFAULT,
        linked_to: Some(service.clone()),
        ..Default::default()
    };
    record.grants.attached.push(policy_arn.clone());
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        if state::ROLES.get(txn, scope, &state::key(&record.name)).await?.is_some() {
            // recorded: LocalStack test_service_role_already_exists
            return Err(errors::invalid_input(format!(
                "Service role name {} has been taken in this account, please try a different suffix.",
                record.name
            )));
        }
        state::note_attachment(txn, scope, &policy_arn, Usage::Permissions, &record, true);
        state::save(txn, scope, &record);
    })?;
    Ok(api::CreateServiceLinkedRoleOutput { role: Some(role::shown(&ctx, &record).await?) })
}

/// Nothing here uses a service-linked role, so it goes at once.
pub async fn delete(
    ctx: Ctx,
    input: api::DeleteServiceLinkedRoleInput,
) -> Result<api::DeleteServiceLinkedRoleOutput> {
    let scope = ctx.account_scope();
    let uuid = ctx.random_uuid();
    let task = transact!(ctx.store(), Error, |txn| {
        let role: RoleRecord = state::find(txn, scope, &input.role_name).await?;
        if role.linked_to().is_none() {
            return Err(errors::invalid_input(format!(
                "Role {} is not a service-linked role.",
                role.name
            )));
        }
        for arn in &role.grants.attached {
            state::note_attachment(txn, scope, arn, Usage::Permissions, &role, false);
        }
        let task = format!("task{}{}/{uuid}", role.path, role.name);
        state::ROLES.delete(txn, scope, &state::key(&role.name));
        state::DELETIONS.put(txn, scope, &task, &());
        state::touch(txn, scope);
        task
    })?;
    Ok(api::DeleteServiceLinkedRoleOutput { deletion_task_id: task })
}

pub async fn deletion_status(
    ctx: Ctx,
    input: api::GetServiceLinkedRoleDeletionStatusInput,
) -> Result<api::GetServiceLinkedRoleDeletionStatusOutput> {
    let task = &input.deletion_task_id;
    match state::DELETIONS.get(ctx.store(), ctx.account_scope(), task).await? {
        Some(()) => Ok(api::GetServiceLinkedRoleDeletionStatusOutput {
            status: api::DeletionTaskStatusType::Succeeded,
            reason: None,
        }),
        None => Err(errors::no_such(format!("Deletion id {task} was not found."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let batch = template("batch.amazonaws.com").unwrap();
        assert_eq!((batch.role, batch.suffix_allowed), ("AWSServiceRoleForBatch", false));
        assert_eq!(batch.policy, "BatchServiceRolePolicy");
        let scaling = template("autoscaling.amazonaws.com").unwrap();
        assert_eq!((scaling.role, scaling.suffix_allowed), ("AWSServiceRoleForAutoScaling", true));
        assert!(template("rds.amazonaws.com").unwrap().description.is_some());
        assert!(template("unheard.amazonaws.com").is_none());
    }
}
