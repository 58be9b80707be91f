//! Custom domains of REST APIs, with base paths and DNS records.

use super::Api;
use crate::fault::{Result, expect};
use crate::intrinsics::{get_att, reference};
use crate::logical_id::hashed;
use crate::resource::Resource;
use crate::value::{Map, Text, Value, list, map};
use crate::world::World;

/// Where CloudFront answers, whatever the distribution.
const CLOUDFRONT_ZONE: &str = "Z2FDTNDATAQYW2";

/// The resources of an API's domain.
#[derive(Default)]
pub struct Domain {
    pub name: Option<Resource>,
    pub mappings: Vec<Resource>,
    pub records: Option<Resource>,
    pub association: Option<Resource>,
}

/// Makes the domain that `api.domain` asks for. The settings it fills in become part of
/// `api.domain`, and so of the deployment's id.
pub fn domain(api: &mut Api, world: &mut World<'_>) -> Result<Domain> {
    if api.domain.is_null() {
        return Ok(Domain::default());
    }
    if api.domain.at("EndpointConfiguration").as_str() == Some("PRIVATE") {
        private(api, world)
    } else {
        public(api, world)
    }
}

fn public(api: &mut Api, world: &mut World<'_>) -> Result<Domain> {
    let id = api.source.id.clone();
    let mut settings = expect(&api.domain, id.as_str(), "Domain").map()?.clone();
    let (name, certificate) = name_and_certificate(&id, &settings)?;
    let domain_id = hashed("ApiGatewayDomainName", &name);
    settings.set("ApiDomainName", domain_id.as_str());
    let mut domain = Resource::new("AWS::ApiGateway::DomainName", domain_id.as_str())?
        .with_attributes(&api.inherited)
        .with("DomainName", name);
    if settings.at("EndpointConfiguration").is_null() {
        settings.set("EndpointConfiguration", "REGIONAL");
    }
    api.domain = settings.clone().into();
    let endpoint = endpoint_type(api, &settings)?;
    let certificate_name = match endpoint.as_str() {
        Some("REGIONAL") => "RegionalCertificateArn",
        _ => "CertificateArn",
    };
    domain.set(certificate_name, certificate);
    domain.set("EndpointConfiguration", endpoint_configuration(&endpoint, &settings));
    set_mutual_tls(api, &mut domain, settings.at("MutualTlsAuthentication"))?;
    for name in ["SecurityPolicy", "EndpointAccessMode", "OwnershipVerificationCertificateArn"] {
        if settings.at(name).truthy() {
            domain.set(name, settings.at(name));
        }
    }
    let mappings = mappings(api, &settings, |resource| {
        resource.with("DomainName", reference(domain_id.as_str()))
    })?;
    let records = records(api, &domain_id.as_str().into(), world)?;
    Ok(Domain { name: Some(domain), mappings, records, association: None })
}

fn private(api: &mut Api, world: &mut World<'_>) -> Result<Domain> {
    let id = api.source.id.clone();
    let settings = expect(&api.domain, id.as_str(), "Domain").map()?.clone();
    let (name, certificate) = name_and_certificate(&id, &settings)?;
    let domain_id = hashed("ApiGatewayDomainNameV2", &name);
    let arn = reference(domain_id.as_str());
    let endpoint = endpoint_type(api, &settings)?;
    let mut domain = Resource::new("AWS::ApiGateway::DomainNameV2", domain_id.as_str())?
        .with_attributes(&api.inherited)
        .with("DomainName", &name)
        .with("CertificateArn", certificate)
        .with("EndpointConfiguration", endpoint_configuration(&endpoint, &settings));
    for name in ["SecurityPolicy", "EndpointAccessMode", "Policy"] {
        if settings.at(name).truthy() {
            domain.set(name, settings.at(name));
        }
    }
    let mut mappings = mappings(api, &settings, |resource| resource.with("DomainNameArn", &arn))?;
    for mapping in &mut mappings {
        mapping.kind = "AWS::ApiGateway::BasePathMappingV2";
    }
    let association = match settings.at("AccessAssociation") {
        Value::Null => None,
        wanted => {
            expect(wanted, id.as_str(), "Domain.AccessAssociation").map()?;
            let endpoint = wanted.at("VpcEndpointId");
            let seed = list![endpoint, domain_id.as_str()];
            let kind = "AWS::ApiGateway::DomainNameAccessAssociation";
            Some(
                Resource::new(kind, hashed("DomainNameAccessAssociation", &seed))?
                    .with_attributes(&api.inherited)
                    .with("DomainNameArn", arn)
                    .with("AccessAssociationSourceType", "VPCE")
                    .with("AccessAssociationSource", endpoint),
            )
        }
    };
    let records = records(api, &name, world)?;
    Ok(Domain { name: Some(domain), mappings, records, association })
}

fn name_and_certificate(id: &Text, settings: &Map) -> Result<(Value, Value)> {
    let id = id.as_str();
    let name = expect(settings.at("DomainName"), id, "Domain.DomainName").present()?;
    let certificate =
        expect(settings.at("CertificateArn"), id, "Domain.CertificateArn").present()?;
    Ok((name.clone(), certificate.clone()))
}

fn endpoint_type(api: &Api, settings: &Map) -> Result<Value> {
    let endpoint = settings.at("EndpointConfiguration");
    match endpoint.as_str() {
        Some("EDGE" | "REGIONAL" | "PRIVATE") => Ok(endpoint.clone()),
        _ => Err(api.fault(
            "EndpointConfiguration for Custom Domains must be one of ['EDGE', 'REGIONAL', 'PRIVATE'].",
        )),
    }
}

fn endpoint_configuration(endpoint: &Value, settings: &Map) -> Map {
    let mut configuration = map! { "Types" => list![endpoint] };
    if settings.at("IpAddressType").truthy() {
        configuration.set("IpAddressType", settings.at("IpAddressType"));
    }
    configuration
}

fn set_mutual_tls(api: &Api, domain: &mut Resource, wanted: &Value) -> Result<()> {
    if !wanted.truthy() {
        return Ok(());
    }
    let path = "Domain.MutualTlsAuthentication";
    let wanted = expect(wanted, api.source.id.as_str(), path).map()?;
    let known = ["TruststoreUri", "TruststoreVersion"];
    if wanted.iter().any(|(name, _)| !known.contains(&name.as_str())) {
        return Err(api.fault(
            "Available Domain.MutualTlsAuthentication fields are ['TruststoreUri', 'TruststoreVersion'].",
        ));
    }
    let mut own = Map::new();
    for name in known {
        if wanted.at(name).truthy() {
            own.set(name, wanted.at(name));
        }
    }
    domain.set("MutualTlsAuthentication", own);
    Ok(())
}

/// One mapping for each base path, or one for the whole domain.
fn mappings(
    api: &Api,
    settings: &Map,
    on_domain: impl Fn(Resource) -> Resource,
) -> Result<Vec<Resource>> {
    let id = &api.source.id;
    let given = settings.at("BasePath");
    let paths = match given {
        Value::Str(_) if given.truthy() => vec![given.clone()],
        Value::List(paths) if given.truthy() => paths.clone(),
        _ => vec![Value::Null],
    };
    if !paths[0].is_null() || paths.len() > 1 {
        let paths = paths.clone().into();
        expect(&paths, id.as_str(), "Domain.BasePath").list_of_strings()?;
    }
    let normalized = settings.get("NormalizeBasePath").is_none_or(Value::truthy);
    let mut mappings = Vec::new();
    for path in paths {
        let letters: String =
            path.as_str().unwrap_or_default().chars().filter(|c| c.is_alphanumeric()).collect();
        let mapping = Resource::new(
            "AWS::ApiGateway::BasePathMapping",
            id.plus(&format!("{letters}BasePathMapping")),
        )?;
        let mapping = on_domain(mapping.with_attributes(&api.inherited))
            .with("RestApiId", reference(id))
            .with("Stage", reference(id.plus(".Stage")));
        let base = match path {
            Value::Str(_) if normalized => letters.into(),
            other => other,
        };
        mappings.push(mapping.with("BasePath", base));
    }
    Ok(mappings)
}

/// The DNS records in the hosted zone; one group for all APIs of a zone unless kept apart.
fn records(api: &mut Api, target: &Value, world: &mut World<'_>) -> Result<Option<Resource>> {
    let id = api.source.id.clone();
    let route53 = api.domain.at("Route53").clone();
    if route53.is_null() {
        return Ok(None);
    }
    let mut route53 = expect(&route53, id.as_str(), "Domain.Route53").map()?.clone();
    let zone = route53.at("HostedZoneId").or(|| route53.at("HostedZoneName").clone());
    if route53.at("HostedZoneId").is_null() && route53.at("HostedZoneName").is_null() {
        return Err(api.fault(
            "HostedZoneId or HostedZoneName is required to enable Route53 support on Custom Domains.",
        ));
    }
    let separate = route53.at("SeparateRecordSetGroup").clone();
    if separate.truthy() {
        expect(&separate, id.as_str(), "Domain.Route53.SeparateRecordSetGroup").boolean()?;
        let seed = list![zone, api.domain.at("DomainName")];
        let mut group = group(api, &hashed("RecordSetGroup", &seed), &route53)?;
        group.set("RecordSets", record_sets(api, target, &mut route53));
        keep(api, route53);
        return Ok(Some(group));
    }
    let group_id = hashed("RecordSetGroup", &zone);
    if !world.record_sets.contains_key(&group_id) {
        let group = group(api, &group_id, &route53)?;
        world.record_sets.insert(group_id.clone(), group);
    }
    let added = record_sets(api, target, &mut route53);
    keep(api, route53);
    let group = world.record_sets.get_mut(&group_id).expect("it was inserted when it was absent");
    let mut sets = group.at("RecordSets").as_list().unwrap_or_default().to_vec();
    sets.extend(added);
    group.set("RecordSets", sets);
    Ok(Some(group.clone()))
}

/// Keeps what was filled in, for the deployment's id.
fn keep(api: &mut Api, route53: Map) {
    if let Some(domain) = api.domain.as_map_mut() {
        domain.set("Route53", route53);
    }
}

fn group(api: &Api, id: &str, route53: &Map) -> Result<Resource> {
    let mut group = Resource::new("AWS::Route53::RecordSetGroup", id)?
        .with_attributes(&api.inherited)
        .with("RecordSets", list![]);
    group.copy(route53, &["HostedZoneId", "HostedZoneName"]);
    Ok(group)
}

/// An `A` record, and `AAAA` where wanted, that are aliases of the domain's endpoint.
fn record_sets(api: &Api, target: &Value, route53: &mut Map) -> Vec<Value> {
    let alias = alias_target(api, target, route53);
    let mut kinds = vec!["A"];
    if *route53.at("IpV6") == Value::Bool(true) {
        kinds.push("AAAA");
    }
    kinds
        .into_iter()
        .map(|kind| record_set(api.domain.at("DomainName"), kind, &alias, route53))
        .collect()
}

/// One record, with its routing policy.
pub fn record_set(name: &Value, kind: &str, alias: &Map, route53: &Map) -> Value {
    let mut record = map! { "Name" => name, "Type" => kind, "AliasTarget" => alias.clone() };
    for policy in ["Region", "SetIdentifier"] {
        if !route53.at(policy).is_null() {
            record.set(policy, route53.at(policy));
        }
    }
    record.into()
}

fn alias_target(api: &Api, target: &Value, route53: &mut Map) -> Map {
    let mut alias = Map::new();
    if !route53.at("EvaluateTargetHealth").is_null() {
        alias.set("EvaluateTargetHealth", route53.at("EvaluateTargetHealth"));
    }
    let of_domain = |attribute: &str| match target.as_text() {
        Some(id) => get_att(id, attribute),
        None => map! { "Fn::GetAtt" => list![target, attribute] }.into(),
    };
    let (zone, name) = match api.domain.at("EndpointConfiguration").as_str() {
        Some("REGIONAL") => (of_domain("RegionalHostedZoneId"), of_domain("RegionalDomainName")),
        Some("EDGE") => {
            if route53.at("DistributionDomainName").is_null() {
                route53.set("DistributionDomainName", of_domain("DistributionDomainName"));
            }
            (CLOUDFRONT_ZONE.into(), route53.at("DistributionDomainName").clone())
        }
        _ => (
            route53.at("VpcEndpointHostedZoneId").clone(),
            route53.at("VpcEndpointDomainName").clone(),
        ),
    };
    alias.set("HostedZoneId", zone);
    alias.set("DNSName", name);
    alias
}
