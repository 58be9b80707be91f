//! Documentation parts: what is written about one thing of an API.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-documenting-api.html>

use serde_json::Value;
use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::transact;

use crate::errors::{self, bad_request, conflict};
use crate::import;
use crate::state::{APIS, DOCUMENTATION_PARTS, DocumentationPartRecord};
use crate::{ids, page, patch, rest_api};

/// Locations that are somewhere in the tree of resources: their path is the root's unless they say.
/// Recorded: `test_import_documentation_parts`.
const WITH_PATH: [&str; 9] = [
    "RESOURCE",
    "METHOD",
    "PATH_PARAMETER",
    "QUERY_PARAMETER",
    "REQUEST_HEADER",
    "REQUEST_BODY",
    "RESPONSE",
    "RESPONSE_HEADER",
    "RESPONSE_BODY",
];

pub async fn create(
    ctx: Ctx,
    input: api::CreateDocumentationPartInput,
) -> Result<api::CreateDocumentationPartOutput> {
    let api_id = input.rest_api_id.as_str();
    check_properties(&input.properties)?;
    let record = DocumentationPartRecord {
        id: ids::short(&ctx),
        properties: input.properties,
        ..located(input.location)
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if APIS.get(txn, ctx.scope(), api_id).await?.is_none() {
            return Err(errors::api(ctx.account(), api_id));
        }
        let known = DOCUMENTATION_PARTS.list(ctx.scope(), (api_id,)).read(txn).await?;
        if known.iter().any(|(_, known)| place(known) == place(&record)) {
            return Err(conflict(format!(
                "Documentation part already exists for the specified location: type '{}'",
                record.kind
            )));
        }
        DOCUMENTATION_PARTS.put(txn, ctx.scope(), &(api_id, record.id.as_str()), &record);
    })?;
    Ok(shown(record))
}

pub async fn get(
    ctx: Ctx,
    input: api::GetDocumentationPartInput,
) -> Result<api::GetDocumentationPartOutput> {
    let key = (input.rest_api_id.as_str(), input.documentation_part_id.as_str());
    let found = DOCUMENTATION_PARTS.get(ctx.store(), ctx.scope(), &key).await?;
    found.map(shown).ok_or_else(errors::documentation_part)
}

pub async fn list(
    ctx: Ctx,
    input: api::GetDocumentationPartsInput,
) -> Result<api::GetDocumentationPartsOutput> {
    if input.location_status == Some(api::LocationStatusType::Undocumented) {
        return Err(errors::unsupported("listing what is not documented"));
    }
    rest_api::load(&ctx, &input.rest_api_id).await?;
    let api_id = input.rest_api_id.as_str();
    let all = DOCUMENTATION_PARTS.list(ctx.scope(), (api_id,)).read(ctx.store()).await?;
    let wanted = |record: &DocumentationPartRecord| {
        let named = |query: &str| record.name.as_deref().is_some_and(|name| name.contains(query));
        input.r#type.as_ref().is_none_or(|kind| kind.as_str() == record.kind)
            && input.path.as_ref().is_none_or(|path| record.path.as_ref() == Some(path))
            && input.name_query.as_deref().is_none_or(named)
    };
    let mut all: Vec<DocumentationPartRecord> =
        all.into_iter().map(|(_, record)| record).filter(wanted).collect();
    all.sort_by(|a, b| place(a).cmp(&place(b)));
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(shown).collect();
    Ok(api::GetDocumentationPartsOutput { position: page.position, items: Some(items) })
}

/// Recorded: `test_invalid_update_documentation_part`.
pub async fn update(
    ctx: Ctx,
    input: api::UpdateDocumentationPartInput,
) -> Result<api::UpdateDocumentationPartOutput> {
    let patches = patch::read(input.patch_operations)?;
    let key = (input.rest_api_id.as_str(), input.documentation_part_id.as_str());
    let record: DocumentationPartRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = DOCUMENTATION_PARTS.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::documentation_part)?;
        for patch in &patches {
            patch.replace_one_of(&["/properties"])?;
            check_properties(patch.text())?;
            patch.text().clone_into(&mut record.properties);
        }
        DOCUMENTATION_PARTS.put(txn, ctx.scope(), &key, &record);
        record
    })?;
    Ok(shown(record))
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteDocumentationPartInput,
) -> Result<api::DeleteDocumentationPartOutput> {
    let key = (input.rest_api_id.as_str(), input.documentation_part_id.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if APIS.get(txn, ctx.scope(), key.0).await?.is_none() {
            return Err(errors::api(ctx.account(), key.0));
        }
        if DOCUMENTATION_PARTS.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::documentation_part());
        }
        DOCUMENTATION_PARTS.delete(txn, ctx.scope(), &key);
        api::DeleteDocumentationPartOutput::default()
    })
}

/// The parts of a definition's `x-amazon-apigateway-documentation`.
pub async fn import(
    ctx: Ctx,
    input: api::ImportDocumentationPartsInput,
) -> Result<api::ImportDocumentationPartsOutput> {
    let api_id = input.rest_api_id.as_str();
    // Recorded: `test_import_documentation_parts_bad_file`.
    let broken = |_| bad_request("Unable to build importer with provided input.");
    let definition = import::parse(&input.body).map_err(broken)?;
    let parts = read(&ctx, &definition)?;
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if APIS.get(txn, ctx.scope(), api_id).await?.is_none() {
            return Err(errors::api(ctx.account(), api_id));
        }
        for (key, known) in DOCUMENTATION_PARTS.list(ctx.scope(), (api_id,)).read(txn).await? {
            let replaced = parts.iter().any(|part| place(part) == place(&known));
            if replaced || input.mode == Some(api::PutMode::Overwrite) {
                DOCUMENTATION_PARTS.delete(txn, ctx.scope(), &key);
            }
        }
        for part in &parts {
            DOCUMENTATION_PARTS.put(txn, ctx.scope(), &(api_id, part.id.as_str()), part);
        }
    })?;
    let ids = parts.into_iter().map(|part| part.id).collect();
    Ok(api::ImportDocumentationPartsOutput { ids: Some(ids), warnings: None })
}

/// The parts that a definition carries, each place once.
pub fn read(ctx: &Ctx, definition: &Value) -> Result<Vec<DocumentationPartRecord>> {
    let given = definition.get("x-amazon-apigateway-documentation");
    let given = given.and_then(|given| given.get("documentationParts")?.as_array());
    let mut parts: Vec<DocumentationPartRecord> = Vec::new();
    for part in given.into_iter().flatten() {
        let location = part.get("location").cloned().unwrap_or_default();
        let location: api::DocumentationPartLocation = sereno_wire::from_json(&location)
            .map_err(|_| bad_request("Unable to build importer with provided input."))?;
        let properties = part.get("properties").cloned().unwrap_or_default();
        let record = DocumentationPartRecord {
            id: ids::short(ctx),
            properties: properties.to_string(),
            ..located(location)
        };
        parts.retain(|known| place(known) != place(&record));
        parts.push(record);
    }
    Ok(parts)
}

/// Lays new parts over those that are there.
pub fn merge(base: &mut Vec<DocumentationPartRecord>, parts: Vec<DocumentationPartRecord>) {
    base.retain(|known| !parts.iter().any(|part| place(part) == place(known)));
    base.extend(parts);
}

fn located(location: api::DocumentationPartLocation) -> DocumentationPartRecord {
    let kind = location.r#type.to_string();
    let root = || WITH_PATH.contains(&kind.as_str()).then(|| "/".to_owned());
    DocumentationPartRecord {
        path: location.path.or_else(root),
        method: location.method,
        status_code: location.status_code,
        name: location.name,
        kind,
        ..DocumentationPartRecord::default()
    }
}

/// What is documented: one part for each.
fn place(record: &DocumentationPartRecord) -> (&str, [Option<&str>; 4]) {
    let DocumentationPartRecord { path, method, status_code, name, .. } = record;
    (&record.kind, [path, method, status_code, name].map(Option::as_deref))
}

fn check_properties(text: &str) -> Result<()> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Err(bad_request("Documentation part properties must be a valid JSON object")),
    }
}

pub fn location(record: &DocumentationPartRecord) -> api::DocumentationPartLocation {
    api::DocumentationPartLocation {
        r#type: record.kind.as_str().into(),
        path: record.path.clone(),
        method: record.method.clone(),
        status_code: record.status_code.clone(),
        name: record.name.clone(),
    }
}

fn shown(record: DocumentationPartRecord) -> api::DocumentationPart {
    api::DocumentationPart {
        location: Some(location(&record)),
        id: Some(record.id),
        properties: Some(record.properties),
    }
}
