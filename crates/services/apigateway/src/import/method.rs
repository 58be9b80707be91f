//! The operations of a path: parameters, models, answers, and what stands behind them.

use std::collections::BTreeMap;

use serde_json::Value;
use sereno_kernel::Result;

use super::integration;
use super::security::Schemes;
use super::{list, text};
use crate::errors::bad_request;
use crate::state::{ApiDocument, MethodRecord, MethodResponseRecord, ResourceRecord};

const METHODS: &[(&str, &str)] = &[
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("patch", "PATCH"),
    ("x-amazon-apigateway-any-method", "ANY"),
];
const JSON: &str = "application/json";

/// Reads operations with what the definition says for all of them.
pub struct Methods<'a> {
    root: &'a Value,
    schemes: &'a Schemes,
    /// Ids by name.
    validators: BTreeMap<String, String>,
    default_validator: Option<String>,
}

impl<'a> Methods<'a> {
    pub fn new(root: &'a Value, schemes: &'a Schemes, base: &ApiDocument) -> Methods<'a> {
        let named = base.validators.iter().filter_map(|v| Some((v.name.clone()?, v.id.clone())));
        Methods {
            root,
            schemes,
            validators: named.collect(),
            default_validator: text(root, "x-amazon-apigateway-request-validator"),
        }
    }

    pub fn read_path(
        &self,
        operations: &Value,
        path: &str,
        resource: &mut ResourceRecord,
    ) -> Result<()> {
        for (key, http_method) in METHODS {
            let Some(operation) = operations.get(*key) else { continue };
            let method = self.read(operations, operation, path).and_then(|mut method| {
                method.integration = integration::read(operation, &method, &resource.id)?;
                Ok(method)
            });
            let method = method.map_err(|error| {
                bad_request(format!(
                    "Errors found during import:\n\tUnable to put integration on '{http_method}' for resource at \
                     path '{path}': {}",
                    error.message()
                ))
            })?;
            resource.methods.insert((*http_method).to_owned(), method);
        }
        Ok(())
    }

    /// What of a path's operations cannot be taken, but does not stop the import.
    pub fn warnings(operations: &Value, path: &str) -> Vec<String> {
        let found = METHODS.iter().filter_map(|(key, http_method)| {
            Some(integration::warnings(operations.get(*key)?, path, http_method))
        });
        found.flatten().collect()
    }

    fn read(&self, operations: &Value, operation: &Value, path: &str) -> Result<MethodRecord> {
        let mut method = MethodRecord {
            operation_name: text(operation, "operationId"),
            ..MethodRecord::default()
        };
        self.schemes.apply(self.root, operation, &mut method);
        let validator = text(operation, "x-amazon-apigateway-request-validator")
            .or_else(|| self.default_validator.clone());
        if let Some(name) = validator {
            let id = self.validators.get(&name).cloned();
            let missing = || bad_request(format!("Invalid Request Validator specified: {name}"));
            method.request_validator_id = Some(id.ok_or_else(missing)?);
        }
        // What the path itself names needs no declaration.
        for part in path.split('/') {
            if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                let name = format!("method.request.path.{}", name.trim_end_matches('+'));
                method.request_parameters.insert(name, true);
            }
        }
        // Those of the path hold for all its operations.
        for owner in [operations, operation] {
            let parameters = owner.get("parameters").and_then(Value::as_array);
            for parameter in parameters.into_iter().flatten() {
                self.read_parameter(operation, self.follow(parameter), &mut method);
            }
        }
        let content = operation.get("requestBody").map(|body| self.follow(body));
        for (kind, media) in
            content.and_then(|body| body.get("content")?.as_object()).into_iter().flatten()
        {
            if let Some(model) = model_name(media.get("schema")) {
                method.request_models.insert(kind.clone(), model);
            }
        }
        let responses = operation.get("responses").and_then(Value::as_object);
        for (status, response) in responses.into_iter().flatten() {
            // Only a status can be answered; `default` documents the rest.
            if status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()) {
                let response = self.read_response(operation, self.follow(response));
                method.responses.insert(status.clone(), response);
            }
        }
        Ok(method)
    }

    /// The thing itself, where a reference stands for it.
    fn follow(&self, value: &'a Value) -> &'a Value {
        let Some(target) = value.get("$ref").and_then(Value::as_str) else { return value };
        let pointer = target.trim_start_matches('#');
        self.root.pointer(pointer).unwrap_or(value)
    }

    fn read_parameter(&self, operation: &Value, parameter: &Value, method: &mut MethodRecord) {
        let name = text(parameter, "name").unwrap_or_default();
        let required = parameter.get("required").and_then(Value::as_bool).unwrap_or_default();
        let place = match text(parameter, "in").as_deref() {
            Some("path") => "path",
            Some("query") => "querystring",
            Some("header") => "header",
            Some("body") => {
                if let Some(model) = model_name(parameter.get("schema")) {
                    let kinds = self.media_types(operation, "consumes");
                    let models = kinds.into_iter().map(|kind| (kind, model.clone()));
                    method.request_models.extend(models);
                }
                return;
            }
            _ => return,
        };
        method.request_parameters.insert(format!("method.request.{place}.{name}"), required);
    }

    fn read_response(&self, operation: &Value, response: &Value) -> MethodResponseRecord {
        let mut record = MethodResponseRecord::default();
        let headers = response.get("headers").and_then(Value::as_object);
        for (name, _) in headers.into_iter().flatten() {
            record.parameters.insert(format!("method.response.header.{name}"), false);
            record.has_parameters = true;
        }
        if let Some(model) = model_name(response.get("schema")) {
            let kinds = self.media_types(operation, "produces");
            record.models = kinds.into_iter().map(|kind| (kind, model.clone())).collect();
        }
        let content = response.get("content").and_then(Value::as_object);
        for (kind, media) in content.into_iter().flatten() {
            if let Some(model) = model_name(media.get("schema")) {
                record.models.insert(kind.clone(), model);
            }
        }
        record.has_models = !record.models.is_empty();
        record
    }

    /// `consumes` or `produces` of the operation, else of the definition, else JSON.
    fn media_types(&self, operation: &Value, which: &str) -> Vec<String> {
        let own = list(operation, which);
        let kinds = if own.is_empty() { list(self.root, which) } else { own };
        if kinds.is_empty() { vec![JSON.to_owned()] } else { kinds }
    }
}

/// The model that a schema points to. A schema written in place has no name.
fn model_name(schema: Option<&Value>) -> Option<String> {
    let target = schema?.get("$ref")?.as_str()?;
    target.rsplit('/').next().map(str::to_owned)
}
