//! Macros: functions of the account that take a piece of template and answer another.

use serde_json::{Map, Value, json};
use sereno_api_lambda::{Invoke, InvokeInput};
use sereno_kernel::Ctx;

use super::{Inputs, parameter_values};
use crate::state::MACROS;

/// Runs a macro on a fragment (event and sentences recorded: test_validate_lambda_internals, test_failed_state).
pub async fn run(
    ctx: &Ctx,
    name: &str,
    parameters: &Map<String, Value>,
    fragment: Value,
    inputs: &Inputs<'_>,
) -> Result<Value, String> {
    let account = ctx.account().to_string();
    let short = name.strip_prefix(&format!("{account}::")).unwrap_or(name);
    let id = format!("{account}::{short}");
    let found = MACROS.get(ctx.store(), ctx.scope(), short).await;
    let found = found.map_err(|error| error.to_string())?;
    let Some(found) = found else { return Err(format!("No transform named {id} found.")) };
    let event = json!({
        "region": ctx.region().as_str(),
        "accountId": account,
        "fragment": fragment,
        "transformId": id,
        "params": parameters,
        "requestId": ctx.random_uuid(),
        "templateParameterValues": parameter_values(inputs),
    });
    let input = InvokeInput {
        function_name: found.function,
        payload: Some(event.to_string().into()),
        ..Default::default()
    };
    let malformed = || format!("Received malformed response from transform {id}");
    let output = ctx
        .call::<Invoke>(input)
        .await
        .map_err(|error| format!("Transform {id} failed with: {}", error.message()))?;
    if output.function_error.is_some() {
        return Err(malformed());
    }
    let payload = output.payload.unwrap_or_default();
    let mut answer: Value = serde_json::from_slice(&payload).map_err(|_| malformed())?;
    let status = answer["status"].as_str().ok_or_else(malformed)?;
    if !status.eq_ignore_ascii_case("success") {
        return Err(match answer["errorMessage"].as_str() {
            Some(message) => format!("Transform {id} failed with: {message}"),
            None => format!("Transform {id} failed without an error message."),
        });
    }
    answer.get_mut("fragment").map(Value::take).ok_or_else(malformed)
}
