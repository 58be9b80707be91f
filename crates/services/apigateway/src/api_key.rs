//! API keys.

use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Txn, transact};

use crate::errors::{self, bad_request, conflict};
use crate::state::{
    API_KEY_VALUES, API_KEYS, ApiKeyRecord, KEY_PLANS, KeyIdRecord, PLAN_KEYS, PlanKeyRecord,
    USAGE_PLANS,
};
use crate::{ids, page, patch, shapes, tags};

/// Recorded: `test_create_api_key_with_invalid_name`, `test_create_api_key_with_invalid_value`.
const NAME_MAX: usize = 1024;
const DESCRIPTION_MAX: usize = 125_000;
const VALUE_MIN: usize = 20;
const VALUE_MAX: usize = 128;
const UPDATABLE: [&str; 4] = ["/description", "/enabled", "/name", "/customerId"];

pub async fn create(ctx: Ctx, input: api::CreateApiKeyInput) -> Result<api::CreateApiKeyOutput> {
    let tags = input.tags.unwrap_or_default();
    tags::check(&tags)?;
    let stage_keys = input.stage_keys.unwrap_or_default().into_iter().map(|key| {
        let (api_id, stage) = (key.rest_api_id.unwrap_or_default(), key.stage_name);
        format!("{api_id}/{}", stage.unwrap_or_default())
    });
    let value = input.value.filter(|value| !value.is_empty());
    let record = ApiKeyRecord {
        id: ids::long(&ctx),
        value: value.unwrap_or_else(|| ids::key_value(&ctx)),
        name: input.name.filter(|name| !name.is_empty()),
        customer_id: input.customer_id,
        description: input.description.filter(|text| !text.is_empty()),
        enabled: input.enabled.unwrap_or_default(),
        created: ctx.now(),
        updated: ctx.now(),
        stage_keys: stage_keys.collect(),
        tags,
    };
    check(&record)?;
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        put(&ctx, txn, &record).await?;
    })?;
    Ok(shapes::api_key(record, true))
}

/// Puts a new key; its value must be new too.
async fn put(ctx: &Ctx, txn: &mut Txn, record: &ApiKeyRecord) -> Result<()> {
    let value = record.value.as_str();
    if API_KEY_VALUES.get(txn, ctx.scope(), value).await?.is_some() {
        return Err(conflict("API Key already exists"));
    }
    let id = KeyIdRecord { id: record.id.clone() };
    API_KEY_VALUES.put(txn, ctx.scope(), value, &id);
    API_KEYS.put(txn, ctx.scope(), record.id.as_str(), record);
    Ok(())
}

fn check(record: &ApiKeyRecord) -> Result<()> {
    if record.name.as_ref().is_some_and(|name| name.chars().count() > NAME_MAX) {
        return Err(bad_request("Invalid API Key name, can be at most 1024 characters."));
    }
    if record.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
        return Err(bad_request("Invalid API Key description specified."));
    }
    match record.value.chars().count() {
        ..VALUE_MIN => Err(bad_request("API Key value should be at least 20 characters")),
        VALUE_MIN..=VALUE_MAX => Ok(()),
        _ => Err(bad_request("API Key value exceeds maximum size of 128 characters")),
    }
}

pub async fn load(ctx: &Ctx, id: &str) -> Result<ApiKeyRecord> {
    API_KEYS.get(ctx.store(), ctx.scope(), id).await?.ok_or_else(errors::api_key)
}

pub async fn get(ctx: Ctx, input: api::GetApiKeyInput) -> Result<api::GetApiKeyOutput> {
    let record = load(&ctx, &input.api_key).await?;
    let tags = record.tags.clone();
    let shown = shapes::api_key(record, input.include_value.unwrap_or_default());
    Ok(api::ApiKey { tags: Some(tags), ..shown })
}

/// All keys, the newest first.
pub async fn all(ctx: &Ctx) -> Result<Vec<ApiKeyRecord>> {
    let all = API_KEYS.list(ctx.scope(), ()).read(ctx.store()).await?;
    let mut all: Vec<ApiKeyRecord> = all.into_iter().map(|(_, record)| record).collect();
    all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    Ok(all)
}

pub async fn list(ctx: Ctx, input: api::GetApiKeysInput) -> Result<api::GetApiKeysOutput> {
    let mut all = all(&ctx).await?;
    if let Some(prefix) = &input.name_query {
        all.retain(|key| key.name.as_deref().unwrap_or_default().starts_with(prefix));
    }
    if let Some(customer) = &input.customer_id {
        all.retain(|key| key.customer_id.as_ref() == Some(customer));
    }
    let page = page::cut(all, |record| &record.id, input.position.as_deref(), input.limit)?;
    let values = input.include_values.unwrap_or_default();
    let items = page.items.into_iter().map(|record| shapes::api_key(record, values)).collect();
    Ok(api::GetApiKeysOutput { warnings: None, position: page.position, items: Some(items) })
}

pub async fn delete(ctx: Ctx, input: api::DeleteApiKeyInput) -> Result<api::DeleteApiKeyOutput> {
    let id = input.api_key.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = API_KEYS.get(txn, ctx.scope(), id).await?;
        let record = found.ok_or_else(errors::api_key)?;
        for ((key, plan), _) in KEY_PLANS.list(ctx.scope(), (id,)).read(txn).await? {
            PLAN_KEYS.delete(txn, ctx.scope(), &(plan.as_str(), key.as_str()));
            KEY_PLANS.delete(txn, ctx.scope(), &(key.as_str(), plan.as_str()));
        }
        API_KEY_VALUES.delete(txn, ctx.scope(), record.value.as_str());
        API_KEYS.delete(txn, ctx.scope(), id);
        api::DeleteApiKeyOutput::default()
    })
}

pub async fn update(ctx: Ctx, input: api::UpdateApiKeyInput) -> Result<api::UpdateApiKeyOutput> {
    let patches = patch::read(input.patch_operations)?;
    let id = input.api_key.as_str();
    let record: ApiKeyRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = API_KEYS.get(txn, ctx.scope(), id).await?;
        let mut record = found.ok_or_else(errors::api_key)?;
        for patch in &patches {
            match patch.path.as_str() {
                "/name" => record.name = patch.some(),
                "/description" => record.description = patch.some().filter(|_| !patch.removes()),
                "/enabled" => record.enabled = patch.truth(),
                "/customerId" => record.customer_id = patch.some().filter(|_| !patch.removes()),
                _ => return Err(patch.none_of(&UPDATABLE)),
            }
        }
        check(&record)?;
        record.updated = ctx.now();
        API_KEYS.put(txn, ctx.scope(), id, &record);
        record
    })?;
    let tags = record.tags.clone();
    Ok(api::ApiKey { tags: Some(tags), ..shapes::api_key(record, false) })
}

/// `Name,key,description,Enabled,usageplanIds`, in any order and case.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-key-file-format.html>
pub async fn import(ctx: Ctx, input: api::ImportApiKeysInput) -> Result<api::ImportApiKeysOutput> {
    let text = std::str::from_utf8(&input.body)
        .map_err(|_| bad_request("Invalid CSV input: not UTF-8"))?;
    let (rows, mut warnings) = rows(text)?;
    let mut ids = Vec::new();
    for row in rows {
        let record = ApiKeyRecord {
            id: ids::long(&ctx),
            value: row.key,
            name: Some(row.name).filter(|name| !name.is_empty()),
            description: Some(row.description).filter(|text| !text.is_empty()),
            enabled: row.enabled,
            created: ctx.now(),
            updated: ctx.now(),
            ..ApiKeyRecord::default()
        };
        let outcome = match check(&record) {
            Ok(()) => transact!(ctx.store(), sereno_kernel::Error, |txn| {
                put(&ctx, txn, &record).await?;
                for plan in &row.plans {
                    join(&ctx, txn, plan, &record).await?;
                }
            }),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => ids.push(record.id),
            Err(error) => warnings.push(format!(
                "Unable to import api key {}: {}",
                record.name.as_deref().unwrap_or_default(),
                error.message()
            )),
        }
    }
    if input.fail_on_warnings == Some(true) && !warnings.is_empty() {
        return Err(bad_request(format!("Failed to import API keys: {}", warnings.join("; "))));
    }
    Ok(api::ImportApiKeysOutput { ids: Some(ids), warnings: Some(warnings) })
}

/// Puts a key into a plan.
pub async fn join(ctx: &Ctx, txn: &mut Txn, plan: &str, key: &ApiKeyRecord) -> Result<()> {
    let found = USAGE_PLANS.get(txn, ctx.scope(), plan).await?;
    let joined = found.ok_or_else(errors::usage_plan)?;
    // A key may not be in two plans that have a stage in common.
    for ((_, other), _) in KEY_PLANS.list(ctx.scope(), (key.id.as_str(),)).read(txn).await? {
        if other == plan {
            return Err(conflict(format!("Usage Plan already associated with API Key {}", key.id)));
        }
        let other = USAGE_PLANS.get(txn, ctx.scope(), other.as_str()).await?.unwrap_or_default();
        let shared = |stage: &crate::state::PlanStageRecord| {
            joined.stages.iter().any(|s| s.api_id == stage.api_id && s.stage == stage.stage)
        };
        if other.stages.iter().any(shared) {
            return Err(conflict("Subscriber already has a usage plan for the API stage"));
        }
    }
    let added = PlanKeyRecord { added: ctx.now() };
    PLAN_KEYS.put(txn, ctx.scope(), &(plan, key.id.as_str()), &added);
    KEY_PLANS.put(txn, ctx.scope(), &(key.id.as_str(), plan), &added);
    Ok(())
}

#[derive(Debug, Default, PartialEq)]
struct Row {
    name: String,
    key: String,
    description: String,
    enabled: bool,
    plans: Vec<String>,
}

fn rows(text: &str) -> Result<(Vec<Row>, Vec<String>)> {
    let mut lines = text.lines().map(fields).filter(|fields| fields.iter().any(|f| !f.is_empty()));
    let header: Vec<String> =
        lines.next().unwrap_or_default().iter().map(|f| f.trim().to_lowercase()).collect();
    let place = |name: &str| header.iter().position(|field| field == name);
    let (Some(name), Some(key)) = (place("name"), place("key")) else {
        return Err(bad_request("Invalid CSV input: the header must have Name and key"));
    };
    let (mut rows, mut warnings) = (Vec::new(), Vec::new());
    for (number, fields) in lines.enumerate() {
        let field = |at: Option<usize>| {
            at.and_then(|at| fields.get(at)).map(|field| field.trim().to_owned())
        };
        if fields.len() > header.len() {
            warnings.push(format!("Row {} has more fields than the header", number + 2));
            continue;
        }
        rows.push(Row {
            name: field(Some(name)).unwrap_or_default(),
            key: field(Some(key)).unwrap_or_default(),
            description: field(place("description")).unwrap_or_default(),
            enabled: field(place("enabled")).is_some_and(|text| text.eq_ignore_ascii_case("true")),
            plans: field(place("usageplanids"))
                .unwrap_or_default()
                .split(',')
                .map(|plan| plan.trim().to_owned())
                .filter(|plan| !plan.is_empty())
                .collect(),
        });
    }
    Ok((rows, warnings))
}

/// The fields of a line; quoted ones may hold commas and doubled quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_file() {
        let text = "Name,key,description,Enabled,usageplanIds\nMyFirstApiKey,apikey1234abcdefghij0123456789,An imported key,TRUE,\"c7y23b, n3n\"\n\nPlain,x\n";
        let (rows, warnings) = rows(text).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(rows[0].plans, ["c7y23b", "n3n"]);
        assert!(rows[0].enabled && !rows[1].enabled);
        assert!(super::rows("a,b\n").is_err());
        assert_eq!(fields("a,\"b \"\"q\"\", c\",d"), ["a", "b \"q\", c", "d"]);
    }
}
