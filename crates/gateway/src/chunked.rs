//! The `aws-chunked` content encoding: a body in chunks, each signed with the one before it, perhaps with trailers.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and `-trailers.html`.
//! Invariant: a piece is handed on only after its own signature held.

use std::io;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use sereno_wire::body::{HeaderName, HeaderValue};
use sereno_wire::{Body, ByteStream, Trailers};
use sha2::{Digest, Sha256};

use crate::sigv4::{EMPTY_SHA256, SigningKey, hmac_sha256, same};

/// Ours; AWS's clients send 64 KiB to 1 MiB.
const CHUNK_BYTES_MAX: usize = 16 << 20;
const LINE_BYTES_MAX: usize = 8 << 10;
const TRAILERS_BYTES_MAX: usize = 16 << 10;

/// The chain of signatures: what each chunk is signed with.
pub struct Chain {
    pub key: SigningKey,
    /// `{time}\n{scope}`
    pub prefix: String,
    /// Begins with the request's own.
    pub previous: String,
}

enum State {
    Header,
    Data { left: usize, signature: Option<String> },
    Trailers,
    End,
}

/// Takes the encoding off.
pub struct Chunked {
    inner: Body,
    buffer: BytesMut,
    state: State,
    /// `None`: the chunks are unsigned.
    chain: Option<Chain>,
    signed_trailers: bool,
    trailers: Trailers,
    /// Decoded bytes still to come, as announced.
    left: Option<u64>,
}

impl Chunked {
    /// `decoded_length` is `x-amz-decoded-content-length`.
    pub fn wrap(
        inner: Body,
        chain: Option<Chain>,
        has_trailers: bool,
        decoded_length: Option<u64>,
    ) -> Body {
        let trailers = Trailers::default();
        let chunked = Chunked {
            inner,
            buffer: BytesMut::new(),
            state: State::Header,
            signed_trailers: chain.is_some() && has_trailers,
            chain,
            trailers: Trailers::clone(&trailers),
            left: decoded_length,
        };
        Body::stream_with_trailers(chunked, decoded_length, trailers)
    }

    /// One step with what is in the buffer; `None` asks for more input.
    fn step(&mut self) -> io::Result<Option<Option<Bytes>>> {
        match &mut self.state {
            State::Header => {
                let Some(line) = take_line(&mut self.buffer)? else { return Ok(None) };
                self.begin_chunk(&line)?;
                Ok(Some(None))
            }
            State::Data { left, signature } => {
                if self.buffer.len() < *left + 2 {
                    return Ok(None);
                }
                let data = self.buffer.split_to(*left).freeze();
                if self.buffer.split_to(2) != b"\r\n"[..] {
                    return Err(broken("a chunk does not end with a line break"));
                }
                let signature = signature.take();
                self.state = State::Header;
                self.verify_chunk(&data, signature.as_deref())?;
                self.count(data.len())?;
                Ok(Some(Some(data)))
            }
            State::Trailers => {
                let Some(end) = trailers_end(&self.buffer)? else { return Ok(None) };
                let text = self.buffer.split_to(end);
                self.read_trailers(&String::from_utf8_lossy(&text))?;
                self.state = State::End;
                Ok(Some(None))
            }
            State::End => Ok(None),
        }
    }

    fn begin_chunk(&mut self, line: &str) -> io::Result<()> {
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let size = usize::from_str_radix(size.trim(), 16)
            .map_err(|_| broken("a chunk has no valid size"))?;
        if size > CHUNK_BYTES_MAX {
            return Err(broken("a chunk is too large"));
        }
        let signature = extension.strip_prefix("chunk-signature=").map(str::to_owned);
        if size == 0 {
            self.verify_chunk(&Bytes::new(), signature.as_deref())?;
            if self.left.is_some_and(|left| left > 0) {
                return Err(broken("fewer bytes than x-amz-decoded-content-length says"));
            }
            self.state = State::Trailers;
        } else {
            self.state = State::Data { left: size, signature };
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(bytes as u64)
                .ok_or_else(|| broken("more bytes than x-amz-decoded-content-length says"))?;
        }
        Ok(())
    }

    fn verify_chunk(&mut self, data: &Bytes, signature: Option<&str>) -> io::Result<()> {
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let hash = sereno_base::hex(&Sha256::digest(data));
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{EMPTY_SHA256}\n{hash}",
            chain.prefix, chain.previous
        );
        chain.advance(&text, signature)
    }

    fn read_trailers(&mut self, text: &str) -> io::Result<()> {
        let (mut signed, mut signature) = (String::new(), None);
        for line in text.split("\r\n").flat_map(|line| line.split('\n')) {
            let Some((name, value)) = line.split_once(':') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name == "x-amz-trailer-signature" {
                signature = Some(value.to_owned());
                continue;
            }
            signed.push_str(&format!("{name}:{value}\n"));
            let header = HeaderName::from_bytes(name.as_bytes()).ok();
            if let (Some(name), Ok(value)) = (header, HeaderValue::from_str(value)) {
                let mut trailers = self.trailers.lock().unwrap_or_else(PoisonError::into_inner);
                trailers.insert(name, value);
            }
        }
        if let (true, Some(chain)) = (self.signed_trailers, &mut self.chain) {
            let hash = sereno_base::hex(&Sha256::digest(signed.as_bytes()));
            let text =
                format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{hash}", chain.prefix, chain.previous);
            chain.advance(&text, signature.as_deref())?;
        }
        Ok(())
    }
}

impl Chain {
    fn advance(&mut self, string_to_sign: &str, signature: Option<&str>) -> io::Result<()> {
        let expected =
            sereno_base::hex(&hmac_sha256(self.key.as_bytes(), string_to_sign.as_bytes()));
        if !same(expected.as_bytes(), signature.unwrap_or_default().as_bytes()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, SIGNATURE_MISMATCH));
        }
        self.previous = expected;
        Ok(())
    }
}

/// What a reader finds at a chunk whose signature is wrong.
pub const SIGNATURE_MISMATCH: &str = "The request signature we calculated does not match the \
    signature you provided. Check your key and signing method.";

impl ByteStream for Chunked {
    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match self.step() {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(Some(Some(data))) => return Poll::Ready(Some(Ok(data))),
                Ok(Some(None)) => continue,
                Ok(None) => {}
            }
            match ready!(self.inner.poll_next(cx)) {
                Some(Ok(piece)) => self.buffer.extend_from_slice(&piece),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if matches!(self.state, State::End) => return Poll::Ready(None),
                // The last line break may be missing behind the last chunk.
                None if matches!(self.state, State::Trailers) && !self.signed_trailers => {
                    let text = std::mem::take(&mut self.buffer);
                    self.state = State::End;
                    if let Err(error) = self.read_trailers(&String::from_utf8_lossy(&text)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                None => {
                    return Poll::Ready(Some(Err(broken(
                        "the body ends in the middle of a chunk",
                    ))));
                }
            }
        }
    }
}

fn take_line(buffer: &mut BytesMut) -> io::Result<Option<String>> {
    match buffer.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => {
            let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.advance(end + 2);
            Ok(Some(line))
        }
        None if buffer.len() > LINE_BYTES_MAX => Err(broken("a chunk's header is too long")),
        None => Ok(None),
    }
}

/// Where the empty line ends that closes the trailers.
fn trailers_end(buffer: &BytesMut) -> io::Result<Option<usize>> {
    if buffer.starts_with(b"\r\n") {
        return Ok(Some(2));
    }
    match buffer.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(at) => Ok(Some(at + 4)),
        None if buffer.len() > TRAILERS_BYTES_MAX => Err(broken("the trailers are too long")),
        None => Ok(None),
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("aws-chunked: {what}"))
}
