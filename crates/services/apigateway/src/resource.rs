//! Resources: the tree of paths of an API.

use std::collections::BTreeSet;

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Read, Txn, transact};

use crate::errors::{self, bad_request};
use crate::patch::{self, Patch};
use crate::state::{RESOURCES, ResourceRecord};
use crate::{document, ids, page, rest_api, rules, shapes};

const UPDATABLE: [&str; 2] = ["/parentId", "/pathPart"];

/// An API that does not exist has no resources: AWS says so, whatever is asked below it.
pub async fn load<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    api_id: &str,
    resource_id: &str,
) -> Result<ResourceRecord> {
    let found = RESOURCES.get(read, ctx.scope(), &(api_id, resource_id)).await?;
    found.ok_or_else(errors::resource)
}

pub fn put(ctx: &Ctx, txn: &mut Txn, api_id: &str, record: &ResourceRecord) {
    RESOURCES.put(txn, ctx.scope(), &(api_id, record.id.as_str()), record);
}

async fn all<R: Read + ?Sized>(ctx: &Ctx, read: &R, api_id: &str) -> Result<Vec<ResourceRecord>> {
    let all = RESOURCES.list(ctx.scope(), (api_id,)).read(read).await?;
    let mut all: Vec<ResourceRecord> = all.into_iter().map(|(_, record)| record).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateResourceInput,
) -> Result<api::CreateResourceOutput> {
    let api_id = input.rest_api_id.as_str();
    let id = ids::short(&ctx);
    let record: ResourceRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let all = all(&ctx, txn, api_id).await?;
        let parent = all.iter().find(|r| r.id == input.parent_id);
        let parent = parent.ok_or_else(errors::resource)?;
        let siblings = all.iter().filter(|r| r.parent_id.as_deref() == Some(parent.id.as_str()));
        rules::place(&input.path_part, parent, siblings)?;
        if all.len() >= document::RESOURCES_MAX {
            return Err(errors::limit_exceeded(
                "Maximum number of resources for this API has been reached. Please contact AWS if you need additional resources.",
            ));
        }
        let record = ResourceRecord {
            id: id.clone(),
            parent_id: Some(parent.id.clone()),
            path: format!("{}/{}", parent.path.trim_end_matches('/'), input.path_part),
            path_part: Some(input.path_part.clone()),
            ..ResourceRecord::default()
        };
        put(&ctx, txn, api_id, &record);
        record
    })?;
    Ok(shapes::resource(record, false))
}

fn embeds_methods(embed: Option<&[String]>) -> bool {
    embed.unwrap_or_default().iter().any(|part| part == "methods")
}

pub async fn get(ctx: Ctx, input: api::GetResourceInput) -> Result<api::GetResourceOutput> {
    let record = load(&ctx, ctx.store(), &input.rest_api_id, &input.resource_id).await?;
    Ok(shapes::resource(record, embeds_methods(input.embed.as_deref())))
}

pub async fn list(ctx: Ctx, input: api::GetResourcesInput) -> Result<api::GetResourcesOutput> {
    rest_api::load(&ctx, &input.rest_api_id).await?;
    let all = all(&ctx, ctx.store(), &input.rest_api_id).await?;
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let methods = embeds_methods(input.embed.as_deref());
    let items = page.items.into_iter().map(|record| shapes::resource(record, methods)).collect();
    Ok(api::GetResourcesOutput { position: page.position, items: Some(items) })
}

/// Ids of a resource and everything below it.
fn below(all: &[ResourceRecord], id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([id.to_owned()]);
    loop {
        let before = found.len();
        for resource in all {
            if resource.parent_id.as_ref().is_some_and(|parent| found.contains(parent)) {
                found.insert(resource.id.clone());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteResourceInput,
) -> Result<api::DeleteResourceOutput> {
    let (api_id, id) = (input.rest_api_id.as_str(), input.resource_id.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let record = load(&ctx, txn, api_id, id).await?;
        if record.parent_id.is_none() {
            return Err(bad_request("Root resource cannot be deleted."));
        }
        let all = all(&ctx, txn, api_id).await?;
        for id in below(&all, id) {
            RESOURCES.delete(txn, ctx.scope(), &(api_id, id.as_str()));
        }
        api::DeleteResourceOutput::default()
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateResourceInput,
) -> Result<api::UpdateResourceOutput> {
    let patches = patch::read(input.patch_operations)?;
    let (api_id, id) = (input.rest_api_id.as_str(), input.resource_id.as_str());
    let record: ResourceRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let mut all = all(&ctx, txn, api_id).await?;
        for patch in &patches {
            move_to(&mut all, id, patch)?;
        }
        document::repath(&mut all);
        let below = below(&all, id);
        for record in all.iter().filter(|record| below.contains(&record.id)) {
            put(&ctx, txn, api_id, record);
        }
        all.into_iter().find(|record| record.id == id).ok_or_else(errors::resource)?
    })?;
    Ok(shapes::resource(record, false))
}

/// Recorded: `test_update_resource_behaviour`, `test_update_resource_on_root`.
fn move_to(all: &mut [ResourceRecord], id: &str, patch: &Patch) -> Result<()> {
    let at = all.iter().position(|record| record.id == id).ok_or_else(errors::resource)?;
    patch.replace_one_of(&UPDATABLE)?;
    let name = patch.path.trim_start_matches('/');
    if all[at].parent_id.is_none() {
        return Err(bad_request(format!("Root resource cannot update its {name}.")));
    }
    let moves = name == "parentId";
    let (parent_id, part) = if moves {
        (patch.text().to_owned(), all[at].path_part.clone().unwrap_or_default())
    } else {
        (all[at].parent_id.clone().unwrap_or_default(), patch.text().to_owned())
    };
    let parent = all.iter().find(|record| record.id == parent_id).ok_or_else(errors::resource)?;
    if moves && below(all, id).contains(&parent_id) {
        return Err(bad_request("Resources cannot be cyclical."));
    }
    let siblings =
        all.iter().filter(|r| r.id != id && r.parent_id.as_deref() == Some(parent_id.as_str()));
    rules::place(&part, parent, siblings)?;
    all[at].parent_id = Some(parent_id);
    all[at].path_part = Some(part);
    Ok(())
}
