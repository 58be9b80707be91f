//! Responses that come while the function runs.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>
//!
//! Invariant: nothing is answered before the function has begun to answer, so what keeps it from running at all is an
//! ordinary error.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use sereno_api_lambda as api;
use sereno_base::base64_encode;
use sereno_kernel::sandbox::{FunctionError, InvokeReply, StreamPiece};
use sereno_kernel::{BoxFuture, Ctx, Result};
use sereno_wire::eventstream::Message;
use sereno_wire::{Body, ByteStream};
use tokio::sync::mpsc;

use crate::errors;
use crate::invoke::{self, Invocation, REQUEST_BYTES_MAX};
use crate::names::{FunctionName, Resolved};
use crate::rules;

/// Pieces under way between function and reader: a slow reader slows the function down.
const PIECES_WAITING_MAX: usize = 16;

type Run = BoxFuture<'static, Result<InvokeReply>>;

/// How a function has begun to answer.
pub enum Answer {
    /// Piece by piece.
    Streaming { content_type: Option<String>, rest: Streaming },
    /// It does not stream: here is all of it.
    Whole(InvokeReply),
}

/// What is still to come.
pub struct Streaming {
    run: Run,
    pieces: mpsc::Receiver<StreamPiece>,
    ended: Option<Result<InvokeReply>>,
}

/// The next of it.
pub enum Part {
    Chunk(Bytes),
    End(Result<InvokeReply>),
}

/// Runs the function until it begins to answer.
pub async fn begin(ctx: &Ctx, found: Resolved, mut invocation: Invocation) -> Result<Answer> {
    let (sender, mut pieces) = mpsc::channel(PIECES_WAITING_MAX);
    invocation.stream = Some(sender);
    let ctx = ctx.clone();
    let mut run: Run = Box::pin(async move { invoke::run(&ctx, &found, invocation).await });
    let first = std::future::poll_fn(|cx| match pieces.poll_recv(cx) {
        Poll::Ready(Some(piece)) => Poll::Ready(Ok(piece)),
        _ => run.as_mut().poll(cx).map(Err),
    });
    match first.await {
        Ok(StreamPiece::Start { content_type }) => {
            Ok(Answer::Streaming { content_type, rest: Streaming { run, pieces, ended: None } })
        }
        Ok(StreamPiece::Chunk(_)) => Err(errors::stream_without_start()),
        // It may have streamed and ended before anybody looked.
        Err(reply) => match pieces.try_recv() {
            Ok(StreamPiece::Start { content_type }) => Ok(Answer::Streaming {
                content_type,
                rest: Streaming {
                    run: Box::pin(std::future::pending()),
                    pieces,
                    ended: Some(reply),
                },
            }),
            _ => reply.map(Answer::Whole),
        },
    }
}

impl Streaming {
    /// Chunks, then the end; not to be polled after that.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Part> {
        loop {
            match self.pieces.poll_recv(cx) {
                Poll::Ready(Some(StreamPiece::Chunk(chunk))) => {
                    return Poll::Ready(Part::Chunk(chunk));
                }
                Poll::Ready(Some(StreamPiece::Start { .. })) => {}
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if self.ended.is_none()
            && let Poll::Ready(reply) = self.run.as_mut().poll(cx)
        {
            self.ended = Some(reply);
        }
        if self.ended.is_none() {
            return Poll::Pending;
        }
        // All that was sent before the end is here by now.
        loop {
            match self.pieces.try_recv() {
                Ok(StreamPiece::Chunk(chunk)) => return Poll::Ready(Part::Chunk(chunk)),
                Ok(StreamPiece::Start { .. }) => {}
                Err(_) => break,
            }
        }
        self.ended.take().map_or(Poll::Pending, |reply| Poll::Ready(Part::End(reply)))
    }
}

pub async fn invoke(
    ctx: Ctx,
    input: api::InvokeWithResponseStreamInput,
) -> Result<api::InvokeWithResponseStreamOutput> {
    if input.tenant_id.is_some() {
        return Err(errors::not_honoured("TenantId"));
    }
    let name = FunctionName::qualified(&input.function_name, input.qualifier.as_deref())?;
    let ctx = name.place(&ctx)?;
    let payload = input.payload.unwrap_or_default();
    let payload = rules::check_payload(payload, REQUEST_BYTES_MAX, "RequestResponse")?;
    let found = invoke::target(&ctx, &name).await?;
    let version = found.function.version.clone();
    if input.invocation_type == Some(api::ResponseStreamingInvocationType::DryRun) {
        return Ok(api::InvokeWithResponseStreamOutput {
            status_code: Some(204),
            ..Default::default()
        });
    }
    let mut invocation = Invocation::new(&ctx, &name.name, payload);
    let context = input.client_context.as_deref();
    invocation.client_context = context.map(invoke::decode_context).transpose()?;
    invocation.tail = input.log_type == Some(api::LogType::Tail);
    let tail = invocation.tail;
    let event_stream = match begin(&ctx, found, invocation).await? {
        Answer::Streaming { rest, .. } => Body::stream(Events { rest, tail, done: false }, None),
        Answer::Whole(reply) => {
            let chunk = reply.error.is_none().then(|| chunk(reply.payload.clone()));
            let end = complete(&reply, tail);
            let bytes: Vec<u8> = chunk.iter().flatten().chain(end.iter()).copied().collect();
            Body::from(bytes)
        }
    };
    Ok(api::InvokeWithResponseStreamOutput {
        status_code: Some(200),
        executed_version: Some(version),
        event_stream,
        response_stream_content_type: None,
    })
}

/// The API's event stream of a response.
struct Events {
    rest: Streaming,
    tail: bool,
    done: bool,
}

impl ByteStream for Events {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        this.rest.poll_part(cx).map(|part| match part {
            Part::Chunk(bytes) => Some(Ok(chunk(bytes))),
            Part::End(reply) => {
                this.done = true;
                Some(Ok(match reply {
                    Ok(reply) => complete(&reply, this.tail),
                    Err(error) => failed(error.code(), error.message()),
                }))
            }
        })
    }
}

fn chunk(bytes: Bytes) -> Bytes {
    Message::event("PayloadChunk", Some("application/octet-stream"), bytes).encode()
}

/// <https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStreamCompleteEvent.html>
fn complete(reply: &InvokeReply, tail: bool) -> Bytes {
    let mut end = serde_json::Map::new();
    if let Some(error) = reply.error {
        let code = match error {
            FunctionError::Handled => "Handled",
            FunctionError::Unhandled => "Unhandled",
        };
        end.insert("ErrorCode".to_owned(), code.into());
        let details = String::from_utf8_lossy(&reply.payload).into_owned();
        end.insert("ErrorDetails".to_owned(), details.into());
    }
    if tail {
        end.insert("LogResult".to_owned(), base64_encode(&reply.log_tail).into());
    }
    let end = serde_json::Value::Object(end).to_string();
    Message::event("InvokeComplete", Some("application/json"), end).encode()
}

fn failed(code: &str, message: &str) -> Bytes {
    let end = serde_json::json!({"ErrorCode": code, "ErrorDetails": message}).to_string();
    Message::event("InvokeComplete", Some("application/json"), end).encode()
}
