//! Requests to function URLs: `{id}.lambda-url[.{region}].{base}` and `/_aws/lambda-url/{id}/...`.
//!
//! Order: which URL, CORS preflight, who may, run, answer. A request that may not run the function learns nothing of it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

mod cors;
mod event;
mod response;

use sereno_base::Region;
use sereno_kernel::{Access, Caller, Ctx, Kind, Result};
use sereno_store::Scope;
use sereno_wire::{HttpRequest, HttpResponse};

use crate::invoke::{self, Invocation, REQUEST_BYTES_MAX};
use crate::names::{FunctionName, function_arn, resolve};
use crate::state::{URL_OWNERS, URLS, UrlRecord};
use crate::stream;
use crate::url::{BUFFERED, PATH_FORM};

const FORBIDDEN: &str = "Forbidden. For troubleshooting Function URL authorization issues, see: \
     https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";

/// Cheap: asked for every request that reaches the server.
pub fn owns(host: &str, path: &str) -> bool {
    id_of_host(host).is_some() || path.starts_with(PATH_FORM)
}

fn id_of_host(host: &str) -> Option<&str> {
    let (id, rest) = host.split_once('.')?;
    (!id.is_empty() && rest.starts_with("lambda-url.")).then_some(id)
}

/// The URL's id and the path behind it, still encoded.
fn target<'a>(host: &'a str, path: &'a str) -> Option<(&'a str, &'a str)> {
    if let Some(id) = id_of_host(host) {
        return Some((id, path));
    }
    let rest = path.strip_prefix(PATH_FORM)?;
    Some(match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    })
}

/// A URL that a request has found, in its own account and region.
struct Found {
    ctx: Ctx,
    url: UrlRecord,
}

pub async fn serve(ctx: Ctx, request: HttpRequest) -> HttpResponse {
    let id = ctx.request_id().to_string();
    let mut response = answer(ctx, request).await;
    response.set_header("x-amzn-requestid", &id);
    response
}

async fn answer(ctx: Ctx, request: HttpRequest) -> HttpResponse {
    let host = ctx.origin().host.clone();
    let path = request.path.clone();
    let found = match target(&host, &path) {
        Some((id, path)) => find(&ctx, id).await.map(|found| found.map(|found| (found, path))),
        None => Ok(None),
    };
    let (found, path) = match found {
        Ok(Some(found)) => found,
        // Recorded: test_lambda.py::TestLambdaURL::test_lambda_url_non_existing_url
        Ok(None) => return response::denied(None),
        Err(error) => return response::failed(&error),
    };
    let origin = request.header("origin").map(str::to_owned);
    if let Some(settings) = &found.url.cors
        && let Some(preflight) = cors::preflight(settings, &request)
    {
        return preflight;
    }
    let mut response = match run(&found, path, request).await {
        Ok(response) => response,
        Err(error) if error.kind() == Kind::Denied => response::denied(Some(error.message())),
        Err(error) => response::failed(&error),
    };
    if let (Some(settings), Some(origin)) = (&found.url.cors, origin) {
        cors::add(settings, &origin, &mut response);
    }
    response
}

async fn find(ctx: &Ctx, id: &str) -> Result<Option<Found>> {
    let owner = URL_OWNERS.get(ctx.store(), Scope::GLOBAL, id).await?;
    let Some(owner) = owner else { return Ok(None) };
    let (Ok(account), Some(region)) = (owner.account.parse(), Region::parse(&owner.region)) else {
        return Ok(None);
    };
    let ctx = ctx.in_account(account).in_region(region);
    let key = (owner.function.as_str(), owner.qualifier.as_str());
    let url = URLS.get(ctx.store(), ctx.scope(), &key).await?;
    Ok(url.map(|url| Found { ctx, url }))
}

async fn run(found: &Found, path: &str, request: HttpRequest) -> Result<HttpResponse> {
    let (ctx, url) = (&found.ctx, &found.url);
    let qualifier = Some(url.qualifier.clone()).filter(|text| !text.is_empty());
    authorise(ctx, url, &function_arn(ctx, &url.function, qualifier.as_deref())).await?;
    let name = FunctionName { name: url.function.clone(), qualifier, account: None, region: None };
    // An alias that is gone is not told from a caller that may not.
    // Recorded: test_lambda.py::TestLambdaURL::test_lambda_url_persists_after_alias_delete
    let target = resolve(ctx, ctx.store(), &name, invoke::chance(ctx)).await;
    let target = match target {
        Ok(target) => target,
        Err(error) if error.kind() == Kind::NotFound => {
            return Ok(response::denied(Some(FORBIDDEN)));
        }
        Err(error) => return Err(error),
    };
    let (head, body) = event::Head::split(path, request);
    let Ok(body) = body.collect(REQUEST_BYTES_MAX).await else {
        return Ok(response::too_large(REQUEST_BYTES_MAX));
    };
    let mut invocation = Invocation::new(ctx, &url.function, body);
    let event = event::build(ctx, url, &head, &invocation.payload, &invocation.trace_id);
    invocation.payload = event.to_string().into();
    if url.mode() == BUFFERED {
        return Ok(response::whole(&invoke::run(ctx, &target, invocation).await?));
    }
    match stream::begin(ctx, target, invocation).await? {
        stream::Answer::Whole(reply) => Ok(response::unparsed(&reply)),
        stream::Answer::Streaming { content_type, rest } => {
            Ok(response::streamed(content_type, rest).await)
        }
    }
}

/// Since October 2025 both permissions are needed: <https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html>
async fn authorise(ctx: &Ctx, url: &UrlRecord, arn: &str) -> Result<()> {
    let open = url.auth_type == "NONE";
    let caller = if open { Caller::Anonymous } else { ctx.caller().clone() };
    if !open && caller == Caller::Anonymous {
        let refusal = ctx.origin().refusal.as_ref();
        return Err(crate::errors::url_denied(refusal.map_or(FORBIDDEN, |(_, message)| message)));
    }
    let access = Access::new("lambda:InvokeFunctionUrl", arn)
        .condition("lambda:FunctionUrlAuthType", vec![url.auth_type.clone()])
        .and("lambda:InvokeFunction", arn)
        .condition("lambda:InvokedViaFunctionUrl", vec!["true".to_owned()]);
    let place = (ctx.account(), ctx.region());
    let ctx = ctx.as_caller(caller).in_account(place.0).in_region(place.1);
    match ctx.authorise("lambda", &access).await {
        Err(error) if error.kind() == Kind::Denied => Err(crate::errors::url_denied(FORBIDDEN)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert!(owns("abc.lambda-url.us-east-1.on.aws", "/"));
        assert!(owns("abc.lambda-url.localhost", "/"));
        assert!(owns("localhost", "/_aws/lambda-url/abc/x"));
        assert!(!owns("lambda-url.localhost", "/lambda-url"));
        assert_eq!(target("abc.lambda-url.localhost", "/a%2Fb"), Some(("abc", "/a%2Fb")));
        assert_eq!(target("localhost", "/_aws/lambda-url/abc/x/y"), Some(("abc", "/x/y")));
        assert_eq!(target("localhost", "/_aws/lambda-url/abc"), Some(("abc", "/")));
    }
}
