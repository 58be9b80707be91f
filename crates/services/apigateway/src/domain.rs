//! Custom domain names and what is mapped to their paths.

use sereno_api_apigateway as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};
use sereno_store::{Scope, Txn, transact};

use crate::errors::{self, bad_request, conflict};
use crate::patch::{self, Patch};
use crate::state::{
    APIS, DOMAIN_OWNERS, DOMAINS, DomainRecord, MAPPINGS, MappingRecord, OwnerRecord, STAGES,
};
use crate::{ids, page, rest_api, shapes, tags};

/// What stands for the root among base paths.
pub const ROOT: &str = "(none)";
/// `CloudFront`'s hosted zone, in every region.
const EDGE_ZONE: &str = "Z2FDTNDATAQYW2";
/// <https://docs.aws.amazon.com/general/latest/gr/apigateway.html>
const ZONES: [(&str, &str); 16] = [
    ("us-east-1", "Z1UJRXOUMOOFQ8"),
    ("us-east-2", "ZOJJZC49E0EPZ"),
    ("us-west-1", "Z2MUQ32089INYE"),
    ("us-west-2", "Z2OJLYMUO9EFXC"),
    ("ap-south-1", "Z3VO1THU9YC4UR"),
    ("ap-northeast-1", "Z1YSHQZHG15GKL"),
    ("ap-northeast-2", "Z20JF4UZKIW1U8"),
    ("ap-southeast-1", "ZL327KTPIQFUL"),
    ("ap-southeast-2", "Z2RPCDW04V8134"),
    ("ca-central-1", "Z19DQILCV0OWEC"),
    ("eu-central-1", "Z1U9ULNL0V5AJ3"),
    ("eu-west-1", "ZLY8HYME6SFDD"),
    ("eu-west-2", "ZJ5UAJN8Y3Z2Q"),
    ("eu-west-3", "Z3KY65QIEKYHQQ"),
    ("eu-north-1", "Z3UWIKFBOOGXPP"),
    ("sa-east-1", "ZCMLWB8V5SYIT"),
];

fn shown(ctx: &Ctx, record: DomainRecord) -> api::DomainName {
    let region = ctx.region().as_str();
    let zone = ZONES.iter().find(|(name, _)| *name == region).map_or(EDGE_ZONE, |(_, zone)| zone);
    let edge = record.endpoint_type == "EDGE";
    api::DomainName {
        domain_name_arn: Some(format!(
            "arn:{}:apigateway:{region}::/domainnames/{}",
            ctx.partition(),
            record.name
        )),
        certificate_name: record.certificate_name,
        certificate_arn: record.certificate_arn,
        certificate_upload_date: record.certificate_uploaded.and_then(shapes::date),
        regional_domain_name: (!edge)
            .then(|| format!("d-{}.execute-api.{region}.amazonaws.com", record.label)),
        regional_hosted_zone_id: (!edge).then(|| zone.to_owned()),
        regional_certificate_name: record.regional_certificate_name,
        regional_certificate_arn: record.regional_certificate_arn,
        distribution_domain_name: edge.then(|| format!("d{}.cloudfront.net", record.label)),
        distribution_hosted_zone_id: edge.then(|| EDGE_ZONE.to_owned()),
        endpoint_configuration: Some(api::EndpointConfiguration {
            types: Some(vec![record.endpoint_type.as_str().into()]),
            ip_address_type: Some(record.ip_address_type.as_str().into()),
            vpc_endpoint_ids: None,
        }),
        domain_name_status: Some(api::DomainNameStatus::Available),
        security_policy: Some(record.security_policy.as_str().into()),
        tags: Some(record.tags).filter(|tags| !tags.is_empty()),
        routing_mode: Some(api::RoutingMode::BasePathMappingOnly),
        ownership_verification_certificate_arn: record.ownership_certificate_arn,
        domain_name: Some(record.name),
        ..api::DomainName::default()
    }
}

/// Domains that need what is not here are refused.
fn supported(input: &api::CreateDomainNameInput) -> Result<()> {
    let private = input.endpoint_configuration.as_ref().and_then(|e| e.types.as_deref());
    if private.unwrap_or_default().contains(&api::EndpointType::Private) || input.policy.is_some() {
        return Err(errors::unsupported("private custom domain names"));
    }
    if input.mutual_tls_authentication.is_some() {
        return Err(errors::unsupported("mutual TLS on custom domain names"));
    }
    match &input.routing_mode {
        None | Some(api::RoutingMode::BasePathMappingOnly) => Ok(()),
        Some(_) => Err(errors::unsupported("routing rules of custom domain names")),
    }
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateDomainNameInput,
) -> Result<api::CreateDomainNameOutput> {
    supported(&input)?;
    let name = input.domain_name.to_lowercase();
    if !name.contains('.') || name.contains([' ', '/', ':']) {
        return Err(bad_request("Invalid domain name identifier specified"));
    }
    let endpoint = input.endpoint_configuration.unwrap_or_default();
    let (endpoint_type, ip_address_type) = rest_api::endpoint_of(&endpoint)?;
    let regional = endpoint_type == "REGIONAL";
    let uploaded = input.certificate_body.is_some() && input.certificate_private_key.is_some();
    let certificate =
        if regional { &input.regional_certificate_arn } else { &input.certificate_arn };
    if certificate.is_none() && !uploaded {
        return Err(bad_request("The provided certificate does not exist."));
    }
    let tags = input.tags.unwrap_or_default();
    tags::check(&tags)?;
    let record = DomainRecord {
        certificate_name: input.certificate_name,
        certificate_arn: input.certificate_arn,
        certificate_uploaded: Some(ctx.now()),
        regional_certificate_name: input.regional_certificate_name,
        regional_certificate_arn: input.regional_certificate_arn,
        endpoint_type,
        security_policy: input.security_policy.map_or("TLS_1_2".to_owned(), |p| p.to_string()),
        tags,
        label: ids::long(&ctx),
        mutual_tls_uri: None,
        mutual_tls_version: None,
        ownership_certificate_arn: input.ownership_verification_certificate_arn,
        ip_address_type,
        created: ctx.now(),
        name,
    };
    let owner = OwnerRecord {
        account: ctx.account().to_string(),
        region: ctx.region().as_str().to_owned(),
    };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let name = record.name.as_str();
        if DOMAIN_OWNERS.get(txn, Scope::GLOBAL, name).await?.is_some() {
            return Err(conflict("The domain name you provided already exists."));
        }
        DOMAIN_OWNERS.put(txn, Scope::GLOBAL, name, &owner);
        DOMAINS.put(txn, ctx.scope(), name, &record);
    })?;
    Ok(shown(&ctx, record))
}

async fn load(ctx: &Ctx, name: &str) -> Result<DomainRecord> {
    let found = DOMAINS.get(ctx.store(), ctx.scope(), name).await?;
    found.ok_or_else(errors::domain)
}

fn no_id(id: Option<&String>) -> Result<()> {
    id.map_or(Ok(()), |_| Err(errors::unsupported("private custom domain names")))
}

pub async fn get(ctx: Ctx, input: api::GetDomainNameInput) -> Result<api::GetDomainNameOutput> {
    no_id(input.domain_name_id.as_ref())?;
    let record = load(&ctx, &input.domain_name).await?;
    Ok(shown(&ctx, record))
}

pub async fn list(ctx: Ctx, input: api::GetDomainNamesInput) -> Result<api::GetDomainNamesOutput> {
    let all = DOMAINS.list(ctx.scope(), ()).read(ctx.store()).await?;
    let all: Vec<DomainRecord> = match input.resource_owner {
        Some(api::ResourceOwner::OtherAccounts) => Vec::new(),
        _ => all.into_iter().map(|(_, record)| record).collect(),
    };
    let page = page::cut(all, |record| &record.name, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(|record| shown(&ctx, record)).collect();
    Ok(api::GetDomainNamesOutput { position: page.position, items: Some(items) })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteDomainNameInput,
) -> Result<api::DeleteDomainNameOutput> {
    no_id(input.domain_name_id.as_ref())?;
    let name = input.domain_name.as_str();
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if DOMAINS.get(txn, ctx.scope(), name).await?.is_none() {
            return Err(errors::domain());
        }
        for (key, _) in MAPPINGS.list(ctx.scope(), (name,)).read(txn).await? {
            MAPPINGS.delete(txn, ctx.scope(), &key);
        }
        DOMAINS.delete(txn, ctx.scope(), name);
        DOMAIN_OWNERS.delete(txn, Scope::GLOBAL, name);
        api::DeleteDomainNameOutput::default()
    })
}

pub async fn update(
    ctx: Ctx,
    input: api::UpdateDomainNameInput,
) -> Result<api::UpdateDomainNameOutput> {
    no_id(input.domain_name_id.as_ref())?;
    let patches = patch::read(input.patch_operations)?;
    let name = input.domain_name.as_str();
    let record: DomainRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = DOMAINS.get(txn, ctx.scope(), name).await?;
        let mut record = found.ok_or_else(errors::domain)?;
        for patch in &patches {
            change(&mut record, patch, ctx.now())?;
        }
        DOMAINS.put(txn, ctx.scope(), name, &record);
        record
    })?;
    Ok(shown(&ctx, record))
}

fn change(record: &mut DomainRecord, patch: &Patch, now: Timestamp) -> Result<()> {
    match patch.parts().as_slice() {
        ["certificateArn"] => {
            record.certificate_arn = patch.some();
            record.certificate_uploaded = Some(now);
        }
        ["certificateName"] => record.certificate_name = patch.some(),
        ["regionalCertificateArn"] => {
            record.regional_certificate_arn = patch.some();
            record.certificate_uploaded = Some(now);
        }
        ["regionalCertificateName"] => record.regional_certificate_name = patch.some(),
        ["ownershipVerificationCertificateArn"] => {
            record.ownership_certificate_arn = patch.some();
        }
        ["securityPolicy"] => patch.text().clone_into(&mut record.security_policy),
        ["endpointConfiguration", "types", _] if patch.op != api::Op::Remove => {
            patch.text().clone_into(&mut record.endpoint_type);
        }
        ["endpointConfiguration", "types", _] => {}
        ["endpointConfiguration", "ipAddressType"] => {
            patch.text().clone_into(&mut record.ip_address_type);
        }
        _ => return Err(patch.bad_path()),
    }
    Ok(())
}

fn mapping(record: MappingRecord) -> api::BasePathMapping {
    api::BasePathMapping {
        base_path: Some(record.base_path),
        rest_api_id: Some(record.api_id),
        stage: record.stage,
    }
}

fn base_path(path: Option<&str>) -> Result<String> {
    let path = path.unwrap_or_default();
    if path.is_empty() || path == ROOT {
        return Ok(ROOT.to_owned());
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || "$-_.+!*'()".contains(c);
    if !path.chars().all(fine) {
        return Err(bad_request(
            "API Gateway V1 doesn't support the slash character (/) in base path mappings. To create a multi-level base path mapping, use API Gateway V2.",
        ));
    }
    Ok(path.to_owned())
}

async fn target_exists(ctx: &Ctx, txn: &mut Txn, record: &MappingRecord) -> Result<()> {
    if APIS.get(txn, ctx.scope(), record.api_id.as_str()).await?.is_none() {
        return Err(bad_request("Invalid REST API identifier specified"));
    }
    if let Some(stage) = &record.stage {
        let key = (record.api_id.as_str(), stage.as_str());
        if STAGES.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(bad_request("Invalid stage identifier specified"));
        }
    }
    Ok(())
}

pub async fn create_mapping(
    ctx: Ctx,
    input: api::CreateBasePathMappingInput,
) -> Result<api::CreateBasePathMappingOutput> {
    no_id(input.domain_name_id.as_ref())?;
    let domain = input.domain_name.as_str();
    let stage = input.stage.filter(|stage| !stage.is_empty() && stage != ROOT);
    let base_path = base_path(input.base_path.as_deref())?;
    let record = MappingRecord { base_path, api_id: input.rest_api_id, stage };
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if DOMAINS.get(txn, ctx.scope(), domain).await?.is_none() {
            return Err(errors::domain());
        }
        target_exists(&ctx, txn, &record).await?;
        let key = (domain, record.base_path.as_str());
        if MAPPINGS.get(txn, ctx.scope(), &key).await?.is_some() {
            return Err(conflict("Base path already exists for this domain name"));
        }
        MAPPINGS.put(txn, ctx.scope(), &key, &record);
    })?;
    Ok(mapping(record))
}

pub async fn get_mapping(
    ctx: Ctx,
    input: api::GetBasePathMappingInput,
) -> Result<api::GetBasePathMappingOutput> {
    no_id(input.domain_name_id.as_ref())?;
    let key = (input.domain_name.as_str(), input.base_path.as_str());
    let found = MAPPINGS.get(ctx.store(), ctx.scope(), &key).await?;
    Ok(mapping(found.ok_or_else(errors::mapping)?))
}

pub async fn list_mappings(
    ctx: Ctx,
    input: api::GetBasePathMappingsInput,
) -> Result<api::GetBasePathMappingsOutput> {
    no_id(input.domain_name_id.as_ref())?;
    load(&ctx, &input.domain_name).await?;
    let all = MAPPINGS.list(ctx.scope(), (input.domain_name.as_str(),)).read(ctx.store()).await?;
    let all: Vec<MappingRecord> = all.into_iter().map(|(_, record)| record).collect();
    let page = page::cut(all, |record| &record.base_path, input.position.as_deref(), input.limit)?;
    let items = page.items.into_iter().map(mapping).collect();
    Ok(api::GetBasePathMappingsOutput { position: page.position, items: Some(items) })
}

pub async fn delete_mapping(
    ctx: Ctx,
    input: api::DeleteBasePathMappingInput,
) -> Result<api::DeleteBasePathMappingOutput> {
    no_id(input.domain_name_id.as_ref())?;
    let key = (input.domain_name.as_str(), input.base_path.as_str());
    transact!(ctx.store(), sereno_kernel::Error, |txn| {
        if MAPPINGS.get(txn, ctx.scope(), &key).await?.is_none() {
            return Err(errors::mapping());
        }
        MAPPINGS.delete(txn, ctx.scope(), &key);
        api::DeleteBasePathMappingOutput::default()
    })
}

pub async fn update_mapping(
    ctx: Ctx,
    input: api::UpdateBasePathMappingInput,
) -> Result<api::UpdateBasePathMappingOutput> {
    no_id(input.domain_name_id.as_ref())?;
    let patches = patch::read(input.patch_operations)?;
    let key = (input.domain_name.as_str(), input.base_path.as_str());
    let record: MappingRecord = transact!(ctx.store(), sereno_kernel::Error, |txn| {
        let found = MAPPINGS.get(txn, ctx.scope(), &key).await?;
        let mut record = found.ok_or_else(errors::mapping)?;
        for patch in &patches {
            match patch.path.as_str() {
                "/basePath" => record.base_path = base_path(patch.value.as_deref())?,
                "/restapiId" | "/restApiId" => patch.text().clone_into(&mut record.api_id),
                "/stage" => record.stage = patch.some().filter(|stage| stage != ROOT),
                _ => return Err(patch.none_of(&["/basePath", "/restapiId", "/stage"])),
            }
        }
        target_exists(&ctx, txn, &record).await?;
        let moved = (key.0, record.base_path.as_str());
        if moved != key {
            if MAPPINGS.get(txn, ctx.scope(), &moved).await?.is_some() {
                return Err(conflict("Base path already exists for this domain name"));
            }
            MAPPINGS.delete(txn, ctx.scope(), &key);
        }
        MAPPINGS.put(txn, ctx.scope(), &moved, &record);
        record
    })?;
    Ok(mapping(record))
}
