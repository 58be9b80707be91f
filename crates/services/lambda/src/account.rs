//! What an account may use and uses.

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Result};

use crate::concurrency::{ACCOUNT_CONCURRENCY, reserved};
use crate::state::{FUNCTIONS, HEADS, LAYER_HEADS, LAYER_VERSIONS};

/// AWS's defaults: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const TOTAL_CODE_BYTES: i64 = 80_530_636_800;
const UNZIPPED_BYTES: i64 = 262_144_000;
const ZIPPED_BYTES: i64 = 52_428_800;

pub async fn settings(
    ctx: Ctx,
    _: api::GetAccountSettingsInput,
) -> Result<api::GetAccountSettingsOutput> {
    let heads = HEADS.list(ctx.scope(), ()).read(ctx.store()).await?;
    let mut code_bytes = 0;
    for (name, _) in &heads {
        for (_, version) in FUNCTIONS.list(ctx.scope(), (name.as_str(),)).read(ctx.store()).await? {
            code_bytes += i64::try_from(version.code.size_bytes).unwrap_or(0);
        }
    }
    for (name, _) in LAYER_HEADS.list(ctx.scope(), ()).read(ctx.store()).await? {
        let versions = LAYER_VERSIONS.list(ctx.scope(), (name.as_str(),)).read(ctx.store()).await?;
        let sizes = versions.iter().map(|(_, layer)| layer.code.size_bytes);
        code_bytes += i64::try_from(sizes.sum::<u64>()).unwrap_or(0);
    }
    let left = ACCOUNT_CONCURRENCY - reserved(&ctx, ctx.store(), "").await?;
    Ok(api::GetAccountSettingsOutput {
        account_limit: Some(api::AccountLimit {
            total_code_size: Some(TOTAL_CODE_BYTES),
            code_size_unzipped: Some(UNZIPPED_BYTES),
            code_size_zipped: Some(ZIPPED_BYTES),
            concurrent_executions: i32::try_from(ACCOUNT_CONCURRENCY).ok(),
            unreserved_concurrent_executions: i32::try_from(left).ok(),
        }),
        account_usage: Some(api::AccountUsage {
            total_code_size: Some(code_bytes),
            function_count: i64::try_from(heads.len()).ok(),
        }),
    })
}
