//! Who signed this request? Reads the claim, finds the secret, checks scope, time and signature.
//!
//! Invariants: nothing of a request is believed before its signature held; a key that cannot be looked up is a
//! refusal, never a pass.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sereno_base::{AccountId, Region};
use sereno_kernel::{Caller, Cloud, Credential, CredentialError};
use sereno_wire::{Body, HttpRequest, ServiceSchema};
use sha2::{Digest, Sha256};

use crate::body::{HASH_MISMATCH, Hashed, Lost};
use crate::chunked::{Announced, Chain, Chunked};
use crate::presigned_v2::ClaimV2;
use crate::refusal::Refusal;
use crate::sigv4::{
    self, Claim, ClaimError, KeyCache, PathEncoding, Placement, SigningKey, UNSIGNED_PAYLOAD,
};

/// How far a client's clock may be off.
pub const SKEW_MAX: Duration = Duration::from_secs(15 * 60);

/// Keys of the accounts themselves. There is no way to make more of them through the API.
#[derive(Clone, Default)]
pub struct RootKeys {
    pub keys: Vec<RootKey>,
    /// `test`/`test` is root of the home account, and twelve digits with the secret `test` of that account.
    /// Only for servers that nobody but this machine can reach.
    pub development: bool,
}

#[derive(Clone)]
pub struct RootKey {
    pub account: AccountId,
    pub access_key_id: String,
    pub secret_access_key: Arc<str>,
}

/// The secret of every development key.
const DEVELOPMENT_SECRET: &str = "test";

impl RootKeys {
    fn find(&self, access_key_id: &str, home: AccountId) -> Option<Credential> {
        let root = |account, secret: &Arc<str>| Credential {
            secret_access_key: Arc::clone(secret),
            caller: Caller::Root { account },
        };
        if let Some(key) = self.keys.iter().find(|key| key.access_key_id == access_key_id) {
            return Some(root(key.account, &key.secret_access_key));
        }
        if !self.development {
            return None;
        }
        let account = match access_key_id {
            "test" => home,
            digits => digits.parse().ok()?,
        };
        Some(root(account, &Arc::from(DEVELOPMENT_SECRET)))
    }
}

/// Finds out who signed a request.
pub struct Identifier {
    cloud: Arc<Cloud>,
    roots: RootKeys,
    keys: KeyCache,
}

/// A claim whose key is known and whose scope and time are right; the signature is still to be checked.
pub struct Claimed {
    pub claim: Claim,
    pub credential: Credential,
    pub region: Region,
    signing_key: SigningKey,
}

impl Identifier {
    pub fn new(cloud: Arc<Cloud>, roots: RootKeys) -> Identifier {
        Identifier { cloud, roots, keys: KeyCache::default() }
    }

    pub async fn credential(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
    ) -> Result<Credential, Refusal> {
        let (home, _) = self.cloud.home();
        // Tools set a session token beside any key; a root key has none, so it says nothing.
        if let Some(root) = self.roots.find(access_key_id, home) {
            return Ok(root);
        }
        let Some(identities) = self.cloud.identities() else { return Err(Refusal::UnknownKey) };
        let now = self.cloud.clock().now();
        identities.credential(access_key_id, session_token, now).await.map_err(|e| match e {
            CredentialError::Invalid if session_token.is_some() => Refusal::BadToken,
            CredentialError::Invalid => Refusal::UnknownKey,
            CredentialError::Expired => Refusal::ExpiredToken,
            CredentialError::Unavailable(why) => Refusal::Unavailable(why),
        })
    }

    /// Everything that can be checked without the body. `Ok(None)`: unsigned.
    pub async fn claim(
        &self,
        request: &HttpRequest,
        schema: &ServiceSchema,
    ) -> Result<Option<Claimed>, Refusal> {
        self.claim_for(request, schema.signing_name).await
    }

    async fn claim_for(
        &self,
        request: &HttpRequest,
        service: &str,
    ) -> Result<Option<Claimed>, Refusal> {
        let claim = match Claim::read(request) {
            Ok(claim) => claim,
            Err(ClaimError::Missing) => return Ok(None),
            Err(ClaimError::Incomplete(message)) => return Err(Refusal::Incomplete(message)),
            Err(ClaimError::BadQuery(message)) => return Err(Refusal::BadQuery(message)),
        };
        let credential =
            self.credential(&claim.access_key_id, claim.session_token.as_deref()).await?;
        let region = check_scope(&claim, service)?;
        self.check_time(&claim)?;
        if !claim.signs("host") {
            let message =
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
            return Err(Refusal::WrongScope(message.to_owned()));
        }
        check_signed_headers(&claim, request, service)?;
        let signing_key = self.keys.get(&credential.secret_access_key, &claim.scope);
        Ok(Some(Claimed { claim, credential, region, signing_key }))
    }

    /// Who signed a request that is not an API call, over a body that is then all there. `Ok(None)`: nobody.
    pub async fn data_plane(
        &self,
        signing_name: Option<&str>,
        mut request: HttpRequest,
    ) -> (HttpRequest, Result<Option<(Caller, Region)>, (String, String)>) {
        let signed = request.header("authorization").is_some_and(|v| v.starts_with("AWS4-"))
            || request.query.contains("X-Amz-Algorithm=");
        let Some(signing_name) = signing_name.filter(|_| signed) else {
            return (request, Ok(None));
        };
        let outcome = self.data_plane_caller(signing_name, &mut request).await.map(Some);
        (request, outcome.map_err(Refusal::for_json))
    }

    async fn data_plane_caller(
        &self,
        signing_name: &str,
        request: &mut HttpRequest,
    ) -> Result<(Caller, Region), Refusal> {
        let claimed = self.claim_for(request, signing_name).await?.ok_or(Refusal::Unsigned)?;
        let collected = crate::arrival::collect(request, crate::arrival::BODY_BYTES_MAX).await;
        let body = collected.map_err(|error| {
            request.body = Body::stream(Lost(error.kind()), None);
            Refusal::WrongPayloadHash
        })?;
        request.body = Body::Bytes(body.clone());
        let hash = sereno_base::hex(&Sha256::digest(&body));
        claimed.check(request, &hash, PathEncoding::Twice)?;
        Ok((claimed.credential.caller, claimed.region))
    }

    /// Who made an S3 URL of the old form; `None` if it is not one.
    pub async fn presigned_v2(
        &self,
        request: &HttpRequest,
        bucket: Option<&str>,
    ) -> Result<Option<Caller>, Refusal> {
        let Some(claim) = ClaimV2::read(&request.query) else { return Ok(None) };
        let token = claim.session_token.as_deref();
        let credential = self.credential(&claim.access_key_id, token).await?;
        if !claim.matches(request, bucket, &credential.secret_access_key) {
            return Err(Refusal::WrongSignature);
        }
        if claim.expires < self.cloud.clock().now() {
            return Err(Refusal::PresignedExpired);
        }
        Ok(Some(credential.caller))
    }

    fn check_time(&self, claim: &Claim) -> Result<(), Refusal> {
        let now = self.cloud.clock().now();
        let skewed = Refusal::Skewed { signed: claim.time, now };
        if claim.time.minus(SKEW_MAX) > now {
            return Err(skewed);
        }
        match claim.placement {
            Placement::Header if claim.time.plus(SKEW_MAX) < now => Err(skewed),
            Placement::Query { expires } if claim.time.plus(expires) < now => {
                Err(Refusal::PresignedExpired)
            }
            _ => Ok(()),
        }
    }
}

fn check_scope(claim: &Claim, service: &str) -> Result<Region, Refusal> {
    let scope = &claim.scope;
    if scope.service != service {
        return Err(Refusal::WrongScope(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    if !claim.time.basic().starts_with(&scope.date) || scope.date.len() != 8 {
        return Err(Refusal::WrongScope(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
             '{}' != '{}', from '{}'.",
            scope.date,
            &claim.time.basic()[..8],
            claim.time.basic()
        )));
    }
    Region::parse(&scope.region).ok_or_else(|| {
        Refusal::WrongScope("Credential should be scoped to a valid region.".to_owned())
    })
}

/// What a header asks for, its signer must have asked for: S3 refuses any other x-amz-* header, and for all services
/// the headers that choose the operation and the identity count.
fn check_signed_headers(
    claim: &Claim,
    request: &HttpRequest,
    service: &str,
) -> Result<(), Refusal> {
    let presigned = claim.placement != Placement::Header;
    for name in request.headers.keys().map(|name| name.as_str()) {
        if !name.starts_with("x-amz-") || claim.signs(name) {
            continue;
        }
        if service == "s3" {
            // A presigned URL is signed before its body is known; `declared_hash` does not read it there either.
            if presigned && name == "x-amz-content-sha256" {
                continue;
            }
            return Err(Refusal::UnsignedHeaders);
        }
        if name == "x-amz-target" || name == "x-amz-security-token" {
            return Err(Refusal::WrongScope(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    Ok(())
}

/// A body that checks itself, while it is read, against what the request declares of it. Without a chain nothing can
/// have been signed chunk by chunk.
pub fn declared_body(
    request: &HttpRequest,
    body: Body,
    chain: Option<Chain>,
) -> Result<Body, Refusal> {
    let decoded = request.header("x-amz-decoded-content-length").and_then(|v| v.parse().ok());
    let trailer = request.header("x-amz-trailer");
    let chunked = |chain, trailers| Chunked::wrap(body.clone(), chain, trailers, decoded);
    Ok(match (request.header("x-amz-content-sha256"), chain) {
        (None | Some(UNSIGNED_PAYLOAD), _) => body,
        (Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), _) => chunked(None, Announced::some(trailer)),
        (Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), Some(chain)) => chunked(Some(chain), None),
        (Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"), Some(chain)) => {
            chunked(Some(chain), Announced::some(trailer))
        }
        (Some(hash), _) if is_hash(hash) => Hashed::wrap(body, hash),
        _ => return Err(Refusal::WrongPayloadHash),
    })
}

impl Claimed {
    /// Checks the signature over a body that is all there, and answers it without its transfer encoding.
    pub async fn verify_whole(
        &self,
        request: &HttpRequest,
        schema: &ServiceSchema,
        body: Bytes,
    ) -> Result<Bytes, Refusal> {
        if encoding(schema) == PathEncoding::Twice {
            let hash = sereno_base::hex(&Sha256::digest(&body));
            self.check(request, &hash, PathEncoding::Twice)?;
            return Ok(body);
        }
        let limit = body.len();
        let body = self.verify_stream(request, Body::Bytes(body))?;
        body.collect(limit).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => Refusal::WrongSignature,
            _ if error.to_string() == HASH_MISMATCH => Refusal::WrongPayloadHash,
            _ => Refusal::BrokenBody(error.to_string()),
        })
    }

    /// Checks the signature over the headers and hands back a body that checks itself while it is read.
    pub fn verify_stream(&self, request: &HttpRequest, body: Body) -> Result<Body, Refusal> {
        let declared = self.declared_hash(request);
        self.check(request, &declared, PathEncoding::Once)?;
        let chain = (self.claim.placement == Placement::Header).then(|| self.chain());
        declared_body(request, body, chain)
    }

    fn chain(&self) -> Chain {
        Chain {
            key: self.signing_key,
            prefix: format!("{}\n{}", self.claim.time.basic(), self.claim.scope),
            previous: self.claim.signature.clone(),
        }
    }

    /// S3 signs what the client says of its body; a presigned URL says nothing of it, unless it signs the header.
    fn declared_hash(&self, request: &HttpRequest) -> String {
        let counts =
            self.claim.placement == Placement::Header || self.claim.signs("x-amz-content-sha256");
        match request.header("x-amz-content-sha256").filter(|_| counts) {
            Some(declared) => declared.to_owned(),
            None => UNSIGNED_PAYLOAD.to_owned(),
        }
    }

    fn check(
        &self,
        request: &HttpRequest,
        payload_hash: &str,
        encoding: PathEncoding,
    ) -> Result<(), Refusal> {
        let expected =
            sigv4::signature(&self.signing_key, &self.claim, request, payload_hash, encoding);
        if sigv4::same(expected.as_bytes(), self.claim.signature.as_bytes()) {
            Ok(())
        } else {
            Err(Refusal::WrongSignature)
        }
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Only S3 signs paths as they are.
pub fn encoding(schema: &ServiceSchema) -> PathEncoding {
    if schema.signing_name == "s3" { PathEncoding::Once } else { PathEncoding::Twice }
}

#[cfg(test)]
#[path = "identify_tests.rs"]
mod tests;
