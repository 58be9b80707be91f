//! What templates take from Parameter Store and Secrets Manager while they are used.
//!
//! Called by name, so that a stack that needs neither does not need the services either.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sereno_kernel::{Ctx, Result};
use sereno_template::dynamic::{self, Reference};

use crate::errors;

/// Puts the values of all `{{resolve:..}}` references in place.
pub async fn resolve(ctx: &Ctx, value: &mut Value) -> Result<()> {
    let mut fetched = BTreeMap::new();
    for text in dynamic::find(value) {
        let reference = dynamic::parse(&text).map_err(|error| errors::template(&error))?;
        fetched.insert(text, fetch(ctx, &reference).await?);
    }
    dynamic::replace(value, &fetched);
    Ok(())
}

async fn fetch(ctx: &Ctx, reference: &Reference) -> Result<String> {
    match reference {
        Reference::Parameter { name, version, secure } => {
            let name = version.map_or_else(|| name.clone(), |version| format!("{name}:{version}"));
            parameter(ctx, &name, *secure).await
        }
        Reference::Secret { id, json_key, stage, version } => {
            secret(ctx, id, json_key.as_deref(), stage.as_deref(), version.as_deref()).await
        }
    }
}

async fn parameter(ctx: &Ctx, name: &str, secure: bool) -> Result<String> {
    let input = json!({"Name": name, "WithDecryption": secure});
    let answer = ctx.call_json("ssm", "GetParameter", &input).await.map_err(|error| {
        errors::validation(format!(
            "Could not resolve the dynamic reference to parameter {name}: {}",
            error.message()
        ))
    })?;
    Ok(answer["Parameter"]["Value"].as_str().unwrap_or_default().to_owned())
}

async fn secret(
    ctx: &Ctx,
    id: &str,
    json_key: Option<&str>,
    stage: Option<&str>,
    version: Option<&str>,
) -> Result<String> {
    let mut input = json!({"SecretId": id});
    if let Some(stage) = stage {
        input["VersionStage"] = stage.into();
    }
    if let Some(version) = version {
        input["VersionId"] = version.into();
    }
    let answer = ctx.call_json("secretsmanager", "GetSecretValue", &input).await;
    let answer = answer.map_err(|error| {
        errors::validation(format!(
            "Could not resolve the dynamic reference to secret {id}: {}",
            error.message()
        ))
    })?;
    let text = answer["SecretString"].as_str().unwrap_or_default();
    let Some(key) = json_key else { return Ok(text.to_owned()) };
    let parsed: Value = serde_json::from_str(text)
        .map_err(|_| errors::validation(format!("Could not parse SecretString JSON of {id}")))?;
    let value = parsed.get(key).and_then(sereno_template::resolve::text_of);
    value.ok_or_else(|| errors::validation(format!("Could not find a value for {key} in {id}")))
}

/// Values of template parameters of type `AWS::SSM::Parameter::Value<..>`, by parameter.
pub async fn stored_parameters(
    ctx: &Ctx,
    names: &[(&str, &str)],
) -> Result<BTreeMap<String, String>> {
    let mut fetched = BTreeMap::new();
    let mut missing = Vec::new();
    for (parameter, name) in names {
        let input = json!({"Name": name});
        match ctx.call_json("ssm", "GetParameter", &input).await {
            Ok(answer) => {
                let value = answer["Parameter"]["Value"].as_str().unwrap_or_default();
                fetched.insert((*parameter).to_owned(), value.to_owned());
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => missing.push(*name),
        }
    }
    if missing.is_empty() {
        return Ok(fetched);
    }
    Err(errors::validation(format!(
        "Unable to fetch parameters [{}] from parameter store for this account.",
        missing.join(",")
    )))
}
