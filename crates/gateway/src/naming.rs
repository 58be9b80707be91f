//! Which service a request means. Order: X-Amz-Target, credential scope, host, `Action` and `Version`, path, S3.
//!
//! The target comes first because it alone tells apart services that share a host and a signing name.

use std::collections::HashMap;

use sereno_kernel::Cloud;
use sereno_wire::{HttpRequest, Protocol, ServiceSchema};

/// The services by every name that a request may give them. Built once.
pub struct Directory {
    by_target: HashMap<&'static str, usize>,
    by_signing_name: HashMap<&'static str, Vec<usize>>,
    by_host_label: HashMap<&'static str, usize>,
    by_version: HashMap<&'static str, usize>,
    /// Services whose operations are told by their paths; S3, which takes every path, is not among them.
    by_path: Vec<(usize, &'static ServiceSchema)>,
    s3: Option<usize>,
}

/// What a request says of its service.
#[derive(Debug, PartialEq)]
pub enum Named {
    /// An index into `Cloud::services`.
    Service(usize),
    /// AWS's name of a service that is not part of this cloud.
    Unserved(String),
}

impl Directory {
    pub fn new(cloud: &Cloud) -> Directory {
        let mut directory = Directory {
            by_target: HashMap::new(),
            by_signing_name: HashMap::new(),
            by_host_label: HashMap::new(),
            by_version: HashMap::new(),
            by_path: Vec::new(),
            s3: None,
        };
        for (index, service) in cloud.services().iter().enumerate() {
            let schema = service.schema();
            if let Some(target) = schema.target_prefix {
                directory.by_target.insert(target, index);
            }
            directory.by_signing_name.entry(schema.signing_name).or_default().push(index);
            directory.by_host_label.entry(schema.endpoint_prefix).or_insert(index);
            if schema.protocols.contains(&Protocol::Query) {
                directory.by_version.insert(schema.api_version, index);
            }
            if schema.protocols.first() == Some(&Protocol::RestJson) {
                directory.by_path.push((index, schema));
            }
            if schema.name == "s3" {
                directory.s3 = Some(index);
            }
        }
        directory
    }

    /// `scope_service` is the service in the credential scope, if the request has one.
    pub fn name(&self, request: &HttpRequest, host: &str, scope_service: Option<&str>) -> Named {
        if let Some(target) = request.header("x-amz-target") {
            let prefix = target.rsplit_once('.').map_or(target, |(prefix, _)| prefix);
            return match self.by_target.get(prefix) {
                Some(index) => Named::Service(*index),
                None => Named::Unserved(prefix.to_owned()),
            };
        }
        if let Some(scope_service) = scope_service {
            return self.by_scope(scope_service, &request.path);
        }
        if let Some(index) = self.by_host(host) {
            return Named::Service(index);
        }
        if let Some(version) = form_value(&request.query, "Version")
            && let Some(index) = self.by_version.get(version.as_str())
        {
            return Named::Service(*index);
        }
        // Unsigned: a request for one of these paths means the service that has it.
        let meant = self
            .by_path
            .iter()
            .find(|(_, schema)| sereno_wire::route(schema, Protocol::RestJson, request).is_ok());
        match meant.map(|(index, _)| *index).or(self.s3) {
            Some(index) => Named::Service(index),
            None => Named::Unserved("s3".to_owned()),
        }
    }

    /// By the `Version` of a form, for an unsigned call such as AssumeRoleWithWebIdentity.
    pub fn by_form(&self, form: &str) -> Option<usize> {
        self.by_version.get(form_value(form, "Version")?.as_str()).copied()
    }

    fn by_scope(&self, scope_service: &str, path: &str) -> Named {
        let unserved = || Named::Unserved(scope_service.to_owned());
        // S3 Control signs as S3 and shares its host.
        if scope_service == "s3" && path.starts_with("/v20180820/") {
            return Named::Unserved("s3control".to_owned());
        }
        // Version 2 of API Gateway signs as version 1.
        if scope_service == "apigateway" && path.starts_with("/v2/") {
            return Named::Unserved("apigatewayv2".to_owned());
        }
        match self.by_signing_name.get(scope_service).map(Vec::as_slice) {
            Some([index, ..]) => Named::Service(*index),
            _ => unserved(),
        }
    }

    /// `dynamodb.eu-west-1.amazonaws.com`, `dynamodb.localhost`.
    fn by_host(&self, host: &str) -> Option<usize> {
        if bucket_of_host(host).is_some() {
            return self.s3;
        }
        let (label, rest) = host.split_once('.')?;
        if rest.is_empty() || rest.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        self.by_host_label.get(label).copied()
    }
}

/// The bucket of `{bucket}.s3[.{region}].{base}`, `{bucket}.s3-{region}.{base}`; buckets may have dots.
pub fn bucket_of_host(host: &str) -> Option<&str> {
    let at = host.find(".s3.").or_else(|| host.find(".s3-"))?;
    (at > 0).then(|| &host[..at])
}

fn form_value(form: &str, name: &str) -> Option<String> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    sereno_base::percent_decode(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_in_hosts() {
        assert_eq!(bucket_of_host("photos.s3.localhost"), Some("photos"));
        assert_eq!(bucket_of_host("a.b.s3.eu-west-1.amazonaws.com"), Some("a.b"));
        assert_eq!(bucket_of_host("photos.s3-eu-west-1.amazonaws.com"), Some("photos"));
        assert_eq!(bucket_of_host("s3.amazonaws.com"), None);
        assert_eq!(bucket_of_host("localhost"), None);
    }
}
