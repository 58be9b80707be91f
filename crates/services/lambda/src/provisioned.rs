//! Provisioned concurrency: instances of a version that are kept ready.
//! <https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html>
//!
//! Invariant: what is configured is a task that asks the sandbox again and again, so instances come back after a restart.

use std::time::Duration;

use bytes::Bytes;
use sereno_api_lambda as api;
use sereno_kernel::task::{self, Outcome, Task};
use sereno_kernel::{Ctx, Error, Kind, Result, TaskKind};
use sereno_store::{Read, Record, Txn, record, transact};

use crate::concurrency::{ACCOUNT_CONCURRENCY, UNRESERVED_MIN, reserved};
use crate::configuration::last_modified;
use crate::names::{FunctionName, LATEST, function_arn, is_version, resolve};
use crate::state::{ALIASES, FUNCTIONS, PROVISIONED, ProvisionedRecord, head};
use crate::{errors, invoke};

const TASK: &str = "lambda.provision";
/// How often it is looked after the instances.
const TEND: Duration = Duration::from_secs(60);
const PAGE_MAX: i32 = 50;
const IN_PROGRESS: &str = "IN_PROGRESS";
const READY: &str = "READY";
const FAILED: &str = "FAILED";
/// Recorded: test_lambda.py::TestLambdaConcurrency::test_provisioned_concurrency_init_failure
const INIT_FAILURE: &str = "FUNCTION_ERROR_INIT_FAILURE";

pub fn task_kind() -> TaskKind {
    TaskKind::new(TASK, tend)
}

fn key(name: &FunctionName) -> (&str, &str) {
    (&name.name, name.qualifier.as_deref().unwrap_or_default())
}

/// The version or alias must be there; `$LATEST` is neither.
async fn check<R: Read + ?Sized>(ctx: &Ctx, read: &R, name: &FunctionName) -> Result<()> {
    let qualifier = name.qualifier.as_deref().unwrap_or(LATEST);
    if qualifier == LATEST {
        return Err(errors::neither_alias_nor_version());
    }
    if !is_version(qualifier) {
        let alias = ALIASES.get(read, ctx.scope(), &(name.name.as_str(), qualifier)).await?;
        let missing = || errors::alias_not_found(ctx, &name.name, qualifier);
        return alias.map(drop).ok_or_else(missing);
    }
    resolve(ctx, read, name, 1.0).await.map(drop)
}

pub async fn put(
    ctx: Ctx,
    input: api::PutProvisionedConcurrencyConfigInput,
) -> Result<api::PutProvisionedConcurrencyConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, Some(&input.qualifier))?;
    let ctx = name.place(&ctx)?;
    if input.qualifier == LATEST {
        return Err(errors::provisioned_unpublished());
    }
    let requested = u32::try_from(input.provisioned_concurrent_executions).unwrap_or_default();
    let now = ctx.now();
    let record = ProvisionedRecord {
        requested,
        status: IN_PROGRESS.to_owned(),
        modified_ms: now.millis(),
        ..Default::default()
    };
    transact!(ctx.store(), Error, |txn| {
        check(&ctx, txn, &name).await?;
        check_limits(&ctx, txn, &name, requested).await?;
        check_overlap(&ctx, txn, &name).await?;
        PROVISIONED.put(txn, ctx.scope(), &key(&name), &record);
        let work = TendRecord {
            function: name.name.clone(),
            qualifier: input.qualifier.clone(),
            modified_ms: record.modified_ms,
        };
        task::schedule(&ctx, txn, TASK, now, work.to_bytes());
    })?;
    Ok(api::PutProvisionedConcurrencyConfigOutput {
        requested_provisioned_concurrent_executions: Some(input.provisioned_concurrent_executions),
        allocated_provisioned_concurrent_executions: Some(0),
        available_provisioned_concurrent_executions: Some(0),
        status: Some(IN_PROGRESS.into()),
        status_reason: None,
        last_modified: Some(last_modified(record.modified_ms)),
    })
}

record! {
    /// What is looked after. A later configuration has its own task, so an earlier one's ends.
    struct TendRecord {
        1 => function: String,
        2 => qualifier: String,
        3 => modified_ms: i64,
    }
}

/// Recorded: test_lambda_api.py::TestLambdaProvisionedConcurrency::test_provisioned_concurrency_limits
async fn check_limits(ctx: &Ctx, txn: &Txn, name: &FunctionName, wanted: u32) -> Result<()> {
    let function = name.name.as_str();
    let own = head(ctx, txn, function).await?.reserved_concurrency;
    let mut others = 0;
    for ((_, qualifier), record) in PROVISIONED.list(ctx.scope(), (function,)).read(txn).await? {
        if Some(qualifier.as_str()) != name.qualifier.as_deref() {
            others += i64::from(record.requested);
        }
    }
    let wanted = i64::from(wanted);
    if own >= 0 {
        // It comes out of the function's own reservation.
        let fits = others + wanted <= own;
        return if fits { Ok(()) } else { Err(errors::provisioned_over_reserved()) };
    }
    let unreserved = ACCOUNT_CONCURRENCY - reserved(ctx, txn, "").await? - others;
    if wanted > unreserved {
        return Err(errors::provisioned_over_account(unreserved));
    }
    if unreserved - wanted < UNRESERVED_MIN {
        return Err(errors::provisioned_below_minimum(UNRESERVED_MIN));
    }
    Ok(())
}

/// What is configured for a function, and for which of its versions instances were asked for.
pub async fn of_function<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    function: &str,
) -> Result<Vec<ProvisionedRecord>> {
    let found = PROVISIONED.list(ctx.scope(), (function,)).read(read).await?;
    Ok(found.into_iter().map(|(_, record)| record).collect())
}

/// A version is provisioned by itself or by one alias, not by both.
/// Recorded: test_lambda_api.py::TestLambdaProvisionedConcurrency::test_lambda_provisioned_lifecycle
async fn check_overlap(ctx: &Ctx, txn: &Txn, name: &FunctionName) -> Result<()> {
    let (function, qualifier) = key(name);
    let provisioned = PROVISIONED.list(ctx.scope(), (function,)).read(txn).await?;
    let has = |wanted: &str| provisioned.iter().any(|((_, other), _)| other == wanted);
    let aliases = ALIASES.list(ctx.scope(), (function,)).read(txn).await?;
    for (_, alias) in aliases {
        if alias.name == qualifier && has(&alias.version) {
            return Err(errors::provisioned_version_already());
        }
        if alias.version == qualifier && has(&alias.name) {
            return Err(errors::provisioned_by_alias());
        }
    }
    Ok(())
}

/// Has the sandbox keep what is configured, and says how far it is.
async fn tend(ctx: Ctx, task: Task) -> Result<Outcome> {
    let work = TendRecord::decode(&task.payload)?;
    let key = (work.function.as_str(), work.qualifier.as_str());
    let found = PROVISIONED.get(ctx.store(), ctx.scope(), &key).await?;
    let Some(mut record) = found.filter(|record| record.modified_ms == work.modified_ms) else {
        return Ok(Outcome::Done);
    };
    let name = FunctionName {
        name: work.function.clone(),
        qualifier: Some(work.qualifier.clone()),
        account: None,
        region: None,
    };
    let target = match resolve(&ctx, ctx.store(), &name, 1.0).await {
        Ok(target) => target.function,
        Err(error) if error.kind() == Kind::NotFound => return Ok(Outcome::Done),
        Err(error) => return Err(error),
    };
    if !record.build.is_empty() && record.build != target.build() {
        // The alias has gone on to another version.
        release(&ctx, &work.function, &record).await;
    }
    let id = invoke::function_id(&ctx, &target);
    let before = record.clone();
    record.version.clone_from(&target.version);
    target.build().clone_into(&mut record.build);
    let kept = ctx.sandbox()?.provision(id, record.requested, invoke::spec_maker(&ctx, &target));
    match kept.await {
        Ok(ready) => {
            record.ready = ready;
            // All were tried: what is missing did not come up.
            let all = ready >= record.requested;
            (if all { READY } else { FAILED }).clone_into(&mut record.status);
            (if all { "" } else { INIT_FAILURE }).clone_into(&mut record.status_reason);
        }
        Err(failure) => {
            record.ready = 0;
            FAILED.clone_into(&mut record.status);
            let why = errors::cannot_invoke(&target.runtime, failure);
            why.message().clone_into(&mut record.status_reason);
        }
    }
    if record != before {
        save(&ctx, &work, &record).await?;
    }
    Ok(Outcome::Again { at: ctx.now().plus(TEND), payload: None::<Bytes> })
}

/// Unless it was changed or deleted meanwhile.
async fn save(ctx: &Ctx, work: &TendRecord, record: &ProvisionedRecord) -> Result<()> {
    let key = (work.function.as_str(), work.qualifier.as_str());
    transact!(ctx.store(), Error, |txn| {
        let now = PROVISIONED.get(txn, ctx.scope(), &key).await?;
        if now.is_some_and(|now| now.modified_ms == work.modified_ms) {
            PROVISIONED.put(txn, ctx.scope(), &key, record);
        }
    })
}

/// Ends what the sandbox keeps for a configuration.
async fn release(ctx: &Ctx, function: &str, record: &ProvisionedRecord) {
    let Ok(sandbox) = ctx.sandbox() else { return };
    let key = (function.to_owned(), crate::state::version_key(&record.version));
    let found = FUNCTIONS.get(ctx.store(), ctx.scope(), &(key.0.as_str(), key.1.as_str())).await;
    if let Ok(Some(target)) = found {
        let id = invoke::function_id(ctx, &target);
        // Nothing is kept if it fails, which is what is wanted.
        drop(sandbox.provision(id, 0, invoke::spec_maker(ctx, &target)).await);
    }
}

pub async fn get(
    ctx: Ctx,
    input: api::GetProvisionedConcurrencyConfigInput,
) -> Result<api::GetProvisionedConcurrencyConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, Some(&input.qualifier))?;
    let ctx = name.place(&ctx)?;
    check(&ctx, ctx.store(), &name).await?;
    let found = PROVISIONED.get(ctx.store(), ctx.scope(), &key(&name)).await?;
    let shown = describe(&ctx, &name, &found.ok_or_else(errors::provisioned_config_missing)?);
    Ok(api::GetProvisionedConcurrencyConfigOutput {
        requested_provisioned_concurrent_executions: shown
            .requested_provisioned_concurrent_executions,
        available_provisioned_concurrent_executions: shown
            .available_provisioned_concurrent_executions,
        allocated_provisioned_concurrent_executions: shown
            .allocated_provisioned_concurrent_executions,
        status: shown.status,
        status_reason: shown.status_reason,
        last_modified: shown.last_modified,
    })
}

fn describe(
    ctx: &Ctx,
    name: &FunctionName,
    record: &ProvisionedRecord,
) -> api::ProvisionedConcurrencyConfigListItem {
    let number = |value: u32| i32::try_from(value).ok();
    api::ProvisionedConcurrencyConfigListItem {
        function_arn: Some(function_arn(ctx, &name.name, name.qualifier.as_deref())),
        requested_provisioned_concurrent_executions: number(record.requested),
        available_provisioned_concurrent_executions: number(record.ready),
        allocated_provisioned_concurrent_executions: number(record.ready),
        status: Some(record.status.as_str().into()),
        status_reason: (!record.status_reason.is_empty()).then(|| record.status_reason.clone()),
        last_modified: Some(last_modified(record.modified_ms)),
    }
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteProvisionedConcurrencyConfigInput,
) -> Result<api::DeleteProvisionedConcurrencyConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, Some(&input.qualifier))?;
    let ctx = name.place(&ctx)?;
    let record = transact!(ctx.store(), Error, |txn| {
        check(&ctx, txn, &name).await?;
        let found = PROVISIONED.get(txn, ctx.scope(), &key(&name)).await?;
        PROVISIONED.delete(txn, ctx.scope(), &key(&name));
        found
    })?;
    if let Some(record) = record {
        release(&ctx, &name.name, &record).await;
    }
    Ok(api::DeleteProvisionedConcurrencyConfigOutput::default())
}

pub async fn list(
    ctx: Ctx,
    input: api::ListProvisionedConcurrencyConfigsInput,
) -> Result<api::ListProvisionedConcurrencyConfigsOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    head(&ctx, ctx.store(), &name.name).await?;
    let limit =
        usize::try_from(input.max_items.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)).unwrap_or(1);
    let mut listing = PROVISIONED.list(ctx.scope(), (name.name.as_str(),)).limit(limit + 1);
    if let Some(marker) = &input.marker {
        listing = listing.after(&(name.name.as_str(), marker.as_str()));
    }
    let mut found = listing.read(ctx.store()).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let shown = found.iter().map(|((function, qualifier), record)| {
        let name = FunctionName {
            name: function.clone(),
            qualifier: Some(qualifier.clone()),
            account: None,
            region: None,
        };
        describe(&ctx, &name, record)
    });
    Ok(api::ListProvisionedConcurrencyConfigsOutput {
        provisioned_concurrency_configs: Some(shown.collect()),
        next_marker: found.last().filter(|_| more).map(|((_, qualifier), _)| qualifier.clone()),
    })
}
