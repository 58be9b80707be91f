//! Addresses to which the outside answers: pre-signed PUT URLs on AWS, secret paths of this server here.
//!
//! Invariant: whoever knows the path may answer, nobody else can; the path holds 256 secret bits. A custom
//! resource takes its first answer only, a wait condition handle any number with different unique ids.

use sereno_base::hex;
use sereno_kernel::{BoxFuture, Ctx, DataPlane, Result};
use sereno_store::{Key, Scope, transact};
use sereno_wire::{HttpRequest, HttpResponse};

use crate::state::{ANSWERS, AnswerRecord, CALLBACKS, CallbackRecord};

const CUSTOM: &str = "/cloudformation-custom-resource-response-";
const HANDLE: &str = "/cloudformation-waitcondition-";
/// AWS takes 4,096 bytes from a custom resource.
const ANSWER_BYTES_MAX: usize = 4096;
const ANSWERS_MAX: usize = 1000;

/// What of an answer tells it apart from others of the same handle.
const UNIQUE: &str = "UniqueId";

/// Callbacks belong to no account: the data plane has no caller.
const SCOPE: Scope = Scope::GLOBAL;

/// The secret of an address: the same for every try of one request.
pub fn token(ctx: &Ctx, request_token: &str) -> String {
    hex(&ctx.derive_key(&format!("cloudformation/callback/{request_token}")))
}

/// The address of a callback.
pub fn url(ctx: &Ctx, token: &str, many: bool) -> String {
    let region = ctx.region().as_str().replace('-', "");
    let prefix = if many { HANDLE } else { CUSTOM };
    format!("{}{prefix}{region}/{token}", ctx.server_endpoint())
}

/// The token in an address that [`url`] made.
pub fn token_of(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// What to watch for answers.
pub fn watch_key(token: &str) -> Key {
    ANSWERS.partition_key(SCOPE, &(token,))
}

/// The answers so far, by unique id.
pub async fn answers(ctx: &Ctx, token: &str) -> Result<Vec<(String, AnswerRecord)>> {
    let all = ANSWERS.list(SCOPE, (token,)).limit(ANSWERS_MAX).read(ctx.store()).await?;
    Ok(all.into_iter().map(|((_, unique), answer)| (unique, answer)).collect())
}

/// Opens an address; one that is open already stays as it is. Says whether it was new.
pub async fn open(ctx: &Ctx, token: &str, record: &CallbackRecord) -> Result<bool> {
    transact!(ctx.store(), |txn| {
        if CALLBACKS.get(txn, SCOPE, token).await?.is_some() {
            return Ok(false);
        }
        CALLBACKS.put(txn, SCOPE, token, record);
        true
    })
}

/// Closes an address and forgets its answers.
pub async fn close(ctx: &Ctx, token: &str) -> Result<()> {
    transact!(ctx.store(), |txn| {
        CALLBACKS.delete(txn, SCOPE, token);
        for ((_, unique), _) in ANSWERS.list(SCOPE, (token,)).read(txn).await? {
            ANSWERS.delete(txn, SCOPE, &(token, unique.as_str()));
        }
    })
}

/// Takes the answers.
pub struct Callbacks;

impl DataPlane for Callbacks {
    fn owns(&self, _host: &str, path: &str) -> bool {
        path.starts_with(CUSTOM) || path.starts_with(HANDLE)
    }

    fn serve(&self, ctx: Ctx, request: HttpRequest) -> BoxFuture<'_, HttpResponse> {
        Box::pin(async move {
            if request.method != "PUT" {
                return refuse(
                    405,
                    "MethodNotAllowed",
                    "The specified method is not allowed against this resource.",
                );
            }
            let token = token_of(&request.path).to_owned();
            let Ok(body) = request.body.collect(ANSWER_BYTES_MAX).await else {
                return refuse(
                    400,
                    "EntityTooLarge",
                    "Your proposed upload exceeds the maximum allowed size",
                );
            };
            let text = String::from_utf8_lossy(&body).into_owned();
            match take(&ctx, &token, text).await {
                Ok(true) => HttpResponse::new(200).with_header("content-length", "0"),
                Ok(false) => refuse(403, "AccessDenied", "Request has expired"),
                Err(_) => refuse(503, "ServiceUnavailable", "Please reduce your request rate."),
            }
        })
    }
}

async fn take(ctx: &Ctx, token: &str, body: String) -> Result<bool> {
    let parsed: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let answer = AnswerRecord { body, at_ms: ctx.now().millis() };
    transact!(ctx.store(), |txn| {
        let Some(callback) = CALLBACKS.get(txn, SCOPE, token).await? else { return Ok(false) };
        let unique = if callback.many { parsed[UNIQUE].as_str().unwrap_or_default() } else { "" };
        if ANSWERS.get(txn, SCOPE, &(token, unique)).await?.is_none() {
            ANSWERS.put(txn, SCOPE, &(token, unique), &answer);
        }
        true
    })
}

/// As the object store, whose pre-signed addresses these are on AWS.
fn refuse(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    HttpResponse::new(status).with_header("content-type", "application/xml").with_body(body)
}
