//! Listings of entities by path, and the upkeep of the attachments' mirror.

use sereno_base::base64_encode;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Scope, Write};

use crate::rules::{Cut, Page};
use crate::state::{self, Bounded, Entity, Usage};

/// How many records one read brings.
const CHUNK: usize = 250;

/// One page of entities whose path begins with `prefix`, in the order of their names.
pub async fn by_path<E: Entity>(ctx: &Ctx, page: &Page, prefix: Option<&str>) -> Result<Cut<E>> {
    let mut cut = Cut { items: Vec::new(), marker: None };
    let mut after = page.after.clone();
    loop {
        let mut listing = E::TABLE.list(ctx.account_scope(), ()).limit(CHUNK);
        if let Some(after) = &after {
            listing = listing.after(after);
        }
        let chunk = listing.read(ctx.store()).await?;
        let whole = chunk.len() == CHUNK;
        for (key, entity) in chunk {
            after = Some(key);
            if prefix.is_some_and(|p| !entity.path().starts_with(p)) {
                continue;
            }
            if cut.items.len() == page.max {
                let last = cut.items.last().map(|e: &E| state::key(e.name()));
                cut.marker = last.map(|k| base64_encode(k.as_bytes()));
                return Ok(cut);
            }
            cut.items.push(entity);
        }
        if !whole {
            return Ok(cut);
        }
    }
}

/// An entity got another name or path: what policies know of it follows.
pub fn move_attachments<E: Entity, W: Write + ?Sized>(
    write: &mut W,
    scope: Scope,
    old: &E,
    new: &E,
) {
    for arn in &old.grants().attached {
        state::note_attachment(write, scope, arn, Usage::Permissions, old, false);
        state::note_attachment(write, scope, arn, Usage::Permissions, new, true);
    }
}

/// The same for the boundary.
pub fn move_boundary<E: Bounded, W: Write + ?Sized>(
    write: &mut W,
    scope: Scope,
    old: &mut E,
    new: &E,
) {
    if let Some(arn) = old.boundary_mut().clone() {
        state::note_attachment(write, scope, &arn, Usage::Boundary, old, false);
        state::note_attachment(write, scope, &arn, Usage::Boundary, new, true);
    }
}
