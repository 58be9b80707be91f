//! Puts what a template names by a local path where the server can read it: zips and uploads, then rewrites the path.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sereno_base::hex;
use sereno_wire::body::Method;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::client::Client;

/// Folders that never belong to a function's code.
const SKIPPED: &[&str] = &[".git", ".aws-sam", "__pycache__", ".DS_Store"];

/// How the place of an artefact is written back into the template.
#[derive(Clone, Copy)]
enum Form {
    /// `s3://bucket/key`
    Uri,
    /// `{"S3Bucket": ..., "S3Key": ...}`
    BucketAndKey,
    /// `{"Bucket": ..., "Key": ...}`
    Location,
}

#[derive(Clone, Copy, PartialEq)]
enum Artefact {
    /// A folder or file, zipped.
    Archive,
    /// A file as it is.
    File,
}

/// The properties that may hold a local path.
const PROPERTIES: &[(&str, &str, Artefact, Form)] = &[
    ("AWS::Serverless::Function", "CodeUri", Artefact::Archive, Form::Uri),
    ("AWS::Serverless::LayerVersion", "ContentUri", Artefact::Archive, Form::Uri),
    ("AWS::Serverless::Api", "DefinitionUri", Artefact::File, Form::Uri),
    ("AWS::Serverless::HttpApi", "DefinitionUri", Artefact::File, Form::Uri),
    ("AWS::Serverless::StateMachine", "DefinitionUri", Artefact::File, Form::Uri),
    ("AWS::Lambda::Function", "Code", Artefact::Archive, Form::BucketAndKey),
    ("AWS::Lambda::LayerVersion", "Content", Artefact::Archive, Form::BucketAndKey),
    ("AWS::ApiGateway::RestApi", "BodyS3Location", Artefact::File, Form::Location),
];

/// Where one resource's code lies on this machine.
pub struct LocalCode {
    pub logical_id: String,
    pub path: PathBuf,
}

/// The functions of a template whose code is local: what `sereno up` watches.
pub fn local_functions(template: &Value, base: &Path) -> Vec<LocalCode> {
    let is_function = |kind: &str| kind.ends_with("::Function");
    places(template)
        .into_iter()
        .filter(|(kind, ..)| is_function(kind))
        .filter_map(|(_, logical_id, property, _, _)| {
            let value = template["Resources"][&logical_id]["Properties"].get(property)?;
            let path = base.join(local_path(value)?);
            Some(LocalCode { logical_id, path })
        })
        .collect()
}

type Place = (&'static str, String, &'static str, Artefact, Form);

/// Every property of the template that may hold a path.
fn places(template: &Value) -> Vec<Place> {
    let Some(resources) = template.get("Resources").and_then(Value::as_object) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (logical_id, resource) in resources {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
        for (wanted, property, artefact, form) in PROPERTIES {
            if *wanted == kind {
                found.push((*wanted, logical_id.clone(), *property, *artefact, *form));
            }
        }
    }
    found
}

/// A path, and not a place in S3, an inline body or an intrinsic function.
fn local_path(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let remote = ["s3://", "http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    (!remote).then_some(text)
}

/// Uploads all local artefacts and answers the template that names them in S3.
pub async fn package(
    client: &Client,
    mut template: Value,
    base: &Path,
    bucket: &str,
) -> Result<Value, String> {
    let default = global_code_uri(&template);
    let mut has_bucket = false;
    for (kind, logical_id, property, artefact, form) in places(&template) {
        let properties = &mut template["Resources"][&logical_id]["Properties"];
        let missing_code = kind == "AWS::Serverless::Function"
            && ["CodeUri", "InlineCode", "ImageUri"].iter().all(|p| properties.get(p).is_none());
        if missing_code && let Some(default) = &default {
            properties["CodeUri"] = default.clone();
        }
        let Some(path) = properties.get(property).and_then(local_path).map(|p| base.join(p)) else {
            continue;
        };
        if !has_bucket {
            make_bucket(client, bucket).await?;
            has_bucket = true;
        }
        let bytes = match artefact {
            Artefact::Archive => archive(&path)?,
            Artefact::File => read(&path)?,
        };
        let key = upload(client, bucket, bytes).await?;
        properties[property] = place(bucket, &key, form);
    }
    Ok(template)
}

fn global_code_uri(template: &Value) -> Option<Value> {
    template.get("Globals")?.get("Function")?.get("CodeUri").cloned()
}

fn place(bucket: &str, key: &str, form: Form) -> Value {
    match form {
        Form::Uri => json!(format!("s3://{bucket}/{key}")),
        Form::BucketAndKey => json!({"S3Bucket": bucket, "S3Key": key}),
        Form::Location => json!({"Bucket": bucket, "Key": key}),
    }
}

async fn make_bucket(client: &Client, bucket: &str) -> Result<(), String> {
    let body = match client.region() {
        "us-east-1" => String::new(),
        region => format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint>\
             </CreateBucketConfiguration>"
        ),
    };
    let path = format!("/{bucket}");
    match client.send("s3", Method::PUT, &path, &[], body.into_bytes()).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code == "BucketAlreadyOwnedByYou" => Ok(()),
        Err(failure) => Err(format!("cannot make the bucket {bucket}: {failure}")),
    }
}

/// Under the name of its content: what is there already is not sent again.
async fn upload(client: &Client, bucket: &str, bytes: Vec<u8>) -> Result<String, String> {
    let key = hex(&Sha256::digest(&bytes));
    let path = format!("/{bucket}/{key}");
    if client.send("s3", Method::HEAD, &path, &[], Vec::new()).await.is_ok() {
        return Ok(key);
    }
    client.send("s3", Method::PUT, &path, &[], bytes).await?;
    Ok(key)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A folder's files, or one file, as a zip that is the same for the same content.
pub fn archive(path: &Path) -> Result<Vec<u8>, String> {
    if path.extension().is_some_and(|extension| extension == "zip" || extension == "jar") {
        return read(path);
    }
    let mut files = Vec::new();
    if path.is_dir() {
        list(path, &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    files.sort();
    let root = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let failed = |error: &dyn std::fmt::Display| format!("cannot zip {}: {error}", path.display());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(if is_executable(&file) { 0o755 } else { 0o644 });
        zip.start_file(name, options).map_err(|error| failed(&error))?;
        zip.write_all(&read(&file)?).map_err(|error| failed(&error))?;
    }
    Ok(zip.finish().map_err(|error| failed(&error))?.into_inner())
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// All files below a folder.
pub fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed =
        |error: std::io::Error| format!("cannot read the folder {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped)) {
            continue;
        }
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Parameters of the form `Name=Value`.
pub fn parameters(overrides: &[String]) -> Result<Map<String, Value>, String> {
    overrides
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), Value::from(value))),
            None => Err(format!("`{pair}` is not of the form Name=Value")),
        })
        .collect()
}

/// Uploads a template that is too large to be sent along; answers its URL.
pub async fn put_template(client: &Client, bucket: &str, body: String) -> Result<String, String> {
    make_bucket(client, bucket).await?;
    let key = upload(client, bucket, body.into_bytes()).await?;
    Ok(format!("{}/{bucket}/{key}", client.endpoint()))
}
