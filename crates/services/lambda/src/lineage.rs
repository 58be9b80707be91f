//! Loops: a chain of invocations carries in its trace header how often each function was already part of it, and a
//! function that comes round for the seventeenth time is stopped.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
//!
//! The header's part is `Lineage=1:{hash}:{count}|{hash}:{count}`, the first run of a function counting 0.

use sereno_api_lambda as api;
use sereno_base::hex;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::transact;
use sha2::{Digest as _, Sha256};

use crate::names::{FunctionName, function_arn};
use crate::state::{HEADS, HeadRecord, head};

const RUNS_MAX: u32 = 16;
const HASH_BYTES: usize = 4;
const VERSION: &str = "1:";

/// The trace header of a new invocation of `name`: the caller's chain goes on, or a new one begins.
pub fn trace_id(ctx: &Ctx, name: &str) -> String {
    let mut random = [0; 20];
    ctx.fill_random(&mut random);
    let (root, parent) = random.split_at(12);
    let caller = ctx.origin().trace_id.as_str();
    let new_root = format!("1-{:08x}-{}", ctx.now().secs(), hex(root));
    let root = part(caller, "Root").unwrap_or(&new_root);
    let sampled = part(caller, "Sampled").unwrap_or("0");
    let lineage = next(part(caller, "Lineage").unwrap_or_default(), &hash(ctx, name));
    format!("Root={root};Parent={};Sampled={sampled};Lineage={VERSION}{lineage}", hex(parent))
}

fn part<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = header.split(';').filter_map(|part| part.split_once('='));
    parts.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// Of all versions together.
fn hash(ctx: &Ctx, name: &str) -> String {
    hex(&Sha256::digest(function_arn(ctx, name, None))[..HASH_BYTES])
}

fn runs(lineage: &str) -> impl Iterator<Item = (&str, u32)> {
    let runs = lineage.strip_prefix(VERSION).unwrap_or(lineage).split('|');
    runs.filter_map(|run| run.split_once(':')).filter_map(|(hash, n)| Some((hash, n.parse().ok()?)))
}

/// The chain with one more run of a function, without the version.
fn next(lineage: &str, hash: &str) -> String {
    let mut known = false;
    let mut chain: Vec<String> = runs(lineage)
        .map(|(other, count)| {
            let same = other == hash;
            known |= same;
            format!("{other}:{}", count.saturating_add(u32::from(same)))
        })
        .collect();
    if !known {
        chain.push(format!("{hash}:0"));
    }
    chain.join("|")
}

/// Whether an invocation with this header is one too many.
pub fn is_loop(trace_id: &str, ctx: &Ctx, head: &HeadRecord) -> bool {
    if head.recursion_allowed {
        return false;
    }
    let lineage = part(trace_id, "Lineage").unwrap_or_default();
    // Most headers name nobody: then nothing needs to be hashed.
    let suspicious = runs(lineage).any(|(_, count)| count >= RUNS_MAX);
    let hash = || hash(ctx, &head.name);
    suspicious && runs(lineage).any(|(other, count)| count >= RUNS_MAX && other == hash())
}

pub async fn put(
    ctx: Ctx,
    input: api::PutFunctionRecursionConfigInput,
) -> Result<api::PutFunctionRecursionConfigOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    transact!(ctx.store(), Error, |txn| {
        let mut head = head(&ctx, txn, &name.name).await?;
        head.recursion_allowed = input.recursive_loop == api::RecursiveLoop::Allow;
        HEADS.put(txn, ctx.scope(), name.name.as_str(), &head);
    })?;
    Ok(api::PutFunctionRecursionConfigOutput { recursive_loop: Some(input.recursive_loop) })
}

pub async fn get(
    ctx: Ctx,
    input: api::GetFunctionRecursionConfigInput,
) -> Result<api::GetFunctionRecursionConfigOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let head = head(&ctx, ctx.store(), &name.name).await?;
    let allowed = head.recursion_allowed;
    let setting = if allowed { api::RecursiveLoop::Allow } else { api::RecursiveLoop::Terminate };
    Ok(api::GetFunctionRecursionConfigOutput { recursive_loop: Some(setting) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_grow() {
        assert_eq!(next("", "a"), "a:0");
        assert_eq!(next("1:a:0", "a"), "a:1");
        assert_eq!(next("1:a:0|b:3", "b"), "a:0|b:4");
        assert_eq!(next("1:a:0", "b"), "a:0|b:0");
        assert_eq!(next("nonsense", "b"), "b:0");
        assert_eq!(part("Root=1-2; Lineage=1:a:7", "Lineage"), Some("1:a:7"));
    }
}
