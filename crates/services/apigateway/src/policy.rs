//! Resource policies of APIs.
//!
//! In a policy `execute-api:/stage/GET/path` stands for the API's own ARN; AWS shows it expanded, and
//! the whole document with its quotes escaped.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies.html>

use serde_json::Value;
use sereno_base::{AccountId, Region};
use sereno_kernel::Result;

use crate::errors::bad_request;

/// Refuses what is no policy document.
pub fn check(text: &str) -> Result<()> {
    let expanded = text.replace("execute-api:/", "arn:aws:execute-api:us-east-1:000000000000:a/");
    sereno_policy::validate::resource(&expanded).map(drop).map_err(|error| {
        bad_request(format!("Invalid policy document. Please check the policy syntax and ensure that Principals are valid. {error}"))
    })
}

/// The policy with its short resources written out.
pub fn expanded(
    text: &str,
    partition: &str,
    region: Region,
    account: AccountId,
    api_id: &str,
) -> String {
    let prefix = format!("arn:{partition}:execute-api:{}:{account}:{api_id}", region.as_str());
    let Ok(mut document) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    expand(&mut document, &prefix);
    document.to_string()
}

fn expand(value: &mut Value, prefix: &str) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix("execute-api:/") {
                *text = format!("{prefix}/{rest}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| expand(item, prefix)),
        Value::Object(map) => map.values_mut().for_each(|item| expand(item, prefix)),
        _ => {}
    }
}

/// As the API shows it.
pub fn shown(
    text: &str,
    partition: &str,
    region: Region,
    account: AccountId,
    api_id: &str,
) -> String {
    let text = expanded(text, partition, region, account, api_id);
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/")
}
