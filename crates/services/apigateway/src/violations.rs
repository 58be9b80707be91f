//! AWS's words for input that breaks the model: members of the body carry the input's name, and
//! enumerations come in orders of their own. Recorded: `test_put_integration_wrong_type`,
//! `test_gateway_response_validation`, `test_update_method_response_wrong_operations`,
//! `test_create_rest_api_with_endpoint_configuration`.

use sereno_kernel::Error;
use sereno_wire::{Location, OperationSchema, Violation, validation_message};

const ORDERS: [&[&str]; 5] = [
    &[
        "RESPONSE_BODY",
        "RESPONSE",
        "METHOD",
        "MODEL",
        "AUTHORIZER",
        "RESPONSE_HEADER",
        "RESOURCE",
        "PATH_PARAMETER",
        "REQUEST_BODY",
        "QUERY_PARAMETER",
        "API",
        "REQUEST_HEADER",
    ],
    &["add", "remove", "move", "test", "replace", "copy"],
    &["HTTP", "MOCK", "AWS_PROXY", "HTTP_PROXY", "AWS"],
    &["PRIVATE", "EDGE", "REGIONAL"],
    &[
        "REQUEST_TOO_LARGE",
        "RESOURCE_NOT_FOUND",
        "AUTHORIZER_CONFIGURATION_ERROR",
        "MISSING_AUTHENTICATION_TOKEN",
        "BAD_REQUEST_BODY",
        "INVALID_SIGNATURE",
        "INVALID_API_KEY",
        "BAD_REQUEST_PARAMETERS",
        "AUTHORIZER_FAILURE",
        "UNAUTHORIZED",
        "INTEGRATION_TIMEOUT",
        "ACCESS_DENIED",
        "DEFAULT_4XX",
        "DEFAULT_5XX",
        "WAF_FILTERED",
        "QUOTA_EXCEEDED",
        "THROTTLED",
        "API_CONFIGURATION_ERROR",
        "UNSUPPORTED_MEDIA_TYPE",
        "INTEGRATION_FAILURE",
        "EXPIRED_TOKEN",
    ],
];

pub fn error(operation: &OperationSchema, violations: &[Violation]) -> Error {
    let mut all: Vec<(bool, Violation)> = violations
        .iter()
        .map(|violation| {
            let in_body = is_in_body(operation, &violation.path);
            let mut violation = violation.clone();
            if in_body {
                violation.path = format!("{}.{}", input_name(operation.name), violation.path);
            }
            violation.constraint = ordered(&violation.constraint);
            (in_body, violation)
        })
        .collect();
    all.sort_by_key(|(in_body, violation)| {
        (!in_body, violation.path.ends_with(".endpointConfiguration.ipAddressType"))
    });
    let all: Vec<Violation> = all.into_iter().map(|(_, violation)| violation).collect();
    Error::invalid("ValidationException", validation_message(&all))
}

fn is_in_body(operation: &OperationSchema, path: &str) -> bool {
    let first = path.split('.').next().unwrap_or_default();
    let member = operation.input.members.iter().find(|m| m.name.eq_ignore_ascii_case(first));
    member.is_none_or(|member| member.location == Location::Body)
}

/// `putIntegrationInput`
fn input_name(operation: &str) -> String {
    let mut name = format!("{operation}Input");
    name[..1].make_ascii_lowercase();
    name
}

fn ordered(constraint: &str) -> String {
    let Some((before, rest)) = constraint.split_once("enum value set: [") else {
        return constraint.to_owned();
    };
    let Some((values, after)) = rest.split_once(']') else { return constraint.to_owned() };
    let mut sorted: Vec<&str> = values.split(", ").collect();
    sorted.sort_unstable();
    for order in ORDERS {
        let mut known = order.to_vec();
        known.sort_unstable();
        if known == sorted {
            return format!("{before}enum value set: [{}]{after}", order.join(", "));
        }
    }
    constraint.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_the_body_carry_the_inputs_name() {
        let operation = sereno_api_apigateway::SERVICE.operation("UpdateMethodResponse").unwrap();
        let violation = |path: &str, constraint: &str| Violation {
            path: path.to_owned(),
            value: Some("x".to_owned()),
            sensitive: false,
            constraint: constraint.to_owned(),
        };
        let values = "Member must satisfy enum value set: [add, copy, move, remove, replace, test]";
        let error = error(
            operation,
            &[violation("statusCode", "C"), violation("patchOperations.1.member.op", values)],
        );
        assert_eq!(
            error.message(),
            "2 validation errors detected: Value 'x' at 'updateMethodResponseInput.patchOperations.1.member.op' failed to satisfy constraint: Member must satisfy enum value set: [add, remove, move, test, replace, copy]; Value 'x' at 'statusCode' failed to satisfy constraint: C"
        );
    }
}
