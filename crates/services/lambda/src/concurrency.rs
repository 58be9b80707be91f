//! Reserved concurrency: how many invocations of a function may run at once, taken from the account's share.

use sereno_api_lambda as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Read, Txn, transact};

use crate::names::{FunctionName, LATEST};
use crate::state::{HEADS, HeadRecord, NO_RESERVATION, RESERVED, ReservedRecord, head};
use crate::{errors, provisioned};

/// AWS's default limit of an account and region.
pub const ACCOUNT_CONCURRENCY: i64 = 1000;
/// What must be left for functions without a reservation.
pub const UNRESERVED_MIN: i64 = 100;

const TOTAL: &str = "all";

/// The sum of all reservations but that of `except`.
pub async fn reserved<R: Read + ?Sized>(ctx: &Ctx, read: &R, except: &str) -> Result<i64> {
    let heads = HEADS.list(ctx.scope(), ()).read(read).await?;
    let others = heads.iter().filter(|(name, _)| name != except);
    Ok(others.map(|(_, head)| head.reserved_concurrency.max(0)).sum())
}

pub async fn put(
    ctx: Ctx,
    input: api::PutFunctionConcurrencyInput,
) -> Result<api::PutFunctionConcurrencyOutput> {
    let wanted = i64::from(input.reserved_concurrent_executions);
    set(&ctx, &input.function_name, wanted).await?;
    Ok(api::PutFunctionConcurrencyOutput {
        reserved_concurrent_executions: Some(input.reserved_concurrent_executions),
    })
}

async fn set(ctx: &Ctx, name: &str, wanted: i64) -> Result<()> {
    let name = FunctionName::parse(name).unqualified()?;
    let ctx = name.place(ctx)?;
    let name = name.name.as_str();
    transact!(ctx.store(), Error, |txn| {
        let found = HEADS.get(txn, ctx.scope(), name).await?;
        let missing = || errors::function_not_found(&ctx, name, Some(LATEST));
        let mut head = found.ok_or_else(missing)?;
        if wanted != NO_RESERVATION {
            let kept = provisioned::of_function(&ctx, txn, name).await?;
            let kept = kept.iter().map(|record| i64::from(record.requested)).sum();
            if wanted < kept {
                return Err(errors::reserved_below_provisioned(wanted, kept));
            }
        }
        if wanted > 0 {
            let left = ACCOUNT_CONCURRENCY - reserved(&ctx, txn, name).await? - wanted;
            if left < UNRESERVED_MIN {
                return Err(errors::unreserved_concurrency_too_low(UNRESERVED_MIN));
            }
        }
        head.reserved_concurrency = wanted;
        HEADS.put(txn, ctx.scope(), name, &head);
        sum_up(&ctx, txn).await?;
    })
}

/// How many invocations of this version may run at once by the function's reservation; `None`: it has none. Nothing is
/// left for other versions where instances kept ready take up all of it.
/// Recorded: test_lambda.py::TestLambdaConcurrency::test_lambda_concurrency_block
pub async fn limit(ctx: &Ctx, head: &HeadRecord, version: &str) -> Result<Option<u32>> {
    let Ok(reserved) = u32::try_from(head.reserved_concurrency) else { return Ok(None) };
    let kept = provisioned::of_function(ctx, ctx.store(), &head.name).await?;
    let total: u32 = kept.iter().map(|record| record.requested).sum();
    let own = kept.iter().any(|record| record.version == version);
    Ok(Some(if total >= reserved && !own { 0 } else { reserved }))
}

/// Keeps the sum of all reservations, after one of them has changed.
pub async fn sum_up(ctx: &Ctx, txn: &mut Txn) -> Result<()> {
    let total = reserved(ctx, txn, "").await?;
    RESERVED.put(txn, ctx.scope(), TOTAL, &ReservedRecord { total });
    Ok(())
}

/// How many invocations of functions without a reservation may run at once.
pub async fn unreserved(ctx: &Ctx) -> Result<i64> {
    let sum = RESERVED.get(ctx.store(), ctx.scope(), TOTAL).await?.unwrap_or_default();
    Ok(ACCOUNT_CONCURRENCY - sum.total)
}

pub async fn get(
    ctx: Ctx,
    input: api::GetFunctionConcurrencyInput,
) -> Result<api::GetFunctionConcurrencyOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let head = head(&ctx, ctx.store(), &name.name).await?;
    let reserved = i32::try_from(head.reserved_concurrency).ok().filter(|number| *number >= 0);
    Ok(api::GetFunctionConcurrencyOutput { reserved_concurrent_executions: reserved })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteFunctionConcurrencyInput,
) -> Result<api::DeleteFunctionConcurrencyOutput> {
    set(&ctx, &input.function_name, NO_RESERVATION).await?;
    Ok(api::DeleteFunctionConcurrencyOutput::default())
}
