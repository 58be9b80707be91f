//! Bodies between hyper and wire, and the checks that can only be made while a body passes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use sereno_wire::{Body, ByteStream};
use sha2::{Digest, Sha256};

use crate::patience::Pulse;

/// A body that comes in from a socket.
pub struct Arriving {
    body: Incoming,
    pulse: Arc<Pulse>,
}

impl ByteStream for Arriving {
    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.pulse.body_is_awaited();
                return Poll::Pending;
            };
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.pulse.body_came(bytes.map_or(0, Bytes::len));
            return match frame {
                None => Poll::Ready(None),
                Some(Err(error)) => Poll::Ready(Some(Err(io::Error::other(error)))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    Err(_trailers) => continue,
                },
            };
        }
    }
}

/// Takes a body from hyper. Its length is what hyper will deliver, whatever the headers say besides.
pub fn incoming(body: Incoming, pulse: &Arc<Pulse>) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let length = body.size_hint().exact();
    Body::stream(Arriving { body, pulse: Arc::clone(pulse) }, length)
}

/// Reads a client's response body whole; used for outgoing calls.
pub async fn read_response(body: Incoming, limit: usize) -> io::Result<Bytes> {
    let limited = http_body_util::Limited::new(body, limit);
    Ok(limited.collect().await.map_err(io::Error::other)?.to_bytes())
}

/// A body that goes out to a socket.
pub struct Leaving {
    pub body: Body,
    pub pulse: Arc<Pulse>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.pulse.request_ends();
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.body.poll_next(cx).map(|next| next.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// What a reader finds at the end of a body whose hash is not the signed one.
pub const HASH_MISMATCH: &str =
    "The provided 'x-amz-content-sha256' header does not match what was computed.";

/// A body that could not be taken: whoever reads it learns why, and nobody takes it for an empty one.
pub struct Lost(pub io::ErrorKind);

impl ByteStream for Lost {
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(Some(Err(self.0.into())))
    }
}

/// Passes a body on and fails at its end unless it has the signed SHA-256.
pub struct Hashed {
    inner: Body,
    hash: Sha256,
    expected: String,
}

impl Hashed {
    pub fn wrap(inner: Body, expected: &str) -> Body {
        let length = inner.len();
        let expected = expected.to_owned();
        Body::stream(Hashed { inner, hash: Sha256::new(), expected }, length)
    }
}

impl ByteStream for Hashed {
    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let next = ready!(self.inner.poll_next(cx));
        match &next {
            Some(Ok(piece)) => self.hash.update(piece),
            Some(Err(_)) => {}
            None => {
                let found = sereno_base::hex(&std::mem::take(&mut self.hash).finalize());
                if found != self.expected {
                    return Poll::Ready(Some(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        HASH_MISMATCH,
                    ))));
                }
            }
        }
        Poll::Ready(next)
    }
}
