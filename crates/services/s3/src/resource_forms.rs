//! Properties of `AWS::S3::Bucket` as the API's shapes: the template's names are its own.

use serde_json::{Map, Value};
use sereno_api_s3 as api;
use sereno_base::Timestamp;
use sereno_kernel::{Error, Result};

pub fn canned(name: &str) -> Result<&'static str> {
    match name {
        "Private" => Ok("private"),
        "PublicRead" => Ok("public-read"),
        "PublicReadWrite" => Ok("public-read-write"),
        "AuthenticatedRead" => Ok("authenticated-read"),
        other => Err(Error::not_implemented(format!(
            "Sereno's AWS::S3::Bucket does not serve AccessControl {other}."
        ))),
    }
}

/// The template's names differ from the API's in one place.
pub fn rules_of(encryption: &Value) -> Vec<Value> {
    let rules = encryption["ServerSideEncryptionConfiguration"].as_array();
    rules
        .into_iter()
        .flatten()
        .map(|rule| {
            let mut out = Map::new();
            if let Some(default) = rule.get("ServerSideEncryptionByDefault") {
                out.insert("ApplyServerSideEncryptionByDefault".to_owned(), default.clone());
            }
            if let Some(key) = rule.get("BucketKeyEnabled").and_then(flag) {
                out.insert("BucketKeyEnabled".to_owned(), Value::Bool(key));
            }
            Value::Object(out)
        })
        .collect()
}

/// The template says `ExposedHeaders` and `MaxAge` where the API says otherwise.
pub fn cors(wanted: &Value) -> api::CORSConfiguration {
    let texts = |value: &Value| -> Option<Vec<String>> {
        let list = value.as_array()?.iter();
        Some(list.filter_map(|one| one.as_str().map(str::to_owned)).collect())
    };
    let rules = wanted["CorsRules"].as_array().into_iter().flatten();
    let rules = rules.map(|rule| api::CORSRule {
        id: rule["Id"].as_str().map(str::to_owned),
        allowed_headers: texts(&rule["AllowedHeaders"]),
        allowed_methods: texts(&rule["AllowedMethods"]).unwrap_or_default(),
        allowed_origins: texts(&rule["AllowedOrigins"]).unwrap_or_default(),
        expose_headers: texts(&rule["ExposedHeaders"]),
        max_age_seconds: rule["MaxAge"]
            .as_i64()
            .or_else(|| rule["MaxAge"].as_str()?.parse().ok())
            .and_then(|seconds| i32::try_from(seconds).ok()),
    });
    api::CORSConfiguration { cors_rules: rules.collect() }
}

pub fn notification(wanted: &Value) -> Result<api::NotificationConfiguration> {
    for other in ["QueueConfigurations", "TopicConfigurations", "EventBridgeConfiguration"] {
        if wanted.get(other).is_some() {
            return Err(Error::not_implemented(format!(
                "Sereno's AWS::S3::Bucket does not serve NotificationConfiguration's {other}."
            )));
        }
    }
    let mut targets = Vec::new();
    for one in wanted["LambdaConfigurations"].as_array().into_iter().flatten() {
        let rules = one["Filter"]["S3Key"]["Rules"].as_array();
        let rules = rules.into_iter().flatten().map(|rule| api::FilterRule {
            name: rule["Name"].as_str().map(|name| name.to_ascii_lowercase().as_str().into()),
            value: rule["Value"].as_str().map(str::to_owned),
        });
        let rules: Vec<api::FilterRule> = rules.collect();
        let filter = (!rules.is_empty()).then_some(api::NotificationConfigurationFilter {
            key: Some(api::S3KeyFilter { filter_rules: Some(rules) }),
        });
        targets.push(api::LambdaFunctionConfiguration {
            id: None,
            lambda_function_arn: one["Function"].as_str().unwrap_or_default().to_owned(),
            events: vec![one["Event"].as_str().unwrap_or_default().into()],
            filter,
        });
    }
    Ok(api::NotificationConfiguration {
        lambda_function_configurations: Some(targets),
        ..Default::default()
    })
}

/// A template may write booleans as texts.
pub fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// A template may write numbers as texts.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn small(value: &Value) -> Option<i32> {
    number(value).and_then(|number| i32::try_from(number).ok())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn only(value: &Value, known: &[&str], what: &str) -> Result<()> {
    let names = value.as_object().into_iter().flatten().map(|(name, _)| name);
    match names.into_iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::not_implemented(format!(
            "Sereno's AWS::S3::Bucket does not serve {what}'s {name}."
        ))),
    }
}

pub fn lifecycle(wanted: &Value) -> Result<api::BucketLifecycleConfiguration> {
    only(wanted, &["Rules"], "LifecycleConfiguration")?;
    let rules = wanted["Rules"].as_array().into_iter().flatten();
    Ok(api::BucketLifecycleConfiguration { rules: rules.map(rule).collect::<Result<_>>()? })
}

fn rule(rule: &Value) -> Result<api::LifecycleRule> {
    const KNOWN: &[&str] = &[
        "AbortIncompleteMultipartUpload",
        "ExpirationDate",
        "ExpirationInDays",
        "ExpiredObjectDeleteMarker",
        "Id",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionExpirationInDays",
        "ObjectSizeGreaterThan",
        "ObjectSizeLessThan",
        "Prefix",
        "Status",
        "TagFilters",
    ];
    only(rule, KNOWN, "LifecycleConfiguration rule")?;
    let date = rule["ExpirationDate"].as_str().and_then(|d| Timestamp::parse_iso8601(d).ok());
    let days = small(&rule["ExpirationInDays"]);
    let markers = flag(&rule["ExpiredObjectDeleteMarker"]);
    let expires = date.is_some() || days.is_some() || markers.is_some();
    let expiration = expires.then_some(api::LifecycleExpiration {
        date,
        days,
        expired_object_delete_marker: markers,
    });
    let older = &rule["NoncurrentVersionExpiration"];
    let noncurrent_days = small(&older["NoncurrentDays"])
        .or_else(|| small(&rule["NoncurrentVersionExpirationInDays"]));
    let noncurrent = noncurrent_days.map(|days| api::NoncurrentVersionExpiration {
        noncurrent_days: Some(days),
        newer_noncurrent_versions: small(&older["NewerNoncurrentVersions"]),
    });
    let abort = small(&rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]);
    let tags: Vec<api::Tag> = rule["TagFilters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| Some(api::Tag { key: text(&tag["Key"])?, value: text(&tag["Value"])? }))
        .collect();
    Ok(api::LifecycleRule {
        id: text(&rule["Id"]),
        status: rule["Status"].as_str().unwrap_or_default().into(),
        filter: Some(api::LifecycleRuleFilter {
            and: Some(api::LifecycleRuleAndOperator {
                prefix: text(&rule["Prefix"]),
                tags: Some(tags),
                object_size_greater_than: number(&rule["ObjectSizeGreaterThan"]),
                object_size_less_than: number(&rule["ObjectSizeLessThan"]),
            }),
            ..Default::default()
        }),
        expiration,
        noncurrent_version_expiration: noncurrent,
        abort_incomplete_multipart_upload: abort
            .map(|days| api::AbortIncompleteMultipartUpload { days_after_initiation: Some(days) }),
        ..Default::default()
    })
}

pub fn website(wanted: &Value) -> api::WebsiteConfiguration {
    let all = &wanted["RedirectAllRequestsTo"];
    let redirect_all = text(&all["HostName"]).map(|host_name| api::RedirectAllRequestsTo {
        host_name,
        protocol: all["Protocol"].as_str().map(Into::into),
    });
    let rules = wanted["RoutingRules"].as_array().map(|rules| rules.iter().map(routing).collect());
    api::WebsiteConfiguration {
        redirect_all_requests_to: redirect_all,
        index_document: text(&wanted["IndexDocument"]).map(|suffix| api::IndexDocument { suffix }),
        error_document: text(&wanted["ErrorDocument"]).map(|key| api::ErrorDocument { key }),
        routing_rules: rules,
    }
}

fn routing(rule: &Value) -> api::RoutingRule {
    let (redirect, condition) = (&rule["RedirectRule"], &rule["RoutingRuleCondition"]);
    api::RoutingRule {
        condition: condition.is_object().then(|| api::Condition {
            http_error_code_returned_equals: text(&condition["HttpErrorCodeReturnedEquals"]),
            key_prefix_equals: text(&condition["KeyPrefixEquals"]),
        }),
        redirect: api::Redirect {
            host_name: text(&redirect["HostName"]),
            http_redirect_code: text(&redirect["HttpRedirectCode"]),
            protocol: redirect["Protocol"].as_str().map(Into::into),
            replace_key_prefix_with: text(&redirect["ReplaceKeyPrefixWith"]),
            replace_key_with: text(&redirect["ReplaceKeyWith"]),
        },
    }
}
