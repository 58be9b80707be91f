//! HTTP messages without a socket: what the gateway hands in and takes out.
//!
//! A [`Body`] is either all there or a stream. Cloning a stream's body clones the handle: whoever
//! takes the next piece has it, the others do not. Shapes need `Clone`, nobody needs two readers.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method};

#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: Method,
    /// As it came, still percent-encoded.
    pub path: String,
    /// Without the question mark, still percent-encoded.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Body,
}

impl HttpRequest {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        HttpRequest {
            method,
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Body::default(),
        }
    }

    /// A header's value where it is text. A request has a dozen headers: to look through them costs less than to hash
    /// the name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).next()?.to_str().ok()
    }

    /// All values of a header, in order.
    pub fn header_values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a HeaderValue> {
        let named =
            self.headers.iter().filter(move |(own, _)| own.as_str().eq_ignore_ascii_case(name));
        named.map(|(_, value)| value)
    }
}

#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Body,
}

impl HttpResponse {
    pub fn new(status: u16) -> Self {
        HttpResponse { status, headers: HeaderMap::new(), body: Body::default() }
    }

    /// Sets a header; a value that HTTP cannot carry is left out.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.set_header(name, value);
        self
    }

    pub fn set_header(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }
}

/// Pieces of a body, in order.
pub trait ByteStream: Send {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;
}

type Pieces = Arc<Mutex<Option<Pin<Box<dyn ByteStream>>>>>;

/// Headers that come after a body (`x-amz-checksum-*`); filled when the stream has ended.
pub type Trailers = Arc<Mutex<HeaderMap>>;

#[derive(Clone)]
pub struct Stream {
    pieces: Pieces,
    len: Option<u64>,
    trailers: Option<Trailers>,
}

#[derive(Clone)]
pub enum Body {
    Bytes(Bytes),
    Stream(Stream),
}

impl Body {
    pub fn empty() -> Self {
        Body::Bytes(Bytes::new())
    }

    pub fn stream(pieces: impl ByteStream + 'static, len: Option<u64>) -> Self {
        Self::of_pieces(pieces, len, None)
    }

    pub fn stream_with_trailers(
        pieces: impl ByteStream + 'static,
        len: Option<u64>,
        trailers: Trailers,
    ) -> Self {
        Self::of_pieces(pieces, len, Some(trailers))
    }

    fn of_pieces(
        pieces: impl ByteStream + 'static,
        len: Option<u64>,
        trailers: Option<Trailers>,
    ) -> Self {
        let pieces: Pin<Box<dyn ByteStream>> = Box::pin(pieces);
        Body::Stream(Stream { pieces: Arc::new(Mutex::new(Some(pieces))), len, trailers })
    }

    /// The length where it is known before reading.
    pub fn len(&self) -> Option<u64> {
        match self {
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream(stream) => stream.len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// A trailer; complete once the body was read to its end.
    pub fn trailer(&self, name: &str) -> Option<String> {
        let Body::Stream(stream) = self else { return None };
        let trailers = stream.trailers.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        trailers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
    }

    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match self {
            Body::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Bytes(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Body::Stream(stream) => {
                let mut pieces = stream.pieces.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(source) = pieces.as_mut() else { return Poll::Ready(None) };
                let next = source.as_mut().poll_next(cx);
                if matches!(next, Poll::Ready(None | Some(Err(_)))) {
                    *pieces = None;
                }
                next
            }
        }
    }

    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The whole body; an error of kind `FileTooLarge` if it is longer than `limit`.
    pub async fn collect(mut self, limit: usize) -> io::Result<Bytes> {
        let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "body over the limit");
        if self.len().is_some_and(|len| len > limit as u64) {
            return Err(too_large());
        }
        if let Body::Bytes(bytes) = self {
            return Ok(bytes);
        }
        let mut whole = BytesMut::new();
        let mut first: Option<Bytes> = None;
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if whole.is_empty() && first.is_none() {
                first = Some(piece);
                continue;
            }
            if let Some(first) = first.take() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&piece);
            if whole.len() > limit {
                return Err(too_large());
            }
        }
        match first {
            Some(only) if only.len() > limit => Err(too_large()),
            Some(only) => Ok(only),
            None => Ok(whole.freeze()),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Body::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Body::Stream(stream) => write!(f, "Body(stream, {:?} bytes)", stream.len),
        }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Body::Bytes(a), Body::Bytes(b)) => a == b,
            (Body::Stream(a), Body::Stream(b)) => Arc::ptr_eq(&a.pieces, &b.pieces),
            _ => false,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body::Bytes(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body::Bytes(text.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body::Bytes(Bytes::from_static(text.as_bytes()))
    }
}
