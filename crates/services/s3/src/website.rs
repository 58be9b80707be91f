//! A bucket as a website: what its configuration says. Serving it is `pages.rs`.

use sereno_api_s3 as api;
use sereno_kernel::{Ctx, Result};

use crate::bucket::{change, load};
use crate::errors;
use crate::state::BucketRecord;

pub fn stored(bucket: &BucketRecord) -> Option<api::WebsiteConfiguration> {
    let json = serde_json::from_str(bucket.website.as_deref()?).ok()?;
    sereno_wire::from_json(&json).ok()
}

pub async fn get(
    ctx: Ctx,
    input: api::GetBucketWebsiteInput,
) -> Result<api::GetBucketWebsiteOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let Some(website) = stored(&bucket) else {
        return Err(errors::absent(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
            &input.bucket,
        ));
    };
    Ok(api::GetBucketWebsiteOutput {
        redirect_all_requests_to: website.redirect_all_requests_to,
        index_document: website.index_document,
        error_document: website.error_document,
        routing_rules: website.routing_rules,
    })
}

pub async fn put(
    ctx: Ctx,
    input: api::PutBucketWebsiteInput,
) -> Result<api::PutBucketWebsiteOutput> {
    check(&input.website_configuration)?;
    let text = sereno_wire::to_json(&input.website_configuration).to_string();
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.website = Some(text.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutBucketWebsiteOutput::default())
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteBucketWebsiteInput,
) -> Result<api::DeleteBucketWebsiteOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.website = None;
        Ok(())
    })
    .await?;
    Ok(api::DeleteBucketWebsiteOutput::default())
}

/// Recorded: localstack `test_validate_website_configuration`.
fn check(website: &api::WebsiteConfiguration) -> Result<()> {
    if let Some(all) = &website.redirect_all_requests_to {
        let others = website.index_document.is_some()
            || website.error_document.is_some()
            || website.routing_rules.is_some();
        if others {
            return Err(errors::bad_argument(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                "RedirectAllRequestsTo",
                "not null",
            ));
        }
        return check_protocol(all.protocol.as_ref());
    }
    let Some(index) = &website.index_document else {
        return Err(errors::bad_argument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            "IndexDocument",
            "null",
        ));
    };
    if index.suffix.is_empty() || index.suffix.contains('/') {
        return Err(errors::bad_argument(
            "The IndexDocument Suffix is not well formed",
            "IndexDocument",
            &index.suffix,
        ));
    }
    if website.error_document.as_ref().is_some_and(|document| document.key.is_empty()) {
        return Err(errors::malformed_xml());
    }
    match &website.routing_rules {
        Some(rules) if rules.is_empty() => Err(errors::malformed_xml()),
        rules => rules.iter().flatten().try_for_each(check_rule),
    }
}

fn check_rule(rule: &api::RoutingRule) -> Result<()> {
    let redirect = &rule.redirect;
    if redirect.replace_key_prefix_with.is_some() && redirect.replace_key_with.is_some() {
        return Err(errors::request(
            "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
        ));
    }
    if let Some(condition) = &rule.condition
        && condition.key_prefix_equals.is_none()
        && condition.http_error_code_returned_equals.is_none()
    {
        return Err(errors::request(
            "Condition cannot be empty. To redirect all requests without a condition, the \
             condition element shouldn't be present.",
        ));
    }
    check_protocol(redirect.protocol.as_ref())
}

fn check_protocol(protocol: Option<&api::Protocol>) -> Result<()> {
    match protocol {
        Some(api::Protocol::Unknown(_)) => Err(errors::request(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be \
             selected automatically.",
        )),
        _ => Ok(()),
    }
}
