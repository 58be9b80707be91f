//! The website endpoint: `{bucket}.s3-website.{base}` and AWS's own hosts. Whoever asks is
//! anonymous here, so a page is seen only where the bucket's policy lets everyone read.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html>

use sereno_api_s3 as api;
use sereno_base::{percent_decode, percent_encode};
use sereno_kernel::{Access, BoxFuture, Caller, Ctx, DataPlane, Error};
use sereno_wire::body::Method;
use sereno_wire::{HttpRequest, HttpResponse, Operation, Protocol, encode};

use crate::access::bucket_arn;
use crate::errors;
use crate::state::{BUCKETS, CURRENT, SCOPE};
use crate::website::stored;

pub struct Pages;

impl DataPlane for Pages {
    fn owns(&self, host: &str, _: &str) -> bool {
        bucket_of(host).is_some()
    }

    fn serve(&self, ctx: Ctx, request: HttpRequest) -> BoxFuture<'_, HttpResponse> {
        Box::pin(async move {
            let name = bucket_of(&ctx.origin().host).unwrap_or_default().to_owned();
            let visit = Visit { ctx: ctx.as_caller(Caller::Anonymous), name, request };
            visit.answer().await
        })
    }
}

fn bucket_of(host: &str) -> Option<&str> {
    let at = host.find(".s3-website.").or_else(|| host.find(".s3-website-"))?;
    (at > 0).then(|| &host[..at])
}

struct Visit {
    ctx: Ctx,
    name: String,
    request: HttpRequest,
}

impl Visit {
    async fn answer(self) -> HttpResponse {
        if !matches!(self.request.method, Method::GET | Method::HEAD) {
            let method = self.request.method.as_str();
            let about = [("Method", method), ("ResourceType", "OBJECT")];
            let message = "The specified method is not allowed against this resource.";
            return self.page(405, ("MethodNotAllowed", message), &about, None);
        }
        let bucket = match BUCKETS.get(self.ctx.store(), SCOPE, self.name.as_str()).await {
            Ok(Some(bucket)) => bucket,
            Ok(None) => {
                let error = ("NoSuchBucket", "The specified bucket does not exist");
                return self.page(404, error, &[("BucketName", &self.name)], None);
            }
            Err(error) => return self.failed(&Error::from(error), "", None),
        };
        let Some(website) = stored(&bucket) else {
            let message = "The specified bucket does not have a website configuration";
            let error = ("NoSuchWebsiteConfiguration", message);
            return self.page(404, error, &[("BucketName", &self.name)], None);
        };
        let Some(path) = percent_decode(self.request.path.trim_start_matches('/')) else {
            let error = ("InvalidURI", "Couldn't parse the specified URI.");
            return self.page(400, error, &[], None);
        };
        if let Some(all) = &website.redirect_all_requests_to {
            let redirect = api::Redirect {
                host_name: Some(all.host_name.clone()),
                protocol: all.protocol.clone(),
                ..Default::default()
            };
            return self.redirect(&redirect, "", &path);
        }
        self.document(&website, path).await
    }

    async fn document(&self, website: &api::WebsiteConfiguration, path: String) -> HttpResponse {
        let rules = website.routing_rules.as_deref().unwrap_or_default();
        if let Some((rule, prefix)) = rules.iter().find_map(|rule| rule_for(rule, &path, None)) {
            return self.redirect(&rule.redirect, prefix, &path);
        }
        let suffix = website.index_document.as_ref().map_or("", |index| &index.suffix);
        let folder = path.is_empty() || path.ends_with('/');
        let key = if folder { format!("{path}{suffix}") } else { path.clone() };
        let error = match self.object(&key).await {
            Ok(response) => return response,
            Err(error) => error,
        };
        let status = error.fixed_status().unwrap_or(500);
        if status == 304 {
            return HttpResponse::new(304);
        }
        // A folder asked for without its slash.
        if !folder && self.object(&format!("{path}/{suffix}")).await.is_ok() {
            let target = format!("/{}/", percent_encode(&path, true));
            return HttpResponse::new(302).with_header("location", &target);
        }
        if let Some((rule, prefix)) =
            rules.iter().find_map(|rule| rule_for(rule, &path, Some(status)))
        {
            return self.redirect(&rule.redirect, prefix, &path);
        }
        let Some(document) = &website.error_document else {
            return self.failed(&error, &key, None);
        };
        match self.object(&document.key).await {
            Ok(mut response) => {
                response.status = status;
                response
            }
            Err(second) => self.failed(&error, &key, Some((&second, &document.key))),
        }
    }

    /// The object as S3 answers it, or the redirection that it is.
    async fn object(&self, key: &str) -> Result<HttpResponse, Error> {
        let text = |name: &str| self.request.header(name).map(str::to_owned);
        let input = api::GetObjectInput {
            bucket: self.name.clone(),
            key: key.to_owned(),
            range: text("range"),
            if_none_match: text("if-none-match"),
            if_match: text("if-match"),
            ..Default::default()
        };
        let output = match self.ctx.call::<api::GetObject>(input).await {
            Ok(output) => output,
            Err(error) => return Err(self.explain(error, key).await),
        };
        if let Some(target) = &output.website_redirect_location {
            return Ok(HttpResponse::new(301).with_header("location", target));
        }
        let id = self.ctx.request_id().to_string();
        Ok(encode(Protocol::RestXml, api::GetObject::SCHEMA, &output, &id))
    }

    /// That something is missing is told to those who may list, though nothing lets them read it
    /// (recorded: `test_s3_static_website_hosting`, whose bucket everyone may list by its ACL).
    async fn explain(&self, error: Error, key: &str) -> Error {
        let ctx = &self.ctx;
        let Ok(Some(bucket)) = BUCKETS.get(ctx.store(), SCOPE, self.name.as_str()).await else {
            return error;
        };
        let found = CURRENT.get(ctx.store(), SCOPE, &(bucket.id.as_str(), key)).await;
        let absent = found.is_ok_and(|found| found.is_none_or(|object| object.delete_marker));
        let list = Access::new("s3:ListBucket", bucket_arn(ctx, &self.name));
        match error.code() == "AccessDenied" && absent && ctx.authorise("s3", &list).await.is_ok() {
            true => errors::no_such_key(key),
            false => error,
        }
    }

    fn redirect(&self, redirect: &api::Redirect, prefix: &str, path: &str) -> HttpResponse {
        let origin = self.ctx.endpoint();
        let (scheme, own_host) = origin.split_once("://").unwrap_or(("http", origin));
        let scheme = redirect.protocol.as_ref().map_or(scheme, |protocol| protocol.as_str());
        let host = redirect.host_name.as_deref().unwrap_or(own_host);
        let key = match (&redirect.replace_key_with, &redirect.replace_key_prefix_with) {
            (Some(key), _) => key.clone(),
            (None, Some(with)) => format!("{with}{}", &path[prefix.len()..]),
            (None, None) => path.to_owned(),
        };
        let status = redirect.http_redirect_code.as_ref().and_then(|code| code.parse().ok());
        let target = format!("{scheme}://{host}/{}", percent_encode(&key, true));
        HttpResponse::new(status.unwrap_or(301)).with_header("location", &target)
    }

    /// `custom` is what went wrong with the bucket's own error document.
    fn failed(&self, error: &Error, key: &str, custom: Option<(&Error, &str)>) -> HttpResponse {
        let status = error.fixed_status().unwrap_or(500);
        let about = if key.is_empty() { Vec::new() } else { vec![("Key", key)] };
        self.page(status, (error.code(), error.message()), &about, custom)
    }

    /// What S3 shows to people. Recorded: localstack `test_website_hosting_*`.
    fn page(
        &self,
        status: u16,
        error: (&str, &str),
        about: &[(&str, &str)],
        custom: Option<(&Error, &str)>,
    ) -> HttpResponse {
        let reason = reason(status);
        let id = self.ctx.request_id().to_string();
        let mut lines = Vec::from([("Code", error.0), ("Message", error.1)]);
        lines.extend(about);
        lines.extend([("RequestId", id.as_str()), ("HostId", id.as_str())]);
        let mut lists = list(&lines);
        if let Some((error, key)) = custom {
            lists.push_str(
                "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n",
            );
            let lines = [("Code", error.code()), ("Message", error.message()), ("Key", key)];
            lists.push_str(&list(&lines));
        }
        let body = format!(
            "<html>\n<head><title>{status} {reason}</title></head>\n<body>\n\
             <h1>{status} {reason}</h1>\n{lists}<hr/>\n</body>\n</html>\n"
        );
        HttpResponse::new(status)
            .with_header("content-type", "text/html; charset=utf-8")
            .with_header("x-amz-request-id", &id)
            .with_header("x-amz-error-code", error.0)
            .with_body(body)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        412 => "Precondition Failed",
        416 => "Requested Range Not Satisfiable",
        501 => "Not Implemented",
        _ => "Internal Server Error",
    }
}

fn list(lines: &[(&str, &str)]) -> String {
    let mut out = String::from("<ul>\n");
    for (name, value) in lines {
        out.push_str("<li>");
        out.push_str(name);
        out.push_str(": ");
        sereno_wire::xml::escape(value, &mut out);
        out.push_str("</li>\n");
    }
    out.push_str("</ul>\n");
    out
}

/// A rule that fits a path, before (`None`) or after its object could not be had; the prefix that
/// it may replace.
fn rule_for<'r>(
    rule: &'r api::RoutingRule,
    path: &str,
    status: Option<u16>,
) -> Option<(&'r api::RoutingRule, &'r str)> {
    let condition = rule.condition.as_ref();
    let prefix = condition.and_then(|c| c.key_prefix_equals.as_deref()).unwrap_or_default();
    let wanted = condition.and_then(|c| c.http_error_code_returned_equals.as_deref());
    let fits = match (wanted, status) {
        (None, None) => true,
        (Some(wanted), Some(status)) => wanted.parse() == Ok(status),
        _ => false,
    };
    (fits && path.starts_with(prefix)).then_some((rule, prefix))
}
