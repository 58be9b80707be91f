//! Forgetting client tokens of transactions when their ten minutes are over.

use std::time::Duration;

use sereno_base::{AccountId, Region, Timestamp};
use sereno_kernel::{Ctx, Outcome, Result, TaskKind};
use sereno_store::{Batch, Scope, Table};

use crate::state::{TOKENS, TtlTable};

/// By expiry: account, region, token. The value holds nothing.
pub const TOKEN_EXPIRY: Table<(Timestamp, AccountId, String, String), TtlTable> =
    Table::new("dynamodb", "token-expiry").partition(0);

pub fn remember(batch: &mut Batch, ctx: &Ctx, token: &str, expires: Timestamp) {
    let key = (expires, ctx.account(), ctx.region().as_str(), token);
    TOKEN_EXPIRY.put(batch, Scope::GLOBAL, &key, &TtlTable::default());
}

pub fn task() -> TaskKind {
    TaskKind::new("dynamodb.tokens", |ctx: Ctx, _| async move {
        while sweep(&ctx).await? {}
        Ok(Outcome::Done)
    })
    .every(Duration::from_secs(300))
}

/// Whether there may be more.
async fn sweep(ctx: &Ctx) -> Result<bool> {
    const PIECE: usize = 500;
    let due = TOKEN_EXPIRY.list(Scope::GLOBAL, ()).limit(PIECE).read(ctx.store()).await?;
    let now = ctx.now();
    let mut batch = Batch::new();
    let mut count = 0;
    for (key, _) in &due {
        let (expires, account, region, token) = key;
        if *expires > now {
            break;
        }
        count += 1;
        TOKEN_EXPIRY.delete(
            &mut batch,
            Scope::GLOBAL,
            &(*expires, *account, region.as_str(), token.as_str()),
        );
        let Some(region) = Region::parse(region) else { continue };
        let scope = Scope::new(*account, Some(region));
        let record = TOKENS.get(ctx.store(), scope, token.as_str()).await?;
        if record.is_some_and(|record| record.expires_ms <= now.millis()) {
            TOKENS.delete(&mut batch, scope, token.as_str());
        }
    }
    if count > 0 {
        ctx.store().commit(batch).await?;
    }
    Ok(count == PIECE)
}
