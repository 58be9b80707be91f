//! Request validation: required parameters and the body's model.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-request-validation.html>

use serde_json::Value;

use super::call::Call;
use super::compiled::Plan;
use super::failure::Failure;
use super::mapping;

pub fn check(call: &Call, plan: &Plan) -> Result<(), Failure> {
    let Some(validator) = &plan.validator else { return Ok(()) };
    if validator.parameters {
        let required = plan.method.request_parameters.iter().filter(|(_, required)| **required);
        let missing: Vec<&str> = required
            .filter(|(name, _)| mapping::request_value(call, name).is_none_or(|v| v.is_empty()))
            .filter_map(|(name, _)| name.splitn(4, '.').nth(3))
            .collect();
        if !missing.is_empty() {
            return Err(Failure::bad_parameters(&missing));
        }
    }
    if validator.body { body(call, plan) } else { Ok(()) }
}

fn body(call: &Call, plan: &Plan) -> Result<(), Failure> {
    let models = &plan.method.request_models;
    let kind = call.headers.get("content-type").unwrap_or("application/json").to_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let Some(model) = models.get(kind).or_else(|| models.get("$default")) else { return Ok(()) };
    let text: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
    let Ok(body) = serde_json::from_slice::<Value>(text) else {
        return Err(Failure::bad_body(&["Unable to parse the request body".to_owned()]));
    };
    let violations = call.compiled.models.violations(model, &body);
    if violations.is_empty() { Ok(()) } else { Err(Failure::bad_body(&violations)) }
}
