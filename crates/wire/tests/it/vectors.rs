//! AWS's own protocol vectors, as botocore carries them: requests must read as the parameters
//! they were made from, results must write as the responses they were read from.
//!
//! The vectors come from PyPI into `.cache/` when they are not there; without network the test
//! says so and passes. `known.txt` lists the cases that differ on purpose, with the reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use sereno_base::Timestamp;
use sereno_wire::schema::{Kind, Member, OperationSchema, Protocol, Schema};
use sereno_wire::xml::Element;
use sereno_wire::{Body, Dynamic, HttpRequest, Value, decode_with, encode, read_value, route};

use crate::model::Suite;

const VERSION: &str = "1.44.5";
const KNOWN: &str = include_str!("known.txt");

fn vectors() -> Option<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache");
    let folder = cache.join(format!("vectors-{VERSION}"));
    if folder.join("input").exists() {
        return Some(folder);
    }
    let archive = cache.join(format!("botocore-{VERSION}.tar.gz"));
    if !archive.exists() {
        std::fs::create_dir_all(&cache).ok()?;
        Command::new("pip")
            .args(["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"])
            .arg(&cache)
            .arg(format!("botocore=={VERSION}"))
            .output()
            .ok()?;
    }
    std::fs::create_dir_all(&folder).ok()?;
    let unpacked = Command::new("tar")
        .args(["xzf"])
        .arg(&archive)
        .arg("-C")
        .arg(&folder)
        .arg("--strip-components=4")
        .arg(format!("botocore-{VERSION}/tests/unit/protocols"))
        .status()
        .is_ok_and(|status| status.success());
    unpacked.then_some(folder)
}

#[test]
fn requests_read_as_their_parameters() {
    run("input", check_input);
}

#[test]
fn results_write_as_their_responses() {
    run("output", check_output);
}

fn run(end: &str, check: fn(&'static OperationSchema, &Json) -> Result<(), String>) {
    let Some(folder) = vectors() else {
        eprintln!("skipped: botocore {VERSION} cannot be fetched from PyPI");
        return;
    };
    let known: BTreeMap<&str, &str> = KNOWN
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let (mut passed, mut excepted, mut wrong) = (0, 0, Vec::new());
    for folder in [folder.clone(), folder.join("legacy")] {
        for file in ["json", "json_1_0", "query", "rest-json", "rest-xml", "smithy-rpc-v2-cbor"] {
            let path = folder.join(end).join(format!("{file}.json"));
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let suites: Vec<Json> = serde_json::from_str(&text).expect("the vectors are JSON");
            for suite in &suites {
                for (index, case) in suite["cases"].as_array().into_iter().flatten().enumerate() {
                    let description = suite["description"].as_str().unwrap_or_default();
                    let id = match case["id"].as_str() {
                        Some(id) => format!("{file}:{id}"),
                        None => format!("{file}:{}:{index}", description.replace(' ', "_")),
                    };
                    let mut schemas = Suite::new(&suite["shapes"]);
                    let operation = schemas.operation(&suite["metadata"], &case["given"]);
                    let result = check(operation, case);
                    match (result, known.contains_key(format!("{end}/{id}").as_str())) {
                        (Ok(()), false) => passed += 1,
                        (Err(_), true) => excepted += 1,
                        (Ok(()), true) => {
                            wrong.push(format!("{end}/{id} passes: not an exception"))
                        }
                        (Err(error), false) => {
                            let error: String = error.chars().take(600).collect();
                            wrong.push(format!("{end}/{id} {error}"));
                        }
                    }
                }
            }
        }
    }
    println!("{end}: {passed} passed, {excepted} known exceptions, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_input(operation: &'static OperationSchema, case: &Json) -> Result<(), String> {
    let serialized = &case["serialized"];
    let uri = serialized["uri"].as_str().unwrap_or("/");
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let method = serialized["method"].as_str().unwrap_or(operation.method);
    let method = method.parse().map_err(|_| "method")?;
    let mut request = HttpRequest::new(method, path);
    request.query = query.to_owned();
    for (name, value) in serialized["headers"].as_object().into_iter().flatten() {
        let name: http::HeaderName = name.parse().map_err(|_| "header")?;
        request
            .headers
            .insert(name, value.as_str().unwrap_or_default().parse().map_err(|_| "value")?);
    }
    let protocol = operation.service.protocols[0];
    let mut body = serialized["body"].as_str().unwrap_or_default().as_bytes().to_vec();
    if protocol == Protocol::Cbor {
        body = sereno_base::base64_decode(&String::from_utf8_lossy(&body)).unwrap_or_default();
    }
    let body = Bytes::from(body);
    request.body = Body::Bytes(body.clone());
    // The legacy vectors' requests do not name the operation.
    let found = match protocol {
        Protocol::RestJson | Protocol::RestXml => {
            route(operation.service, protocol, &request).map_err(|e| format!("{e:?}"))?
        }
        _ => sereno_wire::Route::to(operation),
    };
    let mut value = None;
    decode_with(protocol, &found, request, body, &mut |r| {
        value = Some(read_value(operation.input, r)?);
        Ok(())
    })
    .map_err(|error| format!("{error:?}"))?;
    let value = value.ok_or("nothing read")?;
    let found = to_params(&value);
    let mut wanted = case["params"].clone();
    if wanted.is_null() {
        wanted = json!({});
    }
    normalise(&mut wanted, operation.input);
    match found == wanted {
        true => Ok(()),
        false => Err(format!("read {found}, wanted {wanted}")),
    }
}

/// What the vectors call parameters: members by name, timestamps in seconds, blobs as text.
fn to_params(value: &Value) -> Json {
    match value {
        Value::Structure(members) => {
            let map: Map<String, Json> =
                members.iter().map(|(name, v)| ((*name).to_owned(), to_params(v))).collect();
            sorted(map)
        }
        Value::Map(items) => {
            sorted(items.iter().map(|(name, v)| (name.clone(), to_params(v))).collect())
        }
        Value::List(items) => items.iter().map(to_params).collect(),
        // JSON in a string: the vectors give it parsed.
        Value::String(text) if text.starts_with('{') => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        Value::String(text) => json!(text),
        Value::Boolean(value) => json!(value),
        Value::Long(value) => json!(*value as f64),
        Value::Double(value) if value.is_finite() => json!(value),
        Value::Double(value) if value.is_nan() => json!("NaN"),
        Value::Double(value) if *value > 0.0 => json!("Infinity"),
        Value::Double(_) => json!("-Infinity"),
        Value::Blob(bytes) => json!(String::from_utf8_lossy(bytes)),
        Value::Timestamp(at) => json!(at.secs_f64()),
        Value::Document(document) => document.clone(),
        Value::Stream(Body::Bytes(bytes)) => json!(String::from_utf8_lossy(bytes)),
        Value::Stream(_) => Json::Null,
    }
}

fn sorted(map: Map<String, Json>) -> Json {
    let ordered: BTreeMap<String, Json> = map.into_iter().collect();
    Json::Object(ordered.into_iter().collect())
}

/// Numbers as floats, keys sorted, nulls gone, headers' maps in lower case.
fn normalise(json: &mut Json, schema: &'static Schema) {
    if let Json::Object(map) = json {
        for member in schema.members {
            if let Some(inner) = map.get_mut(member.name) {
                normalise_member(inner, member);
            }
        }
        map.retain(|_, value| !value.is_null());
        *json = sorted(std::mem::take(map));
    }
}

fn normalise_member(json: &mut Json, m: &'static Member) {
    match m.target.kind {
        Kind::Structure | Kind::Union => normalise(json, m.target),
        Kind::List => {
            let element = m.target.element.as_ref().expect("a list has an element");
            if let Json::Array(items) = json {
                items.retain(|item| !item.is_null());
                items.iter_mut().for_each(|item| normalise_member(item, element));
            }
        }
        Kind::Map => {
            let element = m.target.element.as_ref().expect("a map has a value");
            if let Json::Object(map) = json {
                map.retain(|_, item| !item.is_null());
                map.values_mut().for_each(|item| normalise_member(item, element));
                let lower = m.location == sereno_wire::Location::PrefixHeaders;
                let entries = std::mem::take(map)
                    .into_iter()
                    .map(|(name, value)| (if lower { name.to_lowercase() } else { name }, value));
                *json = sorted(entries.collect());
            }
        }
        Kind::Integer | Kind::Long | Kind::Double | Kind::Timestamp => {
            if let Some(number) = json.as_f64() {
                *json = json!(number);
            }
        }
        _ => {}
    }
}

/// The opposite of `to_params`.
fn from_params(json: &Json, m: &'static Member) -> Option<Value> {
    Some(match m.target.kind {
        _ if json.is_null() => return None,
        Kind::Structure | Kind::Union => from_object(json, m.target),
        Kind::List => {
            let element = m.target.element.as_ref()?;
            let items = json.as_array()?.iter().filter_map(|item| from_params(item, element));
            Value::List(items.collect())
        }
        Kind::Map => {
            let element = m.target.element.as_ref()?;
            let items = json.as_object()?.iter();
            Value::Map(
                items
                    .filter_map(|(name, item)| Some((name.clone(), from_params(item, element)?)))
                    .collect(),
            )
        }
        Kind::String | Kind::Enum => Value::String(match json.as_str() {
            Some(text) => text.to_owned(),
            None => json.to_string(),
        }),
        Kind::Boolean => Value::Boolean(json.as_bool()?),
        Kind::Integer | Kind::Long => {
            Value::Long(json.as_i64().or(json.as_str().and_then(|t| t.parse().ok()))?)
        }
        Kind::Double => Value::Double(match json.as_str() {
            Some("NaN") => f64::NAN,
            Some("Infinity") => f64::INFINITY,
            Some(_) => f64::NEG_INFINITY,
            None => json.as_f64()?,
        }),
        Kind::Blob => Value::Blob(Bytes::from(json.as_str()?.to_owned())),
        Kind::Stream => Value::Stream(Body::from(json.as_str()?.to_owned())),
        Kind::Timestamp => Value::Timestamp(Timestamp::from_secs_f64(json.as_f64()?)?),
        Kind::Document => Value::Document(json.clone()),
    })
}

fn from_object(json: &Json, schema: &'static Schema) -> Value {
    let members = schema
        .members
        .iter()
        .filter_map(|m| Some((m.name, from_params(json.get(m.name)?, m)?)))
        .collect();
    Value::Structure(members)
}

fn check_output(operation: &'static OperationSchema, case: &Json) -> Result<(), String> {
    if case.get("errorCode").is_some() || case.get("error").is_some() {
        // Errors are written by `encode_error`, which has tests of its own.
        return Ok(());
    }
    let protocol = operation.service.protocols[0];
    let value = from_object(&case["result"], operation.output);
    let output = Dynamic { schema: operation.output, value };
    let id = "request-id";
    let response = encode(protocol, operation, &output, id);
    let wanted = &case["response"];
    if let Some(status) = wanted["status_code"].as_u64()
        && status != u64::from(response.status)
    {
        return Err(format!("status {}", response.status));
    }
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let found = response.headers.get(name.to_lowercase().as_str());
        let found = found.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        let value = value.as_str().unwrap_or_default();
        let same = found.as_deref().is_some_and(|f| f == value);
        let ignored = ["content-type", "x-amzn-requestid", "content-length", "smithy-protocol"];
        if !same && !ignored.contains(&name.to_lowercase().as_str()) {
            return Err(format!("header {name} is {found:?}, wanted {value}"));
        }
    }
    let Body::Bytes(body) = &response.body else { return Err("a stream".to_owned()) };
    let body = match protocol {
        Protocol::Cbor => sereno_base::base64_encode(body),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    same_body(protocol, &body, wanted["body"].as_str().unwrap_or_default()).or_else(|error| {
        match round_trip(protocol, operation, &output, wanted) {
            true => Ok(()),
            false => Err(error),
        }
    })
}

fn same_body(protocol: Protocol, found: &str, wanted: &str) -> Result<(), String> {
    let error = || format!("wrote {found}, wanted {wanted}");
    if found == wanted {
        return Ok(());
    }
    match (Element::parse(found), Element::parse(wanted)) {
        (Ok(mut found), Ok(mut wanted)) => {
            let query = protocol == Protocol::Query;
            tidy(&mut found, query);
            tidy(&mut wanted, query);
            wanted.name.clone_from(&found.name);
            return (found == wanted).then_some(()).ok_or_else(error);
        }
        (Ok(mut found), Err(_)) if wanted.is_empty() => {
            tidy(&mut found, true);
            return found.children.is_empty().then_some(()).ok_or_else(error);
        }
        _ => {}
    }
    let parse = |text: &str| -> Option<Json> {
        let mut json = serde_json::from_str(text).ok()?;
        numbers(&mut json);
        Some(json)
    };
    match (parse(found), parse(wanted)) {
        (Some(a), Some(b)) if a == b => Ok(()),
        (Some(a), None) if wanted.is_empty() && a == json!({}) => Ok(()),
        _ => Err(error()),
    }
}

/// Where AWS may write a value in several ways, reading AWS's form must give our value.
fn round_trip(
    protocol: Protocol,
    operation: &'static OperationSchema,
    output: &Dynamic,
    wanted: &Json,
) -> bool {
    use sereno_wire::json::{JsonReader, Names};
    use sereno_wire::xml::XmlReader;
    let text = wanted["body"].as_str().unwrap_or_default();
    let rest = matches!(protocol, Protocol::RestJson | Protocol::RestXml);
    if rest && operation.output.payload().is_some() {
        return false;
    }
    let read = match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            let mut reader = JsonReader::new(text, Names::Wire, None);
            read_value(operation.output, &mut reader)
        }
        Protocol::Query | Protocol::RestXml => {
            let Ok(root) = Element::parse(text) else { return false };
            let inner = operation.result_wrapper.and_then(|name| root.child(name));
            read_value(operation.output, &mut XmlReader::new(inner.unwrap_or(&root), None))
        }
        Protocol::Cbor => {
            let bytes = sereno_base::base64_decode(text).unwrap_or_default();
            let bytes = if bytes.is_empty() { vec![0xa0] } else { bytes };
            read_value(operation.output, &mut sereno_wire::cbor::CborReader::new(&bytes, None))
        }
    };
    let Ok(read) = read else { return false };
    // Members outside the body are compared above.
    let body_only = |value: &Value| {
        let mut json = to_params(value);
        if let Json::Object(map) = &mut json {
            map.retain(|name, _| {
                operation
                    .output
                    .member(name)
                    .is_some_and(|(_, m)| m.location == sereno_wire::Location::Body)
            });
        }
        json
    };
    body_only(&read) == body_only(&output.value)
}

fn tidy(element: &mut Element, query: bool) {
    if query {
        element.children.retain(|c| !matches!(c.name.as_str(), "ResponseMetadata" | "RequestId"));
    }
    if !element.children.is_empty() {
        element.text.clear();
    }
    element.attributes.retain(|(name, _)| !name.starts_with("xmlns"));
    element.children.iter_mut().for_each(|child| tidy(child, false));
    let mut named: Vec<Element> = std::mem::take(&mut element.children);
    named.sort_by(|a, b| a.name.cmp(&b.name));
    element.children = named;
}

fn numbers(json: &mut Json) {
    match json {
        Json::Number(number) => *json = json!(number.as_f64()),
        Json::Array(items) => items.iter_mut().for_each(numbers),
        Json::Object(map) => {
            map.values_mut().for_each(numbers);
            map.retain(|_, value| !value.is_null());
            *json = sorted(std::mem::take(map));
        }
        _ => {}
    }
}
