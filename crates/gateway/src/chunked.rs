//! The `aws-chunked` content encoding: a body in chunks, each signed with the one before it, perhaps with trailers.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and `-trailers.html`.
//! Invariant: a piece is handed on only after its own signature held.

use std::io;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use sereno_wire::body::{HeaderMap, HeaderName, HeaderValue};
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

/// The names of the trailers that a request announces (`x-amz-trailer`).
#[derive(Clone, Debug, Default)]
pub struct Announced(Vec<String>);

impl Announced {
    /// For a request that may have trailers; `header` is the announcement, if there is one.
    pub fn some(header: Option<&str>) -> Option<Announced> {
        let names = header.unwrap_or_default().split(',').map(|n| n.trim().to_ascii_lowercase());
        Some(Announced(names.filter(|name| !name.is_empty()).collect()))
    }
}

enum State {
    Header,
    /// A signed chunk, handed on whole.
    Data {
        left: usize,
        signature: Option<String>,
    },
    /// The rest of an unsigned chunk, handed on as it comes: some clients send a whole object as one chunk.
    Pieces {
        left: usize,
    },
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
    /// `None`: there may be no trailers.
    announced: Option<Announced>,
    trailers: Trailers,
    /// Decoded bytes still to come, as announced.
    left: Option<u64>,
}

impl Chunked {
    /// `decoded_length` is `x-amz-decoded-content-length`.
    pub fn wrap(
        inner: Body,
        chain: Option<Chain>,
        announced: Option<Announced>,
        decoded_length: Option<u64>,
    ) -> Body {
        let trailers = Trailers::default();
        let chunked = Chunked {
            inner,
            buffer: BytesMut::new(),
            state: State::Header,
            announced,
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
            State::Pieces { left: 0 } => {
                if self.buffer.len() < 2 {
                    return Ok(None);
                }
                if self.buffer.split_to(2) != b"\r\n"[..] {
                    return Err(broken("a chunk does not end with a line break"));
                }
                self.state = State::Header;
                Ok(Some(None))
            }
            State::Pieces { left } => {
                let size = (*left).min(self.buffer.len());
                if size == 0 {
                    return Ok(None);
                }
                *left -= size;
                let data = self.buffer.split_to(size).freeze();
                self.count(size)?;
                Ok(Some(Some(data)))
            }
            State::Trailers => {
                let Some(end) = trailers_end(&self.buffer)? else { return Ok(None) };
                let text = self.buffer.split_to(end);
                self.read_trailers(&String::from_utf8_lossy(&text))?;
                self.state = State::End;
                Ok(Some(None))
            }
            // Some clients send one line break too many.
            State::End if self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {
                self.buffer.clear();
                Ok(None)
            }
            State::End => Err(broken("there is something behind the last chunk")),
        }
    }

    fn begin_chunk(&mut self, line: &str) -> io::Result<()> {
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let size = size.trim();
        let size = usize::from_str_radix(size, 16)
            .ok()
            .filter(|_| size.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| broken("a chunk has no valid size"))?;
        let signature = extension.strip_prefix("chunk-signature=").map(str::to_owned);
        if size == 0 {
            self.verify_chunk(&Bytes::new(), signature.as_deref())?;
            if self.left.is_some_and(|left| left > 0) {
                return Err(broken("fewer bytes than x-amz-decoded-content-length says"));
            }
            self.state = State::Trailers;
        } else if self.chain.is_none() {
            self.state = State::Pieces { left: size };
        } else if size > CHUNK_BYTES_MAX {
            return Err(broken("a chunk is too large"));
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
        let (mut signed, mut signature, mut found) = (String::new(), None, HeaderMap::new());
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
                found.insert(name, value);
            }
        }
        let Some(Announced(names)) = &self.announced else {
            // Nobody has signed them.
            return if found.is_empty() { Ok(()) } else { Err(broken("trailers out of place")) };
        };
        if let Some(missing) = names.iter().find(|name| !found.contains_key(name.as_str())) {
            return Err(broken(&format!("the trailer {missing} is missing")));
        }
        if let Some(chain) = &mut self.chain {
            let hash = sereno_base::hex(&Sha256::digest(signed.as_bytes()));
            let text =
                format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{hash}", chain.prefix, chain.previous);
            chain.advance(&text, signature.as_deref())?;
        }
        *self.trailers.lock().unwrap_or_else(PoisonError::into_inner) = found;
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
                None if matches!(self.state, State::Trailers) => {
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
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("aws-chunked: {what}"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::sigv4::Scope;

    struct Pieces(VecDeque<Bytes>);

    impl ByteStream for Pieces {
        fn poll_next(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Bytes>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn pieces(parts: &[&[u8]]) -> Body {
        let parts = parts.iter().map(|part| Bytes::copy_from_slice(part)).collect();
        Body::stream(Pieces(parts), None)
    }

    /// The example of <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>.
    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const SIGNATURES: [&str; 3] = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];

    fn chain() -> Chain {
        let scope = Scope {
            date: "20130524".to_owned(),
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
        };
        Chain {
            key: SigningKey::derive("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &scope),
            prefix: format!("20130524T000000Z\n{scope}"),
            previous: SEED.to_owned(),
        }
    }

    fn signed_example() -> Vec<u8> {
        let mut text = String::new();
        for (size, signature) in [65536, 1024, 0].into_iter().zip(SIGNATURES) {
            let data = "a".repeat(size);
            text.push_str(&format!("{size:x};chunk-signature={signature}\r\n{data}\r\n"));
        }
        text.into_bytes()
    }

    /// One chunk, and a trailer, signed as a client would.
    fn with_signed_trailer() -> (String, String) {
        let mut chain = chain();
        let mut sign = |kind: &str, rest: &str| {
            let text =
                format!("AWS4-HMAC-SHA256-{kind}\n{}\n{}\n{rest}", chain.prefix, chain.previous);
            chain.previous = sereno_base::hex(&hmac_sha256(chain.key.as_bytes(), text.as_bytes()));
            chain.previous.clone()
        };
        let sha = |text: &str| sereno_base::hex(&Sha256::digest(text.as_bytes()));
        let first = sign("PAYLOAD", &format!("{EMPTY_SHA256}\n{}", sha("hello")));
        let last = sign("PAYLOAD", &format!("{EMPTY_SHA256}\n{EMPTY_SHA256}"));
        let trailer = sign("TRAILER", &sha("x-amz-checksum-crc32:NhCmhg==\n"));
        let body = format!(
            "5;chunk-signature={first}\r\nhello\r\n0;chunk-signature={last}\r\n\
             x-amz-checksum-crc32:NhCmhg==\r\n"
        );
        (body, format!("x-amz-trailer-signature:{trailer}\r\n\r\n"))
    }

    fn crc32() -> Option<Announced> {
        Announced::some(Some("x-amz-checksum-crc32"))
    }

    async fn unsigned(text: &str, announced: Option<Announced>) -> io::Result<Bytes> {
        Chunked::wrap(pieces(&[text.as_bytes()]), None, announced, Some(5)).collect(1 << 20).await
    }

    #[tokio::test]
    async fn the_documented_example_holds() {
        let text = signed_example();
        let body = Chunked::wrap(pieces(&[&text]), Some(chain()), None, Some(66560));
        assert_eq!(body.collect(1 << 20).await.unwrap(), "a".repeat(66560));
    }

    #[tokio::test]
    async fn nothing_of_a_tampered_chunk_is_handed_on() {
        let mut text = signed_example();
        let second = 65536 + 100 + 86;
        text[second] = b'b';
        let mut body = Chunked::wrap(pieces(&[&text]), Some(chain()), None, Some(66560));
        assert_eq!(body.next().await.unwrap().unwrap().len(), 65536);
        let error = body.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn chunks_cannot_be_left_out_at_the_end() {
        let text = signed_example();
        let first = 65536 + 5 + 1 + 16 + 64 + 4;
        let body = Chunked::wrap(pieces(&[&text[..first]]), Some(chain()), None, None);
        assert!(body.collect(1 << 20).await.is_err());
    }

    #[tokio::test]
    async fn signed_trailers() {
        let (body, signature) = with_signed_trailer();
        let open = |text: String| {
            Chunked::wrap(pieces(&[text.as_bytes()]), Some(chain()), crc32(), Some(5))
        };
        let good = open(format!("{body}{signature}"));
        assert_eq!(good.clone().collect(100).await.unwrap(), "hello");
        assert_eq!(good.trailer("x-amz-checksum-crc32").unwrap(), "NhCmhg==");

        let changed = open(format!("{}{signature}", body.replace("NhCmhg", "AAAAAA")));
        let error = changed.clone().collect(100).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(changed.trailer("x-amz-checksum-crc32"), None);
        assert!(open(format!("{body}\r\n")).collect(100).await.is_err());
    }

    #[tokio::test]
    async fn any_split_of_the_input_gives_the_same_bytes() {
        let (body, signature) = with_signed_trailer();
        let signed = format!("{body}{signature}").into_bytes();
        let plain = b"3\r\nhel\r\n2\r\nlo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n".to_vec();
        for (text, is_signed) in [(signed, true), (plain, false)] {
            for size in 1..=text.len() {
                let parts: Vec<&[u8]> = text.chunks(size).collect();
                let chain = is_signed.then(chain);
                let whole = Chunked::wrap(pieces(&parts), chain, crc32(), Some(5));
                assert_eq!(whole.clone().collect(100).await.unwrap(), "hello", "by {size}");
                assert_eq!(whole.trailer("x-amz-checksum-crc32").unwrap(), "NhCmhg==");
            }
            for at in 0..text.len() {
                let (left, right) = text.split_at(at);
                let whole =
                    Chunked::wrap(pieces(&[left, right]), is_signed.then(chain), crc32(), Some(5));
                assert_eq!(whole.collect(100).await.unwrap(), "hello", "at {at}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_well_formed_is_refused() {
        let none = || Announced::some(None);
        assert_eq!(unsigned("5\r\nhello\r\n0\r\n\r\n", none()).await.unwrap(), "hello");
        assert_eq!(unsigned("5\r\nhello\r\n0\r\n", none()).await.unwrap(), "hello");
        assert_eq!(unsigned("5\r\nhello\r\n0\r\n\r\n\r\n", none()).await.unwrap(), "hello");
        for (text, announced) in [
            ("4\r\nhell\r\n0\r\n\r\n", none()),
            ("6\r\nhello!\r\n0\r\n\r\n", none()),
            ("5\r\nhelloXX0\r\n\r\n", none()),
            ("5\r\nhel", none()),
            ("+5\r\nhello\r\n0\r\n\r\n", none()),
            ("ffffffffffffffffff\r\nhello", none()),
            ("ffffffffffffffff\r\nhello", none()),
            ("\r\n", none()),
            ("", none()),
            ("5\r\nhello\r\n0\r\n\r\nmore", none()),
            ("5\r\nhello\r\n0\r\n\r\n", crc32()),
            ("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:A\r\n\r\n", None),
        ] {
            assert!(unsigned(text, announced).await.is_err(), "{text:?}");
        }
    }
}
