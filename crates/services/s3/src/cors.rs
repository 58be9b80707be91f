//! What pages of other origins may do with a bucket.
//!
//! Recorded: localstack `test_s3_cors.snapshot.json`.

use sereno_api_s3 as api;
use sereno_kernel::{CorsHeaders, CorsRequest, Ctx, Result};

use crate::bucket::{change, load};
use crate::errors;
use crate::state::{BUCKETS, SCOPE};

const RULES_MAX: usize = 100;
const METHODS: &[&str] = &["GET", "PUT", "HEAD", "POST", "DELETE"];

fn absent(bucket: &str) -> sereno_kernel::Error {
    errors::absent("NoSuchCORSConfiguration", "The CORS configuration does not exist", bucket)
}

fn stored(text: &str) -> Option<api::CORSConfiguration> {
    sereno_wire::from_json(&serde_json::from_str(text).ok()?).ok()
}

pub async fn get(ctx: Ctx, input: api::GetBucketCorsInput) -> Result<api::GetBucketCorsOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let configuration = bucket.cors.as_deref().and_then(stored);
    let configuration = configuration.ok_or_else(|| absent(&input.bucket))?;
    Ok(api::GetBucketCorsOutput { cors_rules: Some(configuration.cors_rules) })
}

pub async fn put(ctx: Ctx, input: api::PutBucketCorsInput) -> Result<api::PutBucketCorsOutput> {
    let rules = &input.cors_configuration.cors_rules;
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(errors::malformed_xml());
    }
    for rule in rules {
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(errors::malformed_xml());
        }
        let unknown = rule.allowed_methods.iter().find(|m| !METHODS.contains(&m.as_str()));
        if let Some(method) = unknown {
            return Err(errors::request(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        let stars = |text: &String| text.matches('*').count() > 1;
        if let Some(origin) = rule.allowed_origins.iter().find(|origin| stars(origin)) {
            return Err(errors::request(format!(
                "AllowedOrigin \"{origin}\" can not have more than one wildcard."
            )));
        }
        if let Some(name) = rule.allowed_headers.iter().flatten().find(|name| stars(name)) {
            return Err(errors::request(format!(
                "AllowedHeader \"{name}\" can not have more than one wildcard."
            )));
        }
    }
    let text = sereno_wire::to_json(&input.cors_configuration).to_string();
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.cors = Some(text.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutBucketCorsOutput::default())
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteBucketCorsInput,
) -> Result<api::DeleteBucketCorsOutput> {
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        bucket.cors = None;
        Ok(())
    })
    .await?;
    Ok(api::DeleteBucketCorsOutput::default())
}

/// The headers for a page of `request.origin`; a preflight that nothing allows is an error.
pub async fn answer(ctx: Ctx, request: CorsRequest) -> Result<CorsHeaders> {
    let path = request.path.trim_start_matches('/');
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    let kind = if key.is_empty() { "BUCKET" } else { "OBJECT" };
    let refuse = |why: &str| match request.preflight {
        true => Err(errors::cors(why, &request.method, kind)),
        false => Ok(None),
    };
    let Some(bucket) = BUCKETS.get(ctx.store(), SCOPE, name).await? else {
        return refuse("Bucket not found");
    };
    let Some(configuration) = bucket.cors.as_deref().and_then(stored) else {
        return refuse("CORS is not enabled for this bucket.");
    };
    let allowed = configuration.cors_rules.iter().find_map(|rule| headers(rule, &request));
    match allowed {
        Some(headers) => Ok(Some(headers)),
        None => refuse(
            "This CORS request is not allowed. This is usually because the evalution of Origin, \
             request method / Access-Control-Request-Method or Access-Control-Request-Headers are \
             not whitelisted by the resource's CORS spec.",
        ),
    }
}

/// A name against one that may have a star in it.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
        }
    }
}

/// What a rule answers, if it allows the request.
fn headers(rule: &api::CORSRule, request: &CorsRequest) -> Option<Vec<(&'static str, String)>> {
    let origin = rule.allowed_origins.iter().find(|one| covers(one, &request.origin))?;
    if !rule.allowed_methods.contains(&request.method) {
        return None;
    }
    let allowed: Vec<String> =
        rule.allowed_headers.iter().flatten().map(|name| name.to_ascii_lowercase()).collect();
    let asked: Vec<String> = request.headers.iter().map(|h| h.to_ascii_lowercase()).collect();
    if !asked.iter().all(|name| allowed.iter().any(|one| covers(one, name))) {
        return None;
    }
    let mut headers = Vec::new();
    if origin == "*" {
        headers.push(("access-control-allow-origin", "*".to_owned()));
    } else {
        headers.push(("access-control-allow-origin", request.origin.clone()));
        headers.push(("access-control-allow-credentials", "true".to_owned()));
    }
    headers.push(("access-control-allow-methods", rule.allowed_methods.join(", ")));
    if !asked.is_empty() {
        headers.push(("access-control-allow-headers", asked.join(", ")));
    }
    if let Some(exposed) = rule.expose_headers.as_ref().filter(|list| !list.is_empty()) {
        headers.push(("access-control-expose-headers", exposed.join(", ")));
    }
    if let Some(seconds) = rule.max_age_seconds {
        headers.push(("access-control-max-age", seconds.to_string()));
    }
    let vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";
    headers.push(("vary", vary.to_owned()));
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::{covers, headers};
    use sereno_api_s3 as api;
    use sereno_kernel::CorsRequest;

    #[test]
    fn stars_cover() {
        for (pattern, name, wanted) in [
            ("*", "https://a.com", true),
            ("http://*.com", "http://a.com", true),
            ("http://*.com", "http://a.org", false),
            ("http://a*a.com", "http://a.com", false),
            ("https://a.com", "https://a.com", true),
        ] {
            assert_eq!(covers(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn rules_allow_what_they_name() {
        let rule = api::CORSRule {
            allowed_methods: vec!["GET".to_owned(), "PUT".to_owned()],
            allowed_origins: vec!["https://a.com".to_owned()],
            allowed_headers: Some(vec!["x-amz-*".to_owned()]),
            max_age_seconds: Some(60),
            ..Default::default()
        };
        let ask = |origin: &str, method: &str, asked: &[&str]| {
            let request = CorsRequest {
                path: "/b/k".to_owned(),
                origin: origin.to_owned(),
                method: method.to_owned(),
                headers: asked.iter().map(|h| (*h).to_owned()).collect(),
                preflight: true,
            };
            headers(&rule, &request)
        };
        let given = ask("https://a.com", "PUT", &["X-Amz-Date"]).expect("allowed");
        assert!(given.contains(&("access-control-allow-methods", "GET, PUT".to_owned())));
        assert!(given.contains(&("access-control-allow-headers", "x-amz-date".to_owned())));
        assert!(ask("https://b.com", "PUT", &[]).is_none());
        assert!(ask("https://a.com", "DELETE", &[]).is_none());
        assert!(ask("https://a.com", "PUT", &["authorization"]).is_none());
    }
}
