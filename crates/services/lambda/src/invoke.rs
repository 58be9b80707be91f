//! Running functions: the request's rules, the function's description for the sandbox, the answer.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
//!
//! Invariants: what a caller sends is checked before anything runs; the description of a function (with credentials) is
//! made only when an instance must be started, so a warm invocation reads two records and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use sereno_api_lambda as api;
use sereno_base::{base64_decode, base64_encode, hex};
use sereno_kernel::sandbox::{
    ConcurrencyLimits, FunctionError, FunctionId, FunctionSpec, InvokeFailure, InvokeReply,
    InvokeRequest, Logging, Package, SpecMaker, SpecSource, StreamPiece,
};
use sereno_kernel::{Ctx, Kind, Result};
use sereno_store::read_blob;
use tokio::sync::mpsc;

use crate::asynchronous::{self, EventRecord};
use crate::log_sink::FunctionLog;
use crate::names::{FunctionName, LATEST, Resolved, resolve};
use crate::state::{CodeRecord, FunctionRecord, HEADS, NO_RESERVATION};
use crate::{concurrency, errors, lineage, rules};

/// Recorded: test_lambda.py::test_large_payloads; the quotas page for events.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const REQUEST_BYTES_MAX: usize = 6_291_456;
pub const EVENT_BYTES_MAX: usize = 1_048_576;
const CLIENT_CONTEXT_BYTES_MAX: usize = 3_583;
/// Packages over this are refused when they are made.
const PACKAGE_BYTES_MAX: usize = 262_144_000;
pub const PRINCIPAL: &str = "lambda.amazonaws.com";

pub async fn invoke(ctx: Ctx, input: api::InvokeInput) -> Result<api::InvokeOutput> {
    if input.durable_execution_name.is_some() {
        return Err(errors::not_honoured("DurableExecutionName"));
    }
    if input.tenant_id.is_some() {
        return Err(errors::not_honoured("TenantId"));
    }
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let payload = input.payload.unwrap_or_default();
    match input.invocation_type.unwrap_or(api::InvocationType::RequestResponse) {
        api::InvocationType::Event => {
            event(&ctx, &name, payload, input.client_context.as_deref()).await?;
            Ok(api::InvokeOutput { status_code: Some(202), ..Default::default() })
        }
        api::InvocationType::DryRun => {
            target(&ctx, &name).await?;
            Ok(api::InvokeOutput { status_code: Some(204), ..Default::default() })
        }
        _ => {
            let context = input.client_context.as_deref();
            let tail = input.log_type == Some(api::LogType::Tail);
            request_response(&ctx, &name, payload, context, tail).await
        }
    }
}

/// The version to run. What is not there is named with its qualifier, also where the caller left it out.
/// Recorded: test_lambda_api.py::TestLambdaFunction::test_function_name_and_qualifier_validation
pub async fn target(ctx: &Ctx, name: &FunctionName) -> Result<Resolved> {
    match resolve(ctx, ctx.store(), name, chance(ctx)).await {
        Err(error) if error.kind() == Kind::NotFound && name.qualifier.is_none() => {
            Err(errors::function_not_found(ctx, &name.name, Some(LATEST)))
        }
        other => other,
    }
}

async fn request_response(
    ctx: &Ctx,
    name: &FunctionName,
    payload: Bytes,
    client_context: Option<&str>,
    tail: bool,
) -> Result<api::InvokeOutput> {
    let payload = rules::check_payload(payload, REQUEST_BYTES_MAX, "RequestResponse")?;
    let found = target(ctx, name).await?;
    let mut invocation = Invocation::new(ctx, &name.name, payload);
    invocation.client_context = client_context.map(decode_context).transpose()?;
    invocation.tail = tail;
    let reply = run(ctx, &found, invocation).await?;
    Ok(api::InvokeOutput {
        status_code: Some(200),
        function_error: reply.error.map(|error| match error {
            FunctionError::Handled => "Handled".to_owned(),
            FunctionError::Unhandled => "Unhandled".to_owned(),
        }),
        log_result: tail.then(|| base64_encode(&reply.log_tail)),
        payload: Some(reply.payload),
        executed_version: Some(found.function.version),
        ..Default::default()
    })
}

/// Accepts an event: it is kept before it is answered, and then handled until done.
pub async fn event(
    ctx: &Ctx,
    name: &FunctionName,
    payload: Bytes,
    client_context: Option<&str>,
) -> Result<()> {
    let payload = rules::check_payload(payload, EVENT_BYTES_MAX, "Event")?;
    target(ctx, name).await?;
    let record = EventRecord {
        name: name.name.clone(),
        qualifier: name.qualifier.clone(),
        request_id: ctx.request_id().to_string(),
        trace_id: lineage::trace_id(ctx, &name.name),
        payload,
        client_context: client_context.map(decode_context).transpose()?,
        created_ms: ctx.now().millis(),
        ..Default::default()
    };
    asynchronous::accept(ctx, &record).await
}

/// The old form of an event: <https://docs.aws.amazon.com/lambda/latest/api/API_InvokeAsync.html>
pub async fn invoke_async(
    ctx: Ctx,
    input: api::InvokeAsyncInput,
) -> Result<api::InvokeAsyncOutput> {
    let name = FunctionName::parse(&input.function_name);
    let ctx = name.place(&ctx)?;
    let payload = input.invoke_args.collect(EVENT_BYTES_MAX + 1).await;
    let payload = payload
        .map_err(|_| errors::request_too_large(EVENT_BYTES_MAX + 1, EVENT_BYTES_MAX, "Event"))?;
    event(&ctx, &name, payload, None).await?;
    Ok(api::InvokeAsyncOutput { status: Some(202) })
}

/// One run of a function, whoever asked for it.
pub struct Invocation {
    pub request_id: String,
    pub payload: Bytes,
    pub client_context: Option<String>,
    pub trace_id: String,
    pub tail: bool,
    /// Where a streaming response goes as it comes.
    pub stream: Option<mpsc::Sender<StreamPiece>>,
}

impl Invocation {
    pub fn new(ctx: &Ctx, function: &str, payload: Bytes) -> Invocation {
        Invocation {
            request_id: ctx.request_id().to_string(),
            payload,
            client_context: None,
            trace_id: lineage::trace_id(ctx, function),
            tail: false,
            stream: None,
        }
    }
}

/// Has the sandbox run it. An error here means that the function has not seen the event.
pub async fn run(ctx: &Ctx, found: &Resolved, invocation: Invocation) -> Result<InvokeReply> {
    let reply = try_run(ctx, found, invocation).await?;
    reply.map_err(|failure| errors::cannot_invoke(&found.function.runtime, failure))
}

/// As `run`, with the sandbox's own reasons.
pub async fn try_run(
    ctx: &Ctx,
    found: &Resolved,
    invocation: Invocation,
) -> Result<Result<InvokeReply, InvokeFailure>> {
    let function = &found.function;
    let head = HEADS.get(ctx.store(), ctx.scope(), function.name.as_str()).await?;
    let head = head.unwrap_or_default();
    if lineage::is_loop(&invocation.trace_id, ctx, &head) {
        return Err(errors::recursive_invocation());
    }
    let account_unreserved = match head.reserved_concurrency {
        NO_RESERVATION => u32::try_from(concurrency::unreserved(ctx).await?).ok(),
        _ => None,
    };
    let id = function_id(ctx, function);
    let request = InvokeRequest {
        request_id: invocation.request_id,
        payload: invocation.payload,
        invoked_function_arn: found.arn.clone(),
        client_context: invocation.client_context,
        cognito_identity: None,
        trace_id: invocation.trace_id,
        tail: invocation.tail,
        stream: invocation.stream,
        limits: ConcurrencyLimits {
            function: concurrency::limit(ctx, &head, &function.version).await?,
            account_unreserved,
        },
    };
    let reply = ctx.sandbox()?.invoke(id, request, spec_source(ctx, function)).await;
    if let Ok(reply) = &reply {
        let billed_ms = i64::try_from(reply.billed_ms).unwrap_or(i64::MAX);
        ctx.meter("lambda", "Invocations", 1);
        ctx.meter(
            "lambda",
            "BilledMegabyteMs",
            billed_ms.saturating_mul(i64::from(function.memory_mb)),
        );
    }
    Ok(reply)
}

pub fn function_id(ctx: &Ctx, function: &FunctionRecord) -> FunctionId {
    FunctionId {
        account: ctx.account(),
        region: ctx.region(),
        name: function.name.clone(),
        version: function.version.clone(),
        revision: function.build().to_owned(),
    }
}

/// Describes the function for instances that are kept ready.
pub fn spec_maker(ctx: &Ctx, function: &FunctionRecord) -> SpecMaker {
    let (ctx, function) = (ctx.clone(), function.clone());
    Arc::new(move || {
        let (ctx, function) = (ctx.clone(), function.clone());
        Box::pin(async move {
            let mut spec = spec(&ctx, function).await?;
            "provisioned-concurrency".clone_into(&mut spec.initialization_type);
            Ok(spec)
        })
    })
}

/// Describes the function when, and only when, an instance must be started.
fn spec_source(ctx: &Ctx, function: &FunctionRecord) -> SpecSource {
    let (ctx, function) = (ctx.clone(), function.clone());
    Box::new(move || Box::pin(async move { spec(&ctx, function).await }))
}

async fn spec(ctx: &Ctx, function: FunctionRecord) -> Result<FunctionSpec> {
    let environment = function.environment(ctx).ok_or_else(errors::environment_sealed)?;
    // AWS names the session after the function; a function's `GetCallerIdentity` shows it.
    let (caller, credentials) = ctx
        .assume(&function.role, &function.name, PRINCIPAL)
        .await
        .map_err(|_| errors::role_cannot_be_assumed_now())?;
    let sink = FunctionLog::new(ctx.as_caller(caller), function.log_group.clone());
    Ok(FunctionSpec {
        code: package(ctx, &function.code),
        layers: function.layers.iter().map(|layer| package(ctx, &layer.code)).collect(),
        credentials,
        endpoint: ctx.server_endpoint().to_owned(),
        memory_mb: function.memory_mb,
        timeout_ms: u64::from(function.timeout_s) * 1000,
        ephemeral_storage_mb: function.ephemeral_storage_mb,
        architecture: function.architecture,
        initialization_type: "on-demand".to_owned(),
        internet: true,
        logging: Logging {
            group: function.log_group,
            json: function.log_format == "JSON",
            application_level: function.application_log_level,
            system_level: function.system_log_level,
            sink: Arc::new(sink),
        },
        runtime: function.runtime,
        handler: function.handler,
        environment,
    })
}

/// A deployment package as the sandbox knows it: by its content's hash, read only if it is not unpacked yet.
pub fn package(ctx: &Ctx, code: &CodeRecord) -> Package {
    let sha256 = base64_decode(&code.sha256).map(|bytes| hex(&bytes)).unwrap_or_default();
    let (ctx, blob) = (ctx.clone(), code.blob.clone());
    Package {
        sha256,
        fetch: Arc::new(move || {
            let (ctx, blob) = (ctx.clone(), blob.clone());
            Box::pin(async move { Ok(read_blob(ctx.blobs(), &blob, PACKAGE_BYTES_MAX).await?) })
        }),
    }
}

/// Chooses between the versions of a weighted alias.
pub fn chance(ctx: &Ctx) -> f64 {
    // 53 bits: every value of 0..1 that the mantissa can hold is as likely as the others.
    (ctx.random_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

pub fn decode_context(text: &str) -> Result<String> {
    if text.len() > CLIENT_CONTEXT_BYTES_MAX {
        return Err(errors::client_context_too_large(text.len(), CLIENT_CONTEXT_BYTES_MAX));
    }
    let decoded = base64_decode(text).and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or_else(errors::client_context_not_base64)
}
