//! Custom domains of HTTP and WebSocket APIs.

use crate::api::domain::record_set;
use crate::fault::{Fault, Result, expect};
use crate::intrinsics::{get_att, quoted_list, reference};
use crate::logical_id::hashed;
use crate::resource::Resource;
use crate::value::{Map, Text, Value, list, map};
use crate::world::World;

const MUTUAL_TLS: [&str; 2] = ["TruststoreUri", "TruststoreVersion"];

/// What the domain shares with its API.
pub struct Shared<'a> {
    pub id: &'a Text,
    pub inherited: &'a Map,
    /// The tag that marks what SAM made.
    pub mark: Option<&'a str>,
}

/// The resources of an API's domain.
#[derive(Default)]
pub struct Domain {
    pub name: Option<Resource>,
    pub mappings: Vec<Resource>,
    pub records: Option<Resource>,
}

pub fn domain(api: &Shared<'_>, settings: Value, world: &mut World<'_>) -> Result<Domain> {
    let Some(settings) = settings.as_map() else { return Ok(Domain::default()) };
    let name = settings.at("DomainName");
    let certificate = settings.at("CertificateArn");
    if name.is_null() || certificate.is_null() {
        return Err(Fault::resource(
            api.id,
            "Custom Domains only works if both DomainName and CertificateArn are provided.",
        ));
    }
    let domain_id = hashed("ApiGatewayDomainNameV2", name);
    let endpoint = match settings.at("EndpointConfiguration") {
        Value::Null => "REGIONAL".into(),
        given if given.as_str() == Some("REGIONAL") => given.clone(),
        _ => {
            return Err(Fault::resource(
                api.id,
                "EndpointConfiguration for Custom Domains must be one of ['REGIONAL'].",
            ));
        }
    };
    let mut configuration = map! { "CertificateArn" => certificate, "EndpointType" => endpoint };
    for name in ["OwnershipVerificationCertificateArn", "SecurityPolicy"] {
        if settings.at(name).truthy() {
            configuration.set(name, settings.at(name));
        }
    }
    let mut domain = Resource::new("AWS::ApiGatewayV2::DomainName", domain_id.as_str())?
        .with_attributes(api.inherited)
        .with("DomainName", name)
        .with("DomainNameConfigurations", list![configuration]);
    if let Some(mark) = api.mark {
        domain.set("Tags", map! { mark => "SAM" });
    }
    let mutual_tls = settings.at("MutualTlsAuthentication");
    if mutual_tls.truthy() {
        domain.set("MutualTlsAuthentication", checked_mutual_tls(api, mutual_tls)?);
    }
    let mappings = mappings(api, settings.at("BasePath"), &domain_id)?;
    let records = records(api, settings, &domain_id, world)?;
    Ok(Domain { name: Some(domain), mappings, records })
}

fn checked_mutual_tls(api: &Shared<'_>, given: &Value) -> Result<Map> {
    let fields = quoted_list(&MUTUAL_TLS);
    let Some(given) = given.as_map() else {
        return Err(Fault::resource(
            api.id,
            format!(
                "MutualTlsAuthentication must be a map with at least one of the following fields {fields}."
            ),
        ));
    };
    let mut unknown: Vec<&str> = given
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !MUTUAL_TLS.contains(name))
        .collect();
    if !unknown.is_empty() {
        unknown.sort_unstable();
        // AWS names the fields where it would name the resource.
        return Err(Fault::resource(
            unknown.join(","),
            format!("Available MutualTlsAuthentication fields are {fields}."),
        ));
    }
    let mut own = Map::new();
    for name in MUTUAL_TLS {
        if given.at(name).truthy() {
            own.set(name, given.at(name));
        }
    }
    Ok(own)
}

fn mappings(api: &Shared<'_>, given: &Value, domain: &str) -> Result<Vec<Resource>> {
    let paths = match given {
        Value::Str(_) if given.truthy() => vec![given.clone()],
        Value::List(paths) if given.truthy() => paths.clone(),
        _ => vec![Value::Null],
    };
    let whole = paths == [Value::Null];
    let mut mappings = Vec::new();
    for path in &paths {
        let text = path.as_str().unwrap_or_default();
        if !whole && !path.is_str() {
            return Err(Fault::resource(api.id, "Basepath must be a string."));
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_')) {
            return Err(Fault::resource(api.id, "Invalid Basepath name provided."));
        }
        let letters: String = text.chars().filter(|c| !matches!(c, '-' | '_' | '/')).collect();
        let id = api.id.plus(&format!("{letters}ApiMapping"));
        let mut mapping = Resource::new("AWS::ApiGatewayV2::ApiMapping", id)?
            .with_attributes(api.inherited)
            .with("DomainName", reference(domain))
            .with("ApiId", reference(api.id))
            .with("Stage", reference(api.id.plus(".Stage")));
        if !whole {
            mapping.set("ApiMappingKey", text.trim_matches('/'));
        }
        mappings.push(mapping);
    }
    Ok(mappings)
}

fn records(
    api: &Shared<'_>,
    settings: &Map,
    domain: &str,
    world: &mut World<'_>,
) -> Result<Option<Resource>> {
    let route53 = settings.at("Route53");
    if route53.is_null() {
        return Ok(None);
    }
    let route53 = expect(route53, api.id.as_str(), "Domain.Route53").map()?;
    let zone = route53.at("HostedZoneId").or(|| route53.at("HostedZoneName").clone());
    if route53.at("HostedZoneId").is_null() && route53.at("HostedZoneName").is_null() {
        return Err(Fault::resource(
            api.id,
            "HostedZoneId or HostedZoneName is required to enable Route53 support on Custom Domains.",
        ));
    }
    let id = hashed("RecordSetGroup", &zone);
    let mut group = match world.record_sets.remove(&id) {
        Some(group) => group,
        None => {
            let by = match route53.contains("HostedZoneId") {
                true => "HostedZoneId",
                false => "HostedZoneName",
            };
            Resource::new("AWS::Route53::RecordSetGroup", id.as_str())?
                .with_attributes(api.inherited)
                .with(by, route53.at(by))
        }
    };
    let mut alias = Map::new();
    if !route53.at("EvaluateTargetHealth").is_null() {
        alias.set("EvaluateTargetHealth", route53.at("EvaluateTargetHealth"));
    }
    alias.set("HostedZoneId", get_att(domain, "RegionalHostedZoneId"));
    alias.set("DNSName", get_att(domain, "RegionalDomainName"));
    let mut sets = group.at("RecordSets").as_list().unwrap_or_default().to_vec();
    let name = settings.at("DomainName");
    sets.push(record_set(name, "A", &alias, route53));
    if *route53.at("IpV6") == Value::Bool(true) {
        sets.push(record_set(name, "AAAA", &alias, route53));
    }
    group.set("RecordSets", sets);
    world.record_sets.insert(id, group.clone());
    Ok(Some(group))
}
