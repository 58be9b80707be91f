//! A schema from a model at run time: the vectors bring their own. Leaked: tests are short.

use std::collections::HashMap;

use serde_json::Value as Json;
use sereno_wire::route::Router;
use sereno_wire::schema::{
    self, Kind, Location, Member, OperationSchema, Protocol, Schema, ServiceSchema, TimestampFormat,
};

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn text(json: &Json) -> Option<&'static str> {
    json.as_str().map(|s| &**leak(s.to_owned()))
}

pub struct Suite<'a> {
    shapes: &'a Json,
    built: HashMap<String, &'static Schema>,
    building: Vec<String>,
}

impl<'a> Suite<'a> {
    pub fn new(shapes: &'a Json) -> Suite<'a> {
        Suite { shapes, built: HashMap::new(), building: Vec::new() }
    }

    /// A recursive shape is cut where it meets itself for the third time: deeper than any vector.
    fn schema(&mut self, name: &str, format: Option<&str>) -> &'static Schema {
        let cached = format!("{name}/{}", format.unwrap_or_default());
        if let Some(found) = self.built.get(&cached) {
            return found;
        }
        let shape = &self.shapes[name];
        let kind = self.kind(shape);
        if self.building.iter().filter(|n| *n == name).count() > 5 {
            return leak(Schema::structure("Cut", &[]));
        }
        self.building.push(name.to_owned());
        let id = text(&Json::String(name.to_owned())).unwrap_or_default();
        let schema = match kind {
            Kind::Structure | Kind::Union => {
                let members = self.members(shape);
                match kind {
                    Kind::Union => Schema::union(id, members),
                    _ => Schema::structure(id, members),
                }
            }
            Kind::List => Schema::list(id, self.member("member", &shape["member"], shape, false)),
            Kind::Map => Schema::map(
                id,
                self.member("key", &shape["key"], shape, false),
                self.member("value", &shape["value"], shape, false),
            ),
            _ => Schema::scalar(id, kind).format(
                match format.or(shape["timestampFormat"].as_str()) {
                    Some("iso8601") => TimestampFormat::Iso8601,
                    Some("rfc822") => TimestampFormat::Http,
                    Some("unixTimestamp") => TimestampFormat::Epoch,
                    _ => TimestampFormat::Protocol,
                },
            ),
        };
        self.building.pop();
        let schema = leak(schema);
        if self.building.is_empty() {
            self.built.insert(cached, schema);
        }
        schema
    }

    fn kind(&self, shape: &Json) -> Kind {
        match shape["type"].as_str().unwrap_or_default() {
            "structure" if shape["document"] == true => Kind::Document,
            "structure" if shape["union"] == true => Kind::Union,
            "structure" => Kind::Structure,
            "list" => Kind::List,
            "map" => Kind::Map,
            "boolean" => Kind::Boolean,
            "integer" | "short" | "byte" => Kind::Integer,
            "long" => Kind::Long,
            "float" | "double" => Kind::Double,
            "blob" if shape["streaming"] == true => Kind::Stream,
            "blob" => Kind::Blob,
            "timestamp" => Kind::Timestamp,
            _ => Kind::String,
        }
    }

    fn members(&mut self, shape: &Json) -> &'static [Member] {
        let members = shape["members"].as_object();
        let built: Vec<Member> = members
            .into_iter()
            .flatten()
            .map(|(name, spec)| self.member(name, spec, shape, true))
            .collect();
        leak(built)
    }

    fn member(&mut self, name: &str, spec: &Json, parent: &Json, own: bool) -> Member {
        let target = spec["shape"].as_str().unwrap_or_default();
        let shape = &self.shapes[target];
        let schema = self.schema(target, spec["timestampFormat"].as_str());
        let id = text(&Json::String(name.to_owned())).unwrap_or_default();
        let mut member = Member::new(id, schema);
        // Legacy vectors put a member's traits on its shape.
        let structure = shape["type"] == "structure";
        let wire = text(&spec["locationName"])
            .or_else(|| text(&shape["locationName"]).filter(|_| own && !structure));
        let place = if spec["location"].is_null() { shape } else { spec };
        let location = match place["location"].as_str() {
            Some("header") => Some(Location::Header),
            Some("headers") => Some(Location::PrefixHeaders),
            Some("uri") => Some(Location::Uri),
            Some("querystring") => Some(Location::Query),
            Some("statusCode") => Some(Location::StatusCode),
            _ => None,
        };
        member = match (location, wire) {
            (Some(Location::PrefixHeaders), wire) => {
                member.at(Location::PrefixHeaders, wire.unwrap_or_default())
            }
            (Some(location), wire) => member.at(location, wire.unwrap_or(id)),
            (None, Some(wire)) => member.wire(wire),
            (None, None) if own && parent["payload"] == name => {
                match text(&shape["locationName"]) {
                    Some(wire) => member.wire(wire),
                    None => member,
                }
            }
            (None, None) => member,
        };
        for place in [spec, shape] {
            if let (Some(uri), None) = (text(&place["xmlNamespace"]["uri"]), member.namespace) {
                let prefix = text(&place["xmlNamespace"]["prefix"]).unwrap_or_default();
                member = member.xmlns(prefix, uri);
            }
        }
        let either = |key: &str| spec[key] == true || shape[key] == true;
        let flags = [
            (either("flattened"), schema::FLATTENED),
            (spec["xmlAttribute"] == true, schema::XML_ATTRIBUTE),
            (own && parent["payload"] == name, schema::PAYLOAD),
            (
                shape["flattened"] == true
                    && spec["flattened"] != true
                    && shape["member"]["locationName"].is_string(),
                schema::FLAT_BY_ELEMENT,
            ),
            (either("jsonvalue"), schema::JSON_VALUE),
        ];
        flags.into_iter().filter(|(on, _)| *on).fold(member, |m, (_, flag)| m.with(flag))
    }

    pub fn operation(&mut self, metadata: &Json, given: &Json) -> &'static OperationSchema {
        let protocol = match (metadata["protocol"].as_str(), metadata["jsonVersion"].as_str()) {
            (Some("json"), Some("1.0")) => Protocol::Json10,
            (Some("json"), _) => Protocol::Json11,
            (Some("query"), _) => Protocol::Query,
            (Some("rest-json"), _) => Protocol::RestJson,
            (Some("smithy-rpc-v2-cbor"), _) => Protocol::Cbor,
            _ => Protocol::RestXml,
        };
        let frame = |suite: &mut Self, end: &str| match given[end]["shape"].as_str() {
            // Legacy vectors name the payload beside the shape.
            Some(name) if given[end]["payload"].is_string() => {
                let mut shape = suite.shapes[name].clone();
                shape["payload"] = given[end]["payload"].clone();
                let members = suite.members(&shape);
                leak(Schema::structure("Frame", members))
            }
            Some(name) => suite.schema(name, None),
            None => leak(Schema::structure("Unit", &[])),
        };
        let service: &'static mut ServiceSchema = Box::leak(Box::new(ServiceSchema {
            name: "vectors",
            service_id: "Vectors",
            api_version: "",
            signing_name: "",
            endpoint_prefix: "",
            protocols: leak([protocol]),
            target_prefix: text(&metadata["targetPrefix"]),
            xml_namespace: text(&metadata["xmlNamespace"]),
            error_namespace: None,
            global_endpoint: false,
            operations: &[],
            unserved: &[],
            errors: &[],
            router: Router::new(),
        }));
        // The operation and its service name each other: first a service without it.
        let bare = |service| OperationSchema {
            name: text(&given["name"]).unwrap_or_default(),
            service,
            method: text(&given["http"]["method"]).unwrap_or("POST"),
            uri: text(&given["http"]["requestUri"]).unwrap_or("/"),
            status: given["http"]["responseCode"].as_u64().unwrap_or(200) as u16,
            input: &schema::prelude::UNIT,
            output: &schema::prelude::UNIT,
            result_wrapper: text(&given["output"]["resultWrapper"])
                .or_else(|| text(&self.shapes[given["output"]["shape"].as_str()?]["resultWrapper"]))
                .or_else(|| {
                    let wrapper = format!("{}Result", given["name"].as_str()?);
                    let modern = metadata["protocols"].is_array();
                    text(&Json::String(wrapper)).filter(|_| modern && given["output"].is_object())
                }),
            input_root: None,
            output_root: None,
            unsigned: false,
            host_prefix: None,
            idempotency_token: None,
            checksum: None,
            errors: &[],
        };
        let shell: &'static ServiceSchema =
            leak(ServiceSchema { operations: &[], router: Router::new(), ..*service });
        let mut operation = bare(shell);
        operation.input = frame(self, "input");
        operation.output = frame(self, "output");
        let operation = leak(operation);
        service.operations = leak([operation]);
        leak(OperationSchema { service, checksum: None, ..*operation })
    }
}
