//! What the gateway itself answers, and how an API may word it.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>

use serde_json::Value;
use sereno_vtl::jsonpath;
use sereno_wire::HttpResponse;

use super::call::Call;
use super::headers::Headers;
use super::mapping;
use crate::gateway_response::effective;

/// A request that did not get its answer from a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The type of gateway response.
    pub kind: &'static str,
    /// `x-amzn-ErrorType`
    pub error_type: &'static str,
    pub message: Option<String>,
    /// Where AWS answers with another status than the type's own.
    pub status: Option<u16>,
    pub validation: Option<String>,
    /// For the execution log only.
    pub log: Option<String>,
}

impl Failure {
    fn new(kind: &'static str, error_type: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            error_type,
            message: Some(message.into()),
            status: None,
            validation: None,
            log: None,
        }
    }

    #[must_use]
    pub fn status(mut self, status: u16) -> Failure {
        self.status = Some(status);
        self
    }

    #[must_use]
    pub fn log(mut self, why: impl Into<String>) -> Failure {
        self.log = Some(why.into());
        self
    }

    pub fn no_such_method() -> Failure {
        Failure::missing_token()
    }

    pub fn missing_token() -> Failure {
        Failure::new(
            "MISSING_AUTHENTICATION_TOKEN",
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )
    }

    pub fn invalid_signature(error_type: &str, message: &str) -> Failure {
        let expired = message.contains("expired");
        let kind = if expired { "EXPIRED_TOKEN" } else { "INVALID_SIGNATURE" };
        let error_type = match error_type {
            "UnrecognizedClientException" => "UnrecognizedClientException",
            _ if expired => "ExpiredTokenException",
            _ => "InvalidSignatureException",
        };
        Failure::new(kind, error_type, message)
    }

    pub fn forbidden() -> Failure {
        Failure::new("INVALID_API_KEY", "ForbiddenException", "Forbidden")
    }

    pub fn unauthorized() -> Failure {
        Failure::new("UNAUTHORIZED", "UnauthorizedException", "Unauthorized")
    }

    pub fn access_denied(message: impl Into<String>) -> Failure {
        Failure::new("ACCESS_DENIED", "AccessDeniedException", message)
    }

    /// AWS tells no reason to the client.
    pub fn authorizer_configuration(why: impl Into<String>) -> Failure {
        let kind = "AUTHORIZER_CONFIGURATION_ERROR";
        let failure = Failure::new(kind, "AuthorizerConfigurationException", "");
        Failure { message: None, ..failure }.log(why)
    }

    pub fn bad_parameters(missing: &[&str]) -> Failure {
        let message = format!("Missing required request parameters: [{}]", missing.join(", "));
        Failure::new("BAD_REQUEST_PARAMETERS", "BadRequestException", message)
    }

    pub fn bad_body(violations: &[String]) -> Failure {
        let failure =
            Failure::new("BAD_REQUEST_BODY", "BadRequestException", "Invalid request body");
        Failure { validation: Some(format!("[{}]", violations.join(", "))), ..failure }
    }

    pub fn unsupported_media_type() -> Failure {
        Failure::new("UNSUPPORTED_MEDIA_TYPE", "BadRequestException", "Unsupported Media Type")
    }

    pub fn too_large() -> Failure {
        let (kind, error_type) = ("REQUEST_TOO_LARGE", "RequestTooLargeException");
        Failure::new(kind, error_type, "Request Too Long")
    }

    pub fn throttled() -> Failure {
        Failure::new("THROTTLED", "TooManyRequestsException", "Too Many Requests")
    }

    pub fn quota_exceeded() -> Failure {
        Failure::new("QUOTA_EXCEEDED", "LimitExceededException", "Limit Exceeded")
    }

    pub fn timed_out() -> Failure {
        let (kind, error_type) = ("INTEGRATION_TIMEOUT", "InternalServerErrorException");
        Failure::new(kind, error_type, "Endpoint request timed out")
    }

    /// The backend could not be reached.
    pub fn network(why: impl Into<String>) -> Failure {
        let (kind, error_type) = ("INTEGRATION_FAILURE", "InternalServerErrorException");
        Failure::new(kind, error_type, "Network error communicating with endpoint").log(why)
    }

    /// Something in the API's own settings does not work.
    pub fn configuration(why: impl Into<String>) -> Failure {
        let (kind, error_type) = ("API_CONFIGURATION_ERROR", "InternalServerErrorException");
        Failure::new(kind, error_type, "Internal server error").log(why)
    }

    /// The backend's answer makes no sense.
    pub fn malformed(why: impl Into<String>) -> Failure {
        Failure::new("DEFAULT_5XX", "InternalServerErrorException", "Internal server error")
            .status(502)
            .log(why)
    }

    pub fn internal(why: impl Into<String>) -> Failure {
        Failure::new("DEFAULT_5XX", "InternalServerErrorException", "Internal server error")
            .status(500)
            .log(why)
    }

    /// The message as JSON, quotes and all; `null` if there is none.
    fn message_string(&self) -> String {
        self.message
            .as_ref()
            .map_or("null".to_owned(), |text| Value::from(text.as_str()).to_string())
    }
}

/// Whether the operator of the API has something to mend.
pub fn is_ours(failure: &Failure) -> bool {
    failure.error_type.starts_with("Internal") || failure.kind.starts_with("AUTHORIZER")
}

/// An answer without an API: an unknown API or stage, a domain without a mapping.
pub fn bare(failure: &Failure, status: u16) -> HttpResponse {
    HttpResponse::new(status)
        .with_header("content-type", "application/json")
        .with_header("x-amzn-errortype", failure.error_type)
        .with_body(format!("{{\"message\":{}}}", failure.message_string()))
}

/// Status, headers and body of a failure in an API's own words.
pub fn answer(call: &Call, failure: &Failure) -> (u16, Headers, String) {
    let set = &call.compiled.gateway_responses;
    let response = effective(set, failure.kind);
    let status = match (&response.status, failure.status) {
        // A status that AWS chose itself gives way only to one that the API has set.
        (_, Some(own)) if !customised(call, failure.kind) => own,
        (Some(text), _) => text.parse().unwrap_or(500),
        (None, own) => own.unwrap_or(500),
    };
    let mut headers = Headers::default();
    let (content_type, template) = choose(&response.templates, call.headers.get("accept"));
    headers.add("Content-Type", content_type);
    headers.add("x-amzn-ErrorType", failure.error_type);
    for (target, source) in &response.parameters {
        let Some(name) = target.strip_prefix("gatewayresponse.header.") else { continue };
        if let Some(value) = mapping::request_value(call, source) {
            headers.set(name, &value);
        }
    }
    // The default template of this one type has a capital letter (seen with every AWS SDK).
    let body = if failure.kind == "ACCESS_DENIED" && template == crate::gateway_response::TEMPLATE {
        format!("{{\"Message\":{}}}", failure.message_string())
    } else {
        fill(template, call, failure)
    };
    (status, headers, body)
}

fn customised(call: &Call, kind: &str) -> bool {
    let set = &call.compiled.gateway_responses;
    let has_status = |kind: &str| set.get(kind).is_some_and(|record| record.status.is_some());
    has_status(kind) || crate::gateway_response::family(kind).is_some_and(has_status)
}

fn choose<'a>(
    templates: &'a std::collections::BTreeMap<String, String>,
    accept: Option<&str>,
) -> (&'a str, &'a str) {
    let wanted = accept
        .unwrap_or_default()
        .split(',')
        .map(|kind| kind.split(';').next().unwrap_or(kind).trim());
    let named = |kind: &str| templates.get_key_value(kind);
    let found = wanted.into_iter().find_map(named);
    let found = found.or_else(|| named("application/json")).or_else(|| templates.iter().next());
    found.map_or(("application/json", ""), |(kind, template)| (kind, template))
}

/// Plain substitution: these templates are not Velocity's.
fn fill(template: &str, call: &Call, failure: &Failure) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = rest.starts_with('{');
        let body = rest.strip_prefix('{').unwrap_or(rest);
        let end = body
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
            .unwrap_or(body.len());
        let name = body[..end].trim_end_matches('.');
        if let Some(value) = variable(name, call, failure) {
            out.push_str(&value);
            let used = name.len() + usize::from(braced) * 2;
            rest = rest.get(used..).unwrap_or_default();
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

fn variable(name: &str, call: &Call, failure: &Failure) -> Option<String> {
    if let Some(error) = name.strip_prefix("context.error.") {
        return Some(match error {
            "message" => failure.message.clone().unwrap_or_default(),
            "messageString" => failure.message_string(),
            "responseType" => failure.kind.to_owned(),
            "validationErrorString" => failure.validation.clone().unwrap_or_default(),
            _ => String::new(),
        });
    }
    if let Some(name) = name.strip_prefix("stageVariables.") {
        return Some(call.variables.get(name).cloned().unwrap_or_default());
    }
    let path = name.strip_prefix("context.")?;
    Some(mapping::context_value(call, path).unwrap_or_default())
}

/// Reads one value of a JSON text by its path; texts come without quotes.
pub fn value_at(text: &str, path: &str) -> Option<String> {
    let document = sereno_vtl::json::read(text)?;
    let found = jsonpath::Path::parse(path).ok()?.find(&document)?;
    match found {
        sereno_vtl::Value::Null => None,
        sereno_vtl::Value::Text(text) => Some(text.to_string()),
        other => Some(sereno_vtl::json::write(&other)),
    }
}
