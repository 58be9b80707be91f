//! When a version's runtime is updated. There is one version of each runtime: the interpreter that this machine has.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html>

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;

use crate::configuration::runtime_version_arn;
use crate::errors;
use crate::names::{FunctionName, resolve};
use crate::state::{FUNCTIONS, FunctionRecord, version_key};

fn mode(record: &FunctionRecord) -> api::UpdateRuntimeOn {
    match record.update_runtime_on.as_str() {
        "" => api::UpdateRuntimeOn::Auto,
        other => other.into(),
    }
}

fn pinned(record: &FunctionRecord) -> Option<String> {
    (!record.runtime_version_arn.is_empty()).then(|| record.runtime_version_arn.clone())
}

pub async fn get(
    ctx: Ctx,
    input: api::GetRuntimeManagementConfigInput,
) -> Result<api::GetRuntimeManagementConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let found = resolve(&ctx, ctx.store(), &name, 1.0).await?;
    Ok(api::GetRuntimeManagementConfigOutput {
        update_runtime_on: Some(mode(&found.function)),
        function_arn: Some(found.arn),
        runtime_version_arn: pinned(&found.function),
    })
}

pub async fn put(
    ctx: Ctx,
    input: api::PutRuntimeManagementConfigInput,
) -> Result<api::PutRuntimeManagementConfigOutput> {
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let manual = input.update_runtime_on == api::UpdateRuntimeOn::Manual;
    if manual != input.runtime_version_arn.is_some() {
        return Err(errors::runtime_version_and_mode(manual));
    }
    let (arn, record) = transact!(ctx.store(), Error, |txn| {
        let found = resolve(&ctx, txn, &name, 1.0).await?;
        let mut record = found.function;
        record.runtime_version_arn.clear();
        if let Some(wanted) = &input.runtime_version_arn {
            // No other version can be run here.
            if *wanted != runtime_version_arn(&ctx, &record) {
                return Err(errors::runtime_version_missing(wanted));
            }
            record.runtime_version_arn.clone_from(wanted);
        }
        input.update_runtime_on.as_str().clone_into(&mut record.update_runtime_on);
        let key = version_key(&record.version);
        FUNCTIONS.put(txn, ctx.scope(), &(record.name.as_str(), key.as_str()), &record);
        (found.arn, record)
    })?;
    Ok(api::PutRuntimeManagementConfigOutput {
        update_runtime_on: mode(&record),
        function_arn: arn,
        runtime_version_arn: pinned(&record),
    })
}
