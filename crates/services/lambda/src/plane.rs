//! Lambda's own URLs: those of functions, and links to deployment packages as GetFunction gives them.

use sereno_base::{Region, percent_decode};
use sereno_kernel::{BoxFuture, Ctx, DataPlane};
use sereno_store::read_blob;
use sereno_wire::{HttpRequest, HttpResponse};

use crate::{code, layer, state, url_plane};

/// As many bytes as a package may have.
const PACKAGE_BYTES_MAX: usize = 250 << 20;

pub struct Plane;

impl DataPlane for Plane {
    fn owns(&self, host: &str, path: &str) -> bool {
        path.starts_with(code::PATH) || url_plane::owns(host, path)
    }

    fn signing_name(&self) -> Option<&'static str> {
        Some("lambda")
    }

    fn serve(&self, ctx: Ctx, request: HttpRequest) -> BoxFuture<'_, HttpResponse> {
        Box::pin(async move {
            if !request.path.starts_with(code::PATH) {
                return url_plane::serve(ctx, request).await;
            }
            match package(&ctx, &request).await {
                Some(response) => response,
                None => HttpResponse::new(403)
                    .with_header("content-type", "text/plain")
                    .with_body("This link is not valid or no longer so. Call GetFunction again."),
            }
        })
    }
}

async fn package(ctx: &Ctx, request: &HttpRequest) -> Option<HttpResponse> {
    let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    let mut parameter = |name: &str| pairs.find(|(key, _)| *key == name).map(|(_, value)| value);
    let expires = parameter("expires")?.parse().ok()?;
    if !code::link_holds(ctx, &request.path, expires, parameter("signature")?) {
        return None;
    }
    let mut parts = request.path.strip_prefix(code::PATH)?.split('/');
    let account = parts.next()?.parse().ok()?;
    let ctx = ctx.in_account(account).in_region(Region::parse(parts.next()?)?);
    let (name, version) = (percent_decode(parts.next()?)?, percent_decode(parts.next()?)?);
    let code = match name.strip_prefix(code::LAYER) {
        Some(layer) => layer::find(&ctx, layer, version.parse().ok()?).await.ok()??.code,
        None => state::version(&ctx, ctx.store(), &name, &version).await.ok()?.code,
    };
    let bytes = read_blob(ctx.blobs(), &code.blob, PACKAGE_BYTES_MAX).await.ok()?;
    Some(HttpResponse::new(200).with_header("content-type", "application/zip").with_body(bytes))
}
