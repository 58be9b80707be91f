//! Export of what a stage serves: Swagger 2 and OpenAPI 3.0, JSON and YAML.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-export-api.html>
//!
//! Recorded: `test_export_swagger_openapi`, `test_export_oas30_openapi`.

mod extensions;
mod method;
mod models;
mod yaml;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sereno_api_apigateway as api;
use sereno_kernel::{Ctx, Result};

use crate::errors::{self, bad_request};
use crate::rest_api;
use crate::state::{
    ApiDocument, DEPLOYMENTS, DOCUMENTATION_VERSIONS, DocumentationVersionRecord, SNAPSHOTS,
    STAGES, StageRecord,
};
use extensions::Extensions;

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Swagger,
    OpenApi,
}

impl Format {
    fn read(name: &str) -> Result<Format> {
        match name {
            "swagger" => Ok(Format::Swagger),
            "oas30" => Ok(Format::OpenApi),
            other => Err(bad_request(format!("No API exporter for type '{other}'"))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Swagger => "swagger",
            Format::OpenApi => "oas30",
        }
    }
}

/// Everything that an export is made of.
struct Export<'a> {
    format: Format,
    extensions: Extensions,
    document: &'a ApiDocument,
    stage: &'a str,
    region: &'static str,
    /// The API's own version, or when it was deployed.
    version: String,
}

pub async fn get(ctx: Ctx, input: api::GetExportInput) -> Result<api::GetExportOutput> {
    let format = Format::read(&input.export_type)?;
    let extensions = Extensions::read(&input.parameters.unwrap_or_default())?;
    let as_yaml = match input.accepts.as_deref() {
        Some("application/yaml") => true,
        None | Some("application/json" | "*/*") => false,
        Some(other) => return Err(bad_request(format!("Invalid Accept header: {other}"))),
    };
    let api_id = input.rest_api_id.as_str();
    rest_api::load(&ctx, api_id).await?;
    let (store, scope) = (ctx.store(), ctx.scope());
    let stage = STAGES.get(store, scope, &(api_id, input.stage_name.as_str())).await?;
    let stage = stage.ok_or_else(errors::stage)?;
    let key = (api_id, stage.deployment_id.as_str());
    let deployment = DEPLOYMENTS.get(store, scope, &key).await?.ok_or_else(errors::deployment)?;
    let document = SNAPSHOTS.get(store, scope, &key).await?.ok_or_else(errors::deployment)?;
    let export = Export {
        format,
        extensions,
        stage: &stage.name,
        region: ctx.region().as_str(),
        version: document.api.version.clone().unwrap_or_else(|| deployment.created.iso8601()),
        document: &document,
    };
    let mut definition = export.definition();
    if export.extensions.documentation
        && let Some(written) = documentation(&ctx, api_id, &stage).await?
    {
        definition.insert("x-amazon-apigateway-documentation".to_owned(), written);
    }
    let definition = Value::Object(definition);
    let (text, end) = match as_yaml {
        true => (yaml::write(&definition), "yaml"),
        false => (format!("{definition:#}"), "json"),
    };
    let name = format!("{}_{}.{end}", format.name(), export.version);
    Ok(api::GetExportOutput {
        content_type: Some("application/octet-stream".to_owned()),
        content_disposition: Some(format!("attachment; filename=\"{name}\"")),
        body: Some(text.into()),
    })
}

/// The documentation version that the stage shows.
async fn documentation(ctx: &Ctx, api_id: &str, stage: &StageRecord) -> Result<Option<Value>> {
    let Some(version) = stage.documentation_version.as_deref() else { return Ok(None) };
    let found = DOCUMENTATION_VERSIONS.get(ctx.store(), ctx.scope(), &(api_id, version)).await?;
    Ok(found.as_ref().map(written))
}

fn written(record: &DocumentationVersionRecord) -> Value {
    let parts: Vec<Value> = record
        .parts
        .iter()
        .map(|part| {
            let location = sereno_wire::to_json(&crate::documentation::location(part));
            let properties: Value = serde_json::from_str(&part.properties).unwrap_or_default();
            json!({"location": location, "properties": properties})
        })
        .collect();
    json!({
        "version": record.version,
        "createdDate": record.created.iso8601(),
        "documentationParts": parts,
    })
}

impl Export<'_> {
    fn definition(&self) -> Map<String, Value> {
        let mut out = Map::new();
        match self.format {
            Format::Swagger => out.insert("swagger".to_owned(), "2.0".into()),
            Format::OpenApi => out.insert("openapi".to_owned(), "3.0.1".into()),
        };
        out.insert("info".to_owned(), self.info());
        self.address(&mut out);
        let mut used = models::Used::new(&self.document.models);
        out.insert("paths".to_owned(), Value::Object(self.paths(&mut used)));
        let schemes = extensions::schemes(self);
        let schemas = used.schemas(self.format);
        match self.format {
            Format::Swagger => {
                insert_filled(&mut out, "securityDefinitions", schemes);
                insert_filled(&mut out, "definitions", schemas);
            }
            Format::OpenApi => {
                let mut components = Map::new();
                insert_filled(&mut components, "schemas", schemas);
                insert_filled(&mut components, "securitySchemes", schemes);
                out.insert("components".to_owned(), Value::Object(components));
            }
        }
        if self.extensions.integrations {
            extensions::of_api(self.document, &mut out);
        }
        out
    }

    fn info(&self) -> Value {
        let api = &self.document.api;
        let mut info = Map::new();
        if let Some(text) = &api.description {
            info.insert("description".to_owned(), text.as_str().into());
        }
        info.insert("version".to_owned(), self.version.as_str().into());
        info.insert("title".to_owned(), api.name.as_str().into());
        Value::Object(info)
    }

    fn address(&self, out: &mut Map<String, Value>) {
        let host = format!("{}.execute-api.{}.amazonaws.com", self.document.api.id, self.region);
        match self.format {
            Format::Swagger => {
                out.insert("host".to_owned(), host.into());
                out.insert("basePath".to_owned(), format!("/{}", self.stage).into());
                out.insert("schemes".to_owned(), json!(["https"]));
            }
            Format::OpenApi => {
                let server = json!({
                    "url": format!("https://{host}/{{basePath}}"),
                    "variables": {"basePath": {"default": self.stage}},
                });
                out.insert("servers".to_owned(), json!([server]));
            }
        }
    }

    fn paths(&self, used: &mut models::Used<'_>) -> Map<String, Value> {
        let mut paths = Map::new();
        for resource in &self.document.resources {
            let mut operations = Map::new();
            for (verb, record) in &resource.methods {
                let name = match verb.as_str() {
                    "ANY" => "x-amazon-apigateway-any-method".to_owned(),
                    verb => verb.to_lowercase(),
                };
                operations.insert(name, method::operation(self, record, used));
            }
            insert_filled(&mut paths, &resource.path, operations);
        }
        paths
    }
}

fn insert_filled(out: &mut Map<String, Value>, name: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        out.insert(name.to_owned(), Value::Object(value));
    }
}

/// A map of texts, if it has any.
fn insert_texts(out: &mut Map<String, Value>, name: &str, texts: &BTreeMap<String, String>) {
    let texts = texts.iter().map(|(key, text)| (key.clone(), text.as_str().into())).collect();
    insert_filled(out, name, texts);
}
