//! Documentation versions: all documentation parts of an API as they were at one time.

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::errors::{self, conflict};
use crate::state::{
    APIS, DOCUMENTATION_PARTS, DOCUMENTATION_VERSIONS, DocumentationVersionRecord, STAGES,
};
use crate::{page, patch, rest_api, shapes};

pub async fn create(
    ctx: Ctx,
    input: api::CreateDocumentationVersionInput,
) -> Result<api::CreateDocumentationVersionOutput> {
    let key = (input.rest_api_id.as_str(), input.documentation_version.as_str());
    let scope = ctx.scope();
    let record: DocumentationVersionRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if APIS.get(txn, scope, key.0).await?.is_none() {
            return Err(errors::api(ctx.account(), key.0));
        }
        if DOCUMENTATION_VERSIONS.get(txn, scope, &key).await?.is_some() {
            return Err(conflict("Documentation version already exists"));
        }
        let parts = DOCUMENTATION_PARTS.list(scope, (key.0,)).read(txn).await?;
        let record = DocumentationVersionRecord {
            version: key.1.to_owned(),
            description: input.description.clone(),
            created: ctx.now(),
            parts: parts.into_iter().map(|(_, part)| part).collect(),
        };
        if let Some(name) = &input.stage_name {
            let stage_key = (key.0, name.as_str());
            let found = STAGES.get(txn, scope, &stage_key).await?;
            let mut stage = found.ok_or_else(errors::stage)?;
            stage.documentation_version = Some(key.1.to_owned());
            STAGES.put(txn, scope, &stage_key, &stage);
        }
        DOCUMENTATION_VERSIONS.put(txn, scope, &key, &record);
        record
    })?;
    Ok(shown(record))
}

pub async fn get(
    ctx: Ctx,
    input: api::GetDocumentationVersionInput,
) -> Result<api::GetDocumentationVersionOutput> {
    let key = (input.rest_api_id.as_str(), input.documentation_version.as_str());
    let found = DOCUMENTATION_VERSIONS.get(ctx.store(), ctx.scope(), &key).await?;
    found.map(shown).ok_or_else(errors::documentation_version)
}

pub async fn list(
    ctx: Ctx,
    input: api::GetDocumentationVersionsInput,
) -> Result<api::GetDocumentationVersionsOutput> {
    rest_api::load(&ctx, &input.rest_api_id).await?;
    let api_id = input.rest_api_id.as_str();
    let all = DOCUMENTATION_VERSIONS.list(ctx.scope(), (api_id,)).read(ctx.store()).await?;
    let all: Vec<DocumentationVersionRecord> = all.into_iter().map(|(_, record)| record).collect();
    let page = page::cut(all, |record| &record.version, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(shown).collect();
    Ok(api::GetDocumentationVersionsOutput { position: page.position, items: Some(items) })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateDocumentationVersionInput,
) -> Result<api::UpdateDocumentationVersionOutput> {
    let patches = patch::read(input.patch_operations)?;
    let key = (input.rest_api_id.as_str(), input.documentation_version.as_str());
    let record: DocumentationVersionRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = DOCUMENTATION_VERSIONS.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::documentation_version)?;
        for patch in &patches {
            patch.replace_one_of(&["/description"])?;
            record.description = patch.some();
        }
        DOCUMENTATION_VERSIONS.put(txn, ctx.scope(), &key, &record);
        record
    })?;
    Ok(shown(record))
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteDocumentationVersionInput,
) -> Result<api::DeleteDocumentationVersionOutput> {
    let key = (input.rest_api_id.as_str(), input.documentation_version.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if DOCUMENTATION_VERSIONS.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::documentation_version());
        }
        DOCUMENTATION_VERSIONS.delete(txn, ctx.scope(), &key);
        api::DeleteDocumentationVersionOutput::default()
    })
}

fn shown(record: DocumentationVersionRecord) -> api::DocumentationVersion {
    api::DocumentationVersion {
        version: Some(record.version),
        created_date: shapes::date(record.created),
        description: record.description,
    }
}
