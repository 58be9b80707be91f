//! Bytes in and out: small ones in the map, large ones as blobs, never whole in memory.
//!
//! Order that loses nothing: bytes are on disk before the record that names them is committed, and
//! are removed after the record is gone. What a crash leaves between is swept by age.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use sereno_base::{base64_encode, hex};
use sereno_kernel::{BoxFuture, Ctx, Error, Result};
use sereno_store::{BlobReader, BlobWriter, Read, StoreError, Txn};
use sereno_wire::{Body, ByteStream};

use crate::checksum::{Algorithm, Expected, Hasher};
use crate::errors;
use crate::state::{BODIES, BodyRecord, ContentRecord, PARTS, PartRecord, SCOPE};

/// Bodies up to here are rows: one commit instead of a file of their own.
const SMALL_BYTES_MAX: usize = 32 * 1024;
const ID_LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A body that was read to its end and is on disk, except a small one, which goes with the commit.
pub struct Received {
    pub content: ContentRecord,
    pub small: Option<Bytes>,
    pub size: u64,
    pub md5: [u8; 16],
    pub checksums: BTreeMap<String, String>,
}

impl Received {
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }

    /// Writes what goes with the commit.
    pub fn put(&self, txn: &mut Txn) {
        if let (ContentRecord::Small(id), Some(bytes)) = (&self.content, &self.small) {
            BODIES.put(txn, SCOPE, id.as_str(), &BodyRecord { bytes: bytes.clone() });
        }
    }

    /// The commit did not happen: removes what was written for it.
    pub async fn discard(&self, ctx: &Ctx) {
        if let ContentRecord::Blob(id) = &self.content {
            drop_blobs(ctx, std::slice::from_ref(id)).await;
        }
    }
}

struct Sink {
    size: u64,
    md5: Md5,
    hashers: Vec<Hasher>,
    small: BytesMut,
    writer: Option<Box<dyn BlobWriter>>,
}

impl Sink {
    async fn write(&mut self, ctx: &Ctx, piece: Bytes) -> Result<()> {
        self.size += piece.len() as u64;
        self.md5.update(&piece);
        self.hashers.iter_mut().for_each(|hasher| hasher.update(&piece));
        if self.writer.is_none() && self.small.len() + piece.len() <= SMALL_BYTES_MAX {
            self.small.extend_from_slice(&piece);
            return Ok(());
        }
        if self.writer.is_none() {
            let mut writer = ctx.blobs().create().await?;
            let before = std::mem::take(&mut self.small).freeze();
            if !before.is_empty() {
                writer.write(before).await?;
            }
            self.writer = Some(writer);
        }
        if let Some(writer) = &mut self.writer {
            writer.write(piece).await?;
        }
        Ok(())
    }
}

/// Reads a body to its end. `also` is computed besides what the client expects.
pub async fn receive(
    ctx: &Ctx,
    mut body: Body,
    expected: &Expected,
    also: &[Algorithm],
    bytes_max: u64,
) -> Result<Received> {
    let announced = body.len();
    if announced.is_some_and(|len| len > bytes_max) {
        return Err(errors::too_large());
    }
    let mut algorithms = also.to_vec();
    match expected.algorithm {
        Some(algorithm) => algorithms.push(algorithm),
        // A trailer may name any of the cheap ones.
        None => algorithms.extend([Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme]),
    }
    algorithms.dedup();
    let mut sink = Sink {
        size: 0,
        md5: Md5::new(),
        hashers: algorithms.into_iter().map(Hasher::new).collect(),
        small: BytesMut::new(),
        writer: None,
    };
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(read_error)?;
        if sink.size + piece.len() as u64 > bytes_max {
            return Err(errors::too_large());
        }
        sink.write(ctx, piece).await?;
    }
    if announced.is_some_and(|len| len != sink.size) {
        return Err(errors::incomplete_body());
    }
    let md5: [u8; 16] = sink.md5.finalize().into();
    let sums: BTreeMap<String, String> = sink
        .hashers
        .into_iter()
        .map(Hasher::finish)
        .map(|(algorithm, sum)| (algorithm.name().to_owned(), sum))
        .collect();
    let checksums = compare(expected, &body, &md5, sums, also)?;
    // Synced here: the commit that follows may refer to it.
    let content = match sink.writer {
        Some(writer) => ContentRecord::Blob(writer.finish().await?.id),
        None if sink.size == 0 => ContentRecord::Empty,
        None => ContentRecord::Small(ctx.random_id(ID_LETTERS, 24)),
    };
    let small = Some(sink.small.freeze()).filter(|bytes| !bytes.is_empty());
    Ok(Received { content, small, size: sink.size, md5, checksums })
}

/// Holds what was computed against what was said; answers the checksums to keep.
fn compare(
    expected: &Expected,
    body: &Body,
    md5: &[u8; 16],
    sums: BTreeMap<String, String>,
    also: &[Algorithm],
) -> Result<BTreeMap<String, String>> {
    if let Some(given) = &expected.md5
        && *given != base64_encode(md5)
    {
        return Err(errors::md5_mismatch(given, &base64_encode(md5)));
    }
    let mut algorithm = expected.algorithm;
    let mut value = expected.value.clone();
    if value.is_none() {
        let trailer = crate::checksum::ALL
            .into_iter()
            .find_map(|one| Some((one, body.trailer(one.header())?)));
        if let Some((named, sum)) = trailer {
            crate::checksum::check_form(named, &sum)?;
            (algorithm, value) = (Some(named), Some(sum));
        }
    }
    if let (Some(algorithm), Some(value)) = (algorithm, &value)
        && sums.get(algorithm.name()) != Some(value)
    {
        return Err(errors::checksum_mismatch(algorithm.name()));
    }
    let kept = algorithm.filter(|_| value.is_some()).unwrap_or(Algorithm::Crc64Nvme);
    Ok(sums
        .into_iter()
        .filter(|(name, _)| {
            name == kept.name()
                || also.iter().any(|one| one.name() == name)
                || algorithm.is_some_and(|one| one.name() == name)
        })
        .collect())
}

/// A body breaks off, or the gateway finds at its end that it is not what was signed.
fn read_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            Error::invalid("XAmzContentSHA256Mismatch", error.to_string()).status(400)
        }
        io::ErrorKind::PermissionDenied => errors::chunk_signature(&error.to_string()),
        io::ErrorKind::FileTooLarge => errors::too_large(),
        _ => errors::incomplete_body(),
    }
}

/// Where a stretch of an object's bytes is.
struct Piece {
    content: ContentRecord,
    range: Range<u64>,
}

/// The bytes of `range` of an object.
pub async fn send(ctx: &Ctx, content: &ContentRecord, range: Range<u64>) -> Result<Body> {
    let len = range.end - range.start;
    let mut pieces = VecDeque::new();
    match content {
        ContentRecord::Parts(upload) => {
            let mut start = 0;
            for (_, part) in parts(ctx.store(), upload).await? {
                let end = start + part.size;
                if start < range.end && end > range.start {
                    let from = range.start.max(start) - start;
                    let to = range.end.min(end) - start;
                    pieces.push_back(Piece { content: part.content, range: from..to });
                }
                start = end;
            }
        }
        ContentRecord::Small(id) => {
            let bytes = small(ctx.store(), id).await?;
            return Ok(Body::Bytes(slice(&bytes, &range)));
        }
        other => pieces.push_back(Piece { content: other.clone(), range }),
    }
    if len == 0 {
        return Ok(Body::empty());
    }
    // Opened here, so that a failure is an error and not a broken body.
    let first = pieces.pop_front();
    let reader = match first {
        Some(first) => Some(open(ctx.clone(), first).await?),
        None => None,
    };
    let stream = Sending { ctx: ctx.clone(), pieces, reader, pending: None };
    Ok(Body::stream(stream, Some(len)))
}

async fn small(read: &(impl Read + ?Sized), id: &str) -> Result<Bytes> {
    let found = BODIES.get(read, SCOPE, id).await?;
    let body = found.ok_or_else(|| StoreError::Corrupt(format!("no body {id}")))?;
    Ok(body.bytes)
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end))
}

/// All parts of an upload, in order.
pub async fn parts(read: &(impl Read + ?Sized), upload: &str) -> Result<Vec<(u64, PartRecord)>> {
    let rows = PARTS.list(SCOPE, (upload,)).read(read).await?;
    Ok(rows.into_iter().map(|((_, number), part)| (number, part)).collect())
}

enum Source {
    Bytes(Bytes),
    Blob(Box<dyn BlobReader>),
}

async fn open(ctx: Ctx, piece: Piece) -> Result<Source> {
    Ok(match piece.content {
        ContentRecord::Small(id) => {
            Source::Bytes(slice(&small(ctx.store(), &id).await?, &piece.range))
        }
        ContentRecord::Blob(id) => Source::Blob(ctx.blobs().open(&id, piece.range).await?),
        ContentRecord::Empty | ContentRecord::Parts(_) => Source::Bytes(Bytes::new()),
    })
}

type Next = (Option<Source>, Result<Option<Bytes>>);

/// An object on its way out, piece after piece.
struct Sending {
    ctx: Ctx,
    pieces: VecDeque<Piece>,
    reader: Option<Source>,
    /// One read under way; it hands its source back.
    pending: Option<SyncFuture<Next>>,
}

type SyncFuture<T> = BoxFuture<'static, T>;

async fn step(ctx: Ctx, source: Source) -> Next {
    let _ = ctx;
    match source {
        Source::Bytes(bytes) if bytes.is_empty() => (None, Ok(None)),
        Source::Bytes(bytes) => (None, Ok(Some(bytes))),
        Source::Blob(mut reader) => {
            let next = reader.next().await.map_err(Error::from);
            (Some(Source::Blob(reader)), next)
        }
    }
}

impl ByteStream for Sending {
    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if self.pending.is_none() {
                let ctx = self.ctx.clone();
                self.pending = Some(match (self.reader.take(), self.pieces.pop_front()) {
                    (Some(reader), next) => {
                        if let Some(next) = next {
                            self.pieces.push_front(next);
                        }
                        Box::pin(step(ctx, reader))
                    }
                    (None, Some(piece)) => Box::pin(async move {
                        match open(ctx.clone(), piece).await {
                            Ok(source) => step(ctx, source).await,
                            Err(error) => (None, Err(error)),
                        }
                    }),
                    (None, None) => return Poll::Ready(None),
                });
            }
            let Some(pending) = &mut self.pending else { return Poll::Ready(None) };
            let (source, next) = ready!(pending.as_mut().poll(cx));
            self.pending = None;
            match next {
                Ok(Some(bytes)) => {
                    self.reader = source;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Ok(None) => self.reader = None,
                Err(error) => {
                    self.pieces.clear();
                    return Poll::Ready(Some(Err(io::Error::other(error.to_string()))));
                }
            }
        }
    }
}

/// Removes a content's rows with the commit; answers the blobs to remove after it.
pub async fn retire(txn: &mut Txn, content: &ContentRecord) -> Result<Vec<String>> {
    Ok(match content {
        ContentRecord::Empty => Vec::new(),
        ContentRecord::Small(id) => {
            BODIES.delete(txn, SCOPE, id.as_str());
            Vec::new()
        }
        ContentRecord::Blob(id) => vec![id.clone()],
        ContentRecord::Parts(upload) => {
            let mut blobs = Vec::new();
            for (number, part) in parts(txn, upload).await? {
                PARTS.delete(txn, SCOPE, &(upload.as_str(), number));
                match part.content {
                    ContentRecord::Small(id) => BODIES.delete(txn, SCOPE, id.as_str()),
                    ContentRecord::Blob(id) => blobs.push(id),
                    ContentRecord::Empty | ContentRecord::Parts(_) => {}
                }
            }
            blobs
        }
    })
}

/// After the commit that forgot them. A failure leaves what the sweep will find.
pub async fn drop_blobs(ctx: &Ctx, ids: &[String]) {
    for id in ids {
        let _ = ctx.blobs().delete(id).await;
    }
}
