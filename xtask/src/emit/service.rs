//! The second half of a file: frames, errors, operations, and the service that holds them.

use std::fmt::Write;

use serde_json::Value;

use super::{Emitter, flag};
use crate::names::screaming;

impl Emitter<'_> {
    /// Inputs and outputs that are no shape of their own.
    pub(super) fn frames(&mut self) {
        for (frame, shape) in &self.aliases {
            match shape.is_empty() {
                true => {
                    let _ = writeln!(
                        self.out,
                        "w::structure! {{ {frame} {} {frame:?} {{}} }}\n",
                        screaming(frame)
                    );
                }
                false => {
                    let _ = writeln!(self.out, "pub type {frame} = {};\n", self.types[shape]);
                }
            }
        }
    }

    fn error_names(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .model
            .served
            .iter()
            .flat_map(|name| self.model.errors(self.model.operation(name)))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    pub(super) fn errors(&mut self) {
        for name in self.error_names() {
            let shape = self.model.shape(&name);
            let error = &shape["error"];
            let code = error["code"].as_str().unwrap_or(&name).to_owned();
            let fault = flag(shape, "fault");
            let status = error["httpStatusCode"].as_u64().unwrap_or(if fault { 500 } else { 400 });
            let sender = error["senderFault"].as_bool().unwrap_or(!fault && status < 500);
            let (id, schema) = (error_static(&name), &self.statics[&name]);
            let _ = writeln!(
                self.out,
                "pub static {id}: w::ErrorSchema = w::ErrorSchema {{ shape: {name:?}, \
                 code: {code:?}, status: {status}, sender_fault: {sender}, schema: &{schema} }};\n"
            );
        }
    }

    pub(super) fn operations(&mut self) {
        for name in &self.model.served {
            let spec = self.model.operation(name);
            let http = &spec["http"];
            let text = |value: &Value| format!("{:?}", value.as_str());
            let input = spec["input"]["shape"].as_str().unwrap_or_default();
            let members = self.model.shape(input)["members"].as_object();
            let token = members
                .into_iter()
                .flatten()
                .find(|(_, member)| flag(member, "idempotencyToken"))
                .map(|(name, _)| name.as_str());
            let unsigned = spec["authtype"] == "none"
                || spec["auth"]
                    .as_array()
                    .is_some_and(|a| a.iter().any(|x| x == "smithy.api#noAuth"));
            let checksum = &spec["httpChecksum"];
            let checksum = match checksum.is_object() {
                false => "None".to_owned(),
                true => format!(
                    "Some(w::Checksum {{ algorithm_member: {}, required: {}, mode_member: {} }})",
                    text(&checksum["requestAlgorithmMember"]),
                    flag(checksum, "requestChecksumRequired"),
                    text(&checksum["requestValidationModeMember"])
                ),
            };
            let errors: Vec<String> =
                self.model.errors(spec).iter().map(|e| format!("&{}", error_static(e))).collect();
            let _ = writeln!(
                self.out,
                "w::operation! {{ {name}({name}Input) -> {name}Output = OP_{} {{\n    \
                 name: {name:?}, method: {:?}, uri: {:?}, status: {},\n    \
                 result_wrapper: {}, input_root: {}, output_root: {}, unsigned: {unsigned}, host_prefix: {},\n    \
                 idempotency_token: {token:?}, checksum: {checksum},\n    errors: &[{}],\n}} }}\n",
                screaming(name),
                http["method"].as_str().unwrap_or("POST"),
                http["requestUri"].as_str().unwrap_or("/"),
                http["responseCode"].as_u64().unwrap_or(200),
                text(&spec["output"]["resultWrapper"]),
                text(&spec["input"]["locationName"]),
                text(&spec["output"]["locationName"]),
                text(&spec["endpoint"]["hostPrefix"]),
                errors.join(", "),
            );
        }
    }

    pub(super) fn service(&mut self) {
        let model = self.model;
        let prefix = model.metadata("endpointPrefix").unwrap_or_default();
        let protocols: Vec<String> = model
            .protocols()
            .into_iter()
            .filter_map(|p| protocol(p, model.metadata("jsonVersion")))
            .map(|p| format!("w::Protocol::{p}"))
            .collect();
        let operations: Vec<String> =
            model.served.iter().map(|name| format!("&OP_{}", screaming(name))).collect();
        let errors: Vec<String> =
            self.error_names().iter().map(|name| format!("&{}", error_static(name))).collect();
        let _ = write!(
            self.out,
            "pub static SERVICE: w::ServiceSchema = w::ServiceSchema {{ name: {:?}, \
             service_id: {:?}, api_version: {:?}, signing_name: {:?}, endpoint_prefix: {prefix:?}, \
             protocols: &[{}], target_prefix: {:?}, xml_namespace: {:?}, error_namespace: {:?}, \
             global_endpoint: {}, operations: &[{}], unserved: UNSERVED, errors: &[{}], \
             router: w::Router::new() }};\n\n\
             static UNSERVED: &[w::OperationStub] = &[\n",
            model.name,
            model.metadata("serviceId").unwrap_or_default(),
            model.metadata("apiVersion").unwrap_or_default(),
            model.metadata("signingName").unwrap_or(prefix),
            protocols.join(", "),
            model.metadata("targetPrefix"),
            model.metadata("xmlNamespace"),
            model.metadata("errorNamespace"),
            model.metadata("globalEndpoint").is_some(),
            operations.join(", "),
            errors.join(", "),
        );
        for (name, spec) in model.operations() {
            if !model.served.contains(name) {
                let _ = writeln!(
                    self.out,
                    "    w::stub({name:?}, {:?}, {:?}),",
                    spec["http"]["method"].as_str().unwrap_or("POST"),
                    spec["http"]["requestUri"].as_str().unwrap_or("/")
                );
            }
        }
        self.out.push_str("];\n");
    }
}

fn error_static(name: &str) -> String {
    format!("ERR_{}", screaming(name))
}

fn protocol(name: &str, json_version: Option<&str>) -> Option<&'static str> {
    Some(match name {
        "json" if json_version == Some("1.0") => "Json10",
        "json" => "Json11",
        "query" => "Query",
        "rest-json" => "RestJson",
        "rest-xml" => "RestXml",
        "smithy-rpc-v2-cbor" => "Cbor",
        _ => return None,
    })
}
