//! Templates and values between their records and their types.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sereno_kernel::{Ctx, Error, Result};
use sereno_template::{Environment, Pseudo, Template};

use crate::changes::mask;
use crate::prepare::Prepared;
use crate::state::{ParameterRecord, TemplateRecord};
use crate::vault;

fn lost(what: &str) -> Error {
    Error::internal(format!("cloudformation: a stored {what} cannot be read"))
}

/// The record of a prepared template.
pub fn record(ctx: &Ctx, prepared: &Prepared) -> TemplateRecord {
    let processed = prepared.transformed && prepared.failure.is_none();
    TemplateRecord {
        body: prepared.body.clone(),
        processed: processed.then(|| prepared.template.to_value().to_string()),
        environment: vault::seal(ctx, &environment_text(&prepared.environment)),
        masked: prepared.masked(),
    }
}

/// Template, environment, and the environment as it may be shown.
pub fn template(
    ctx: &Ctx,
    record: &TemplateRecord,
) -> Result<(Template, Environment, Environment)> {
    let template = match &record.processed {
        Some(text) => serde_json::from_str(text).ok().and_then(|it| Template::from_value(it).ok()),
        None => Template::parse(&record.body).ok(),
    };
    let environment = read_environment(&vault::unseal(ctx, &record.environment)?)
        .ok_or_else(|| lost("environment"))?;
    let shown = mask(&environment, &record.masked);
    Ok((template.ok_or_else(|| lost("template"))?, environment, shown))
}

fn environment_text(environment: &Environment) -> String {
    let Pseudo { account_id, partition, region, stack_id, stack_name, url_suffix, .. } =
        &environment.pseudo;
    json!({
        "account": account_id, "partition": partition, "region": region, "stackId": stack_id,
        "stackName": stack_name, "urlSuffix": url_suffix,
        "parameters": environment.parameters, "conditions": environment.conditions,
    })
    .to_string()
}

fn read_environment(text: &str) -> Option<Environment> {
    let value: Value = serde_json::from_str(text).ok()?;
    let field = |name: &str| value[name].as_str().map(str::to_owned);
    let conditions: Option<BTreeMap<String, bool>> = value["conditions"]
        .as_object()?
        .iter()
        .map(|(k, v)| Some((k.clone(), v.as_bool()?)))
        .collect();
    let parameters =
        value["parameters"].as_object()?.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    Some(Environment {
        pseudo: Pseudo {
            account_id: field("account")?,
            notification_arns: Vec::new(),
            partition: field("partition")?,
            region: field("region")?,
            stack_id: field("stackId")?,
            stack_name: field("stackName")?,
            url_suffix: field("urlSuffix")?,
        },
        parameters,
        conditions: conditions?,
    })
}

/// Parameters with their values, sealed.
pub fn parameters(ctx: &Ctx, prepared: &Prepared) -> Vec<ParameterRecord> {
    let record = |it: &sereno_template::parameters::Parameter| {
        Some(ParameterRecord {
            key: it.name.clone(),
            value: vault::seal(ctx, prepared.chosen.get(&it.name)?),
            resolved: prepared.fetched.get(&it.name).map(|value| vault::seal(ctx, value)),
            no_echo: it.no_echo,
        })
    };
    prepared.declared.iter().filter_map(record).collect()
}

/// Values of a stack's parameters, as given.
pub fn chosen(ctx: &Ctx, records: &[ParameterRecord]) -> Result<BTreeMap<String, String>> {
    records.iter().map(|it| Ok((it.key.clone(), vault::unseal(ctx, &it.value)?))).collect()
}

/// Sealed JSON properties.
pub fn properties(ctx: &Ctx, sealed: &[u8]) -> Result<Map<String, Value>> {
    let text = vault::unseal(ctx, sealed)?;
    if text.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(&text).map_err(|_| lost("resource"))
}
