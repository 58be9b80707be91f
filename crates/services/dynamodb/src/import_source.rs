//! The bytes of an object in a bucket, unpacked as they come.

use std::io::{Cursor, Read as _, Write as _};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use sereno_api_dynamodb as api;
use sereno_api_s3 as s3;
use sereno_kernel::{Ctx, Error, Result};
use sereno_wire::Body;

/// Packed ZSTD objects are held whole.
const ZSTD_BYTES_MAX: usize = 256 << 20;
const PIECE_BYTES: usize = 1 << 20;

pub struct Source {
    body: Body,
    packing: Packing,
    /// Bytes of the object that were read.
    pub read_bytes: i64,
}

enum Packing {
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Zstd),
}

/// One or more frames, the current one being unpacked.
enum Zstd {
    Between(Cursor<Bytes>),
    Frame(Box<StreamingDecoder<Cursor<Bytes>, ruzstd::decoding::FrameDecoder>>),
    Over,
}

/// What cannot be unpacked.
fn broken(key: &str, error: impl std::fmt::Display) -> Error {
    Error::invalid("InvalidCompression", format!("The object {key} cannot be unpacked: {error}"))
}

impl Source {
    pub async fn open(
        ctx: &Ctx,
        from: &api::S3BucketSource,
        key: &str,
        packing: &api::InputCompressionType,
    ) -> Result<Source> {
        let input = s3::GetObjectInput {
            bucket: from.s3_bucket.clone(),
            key: key.to_owned(),
            expected_bucket_owner: from.s3_bucket_owner.clone(),
            ..Default::default()
        };
        let mut body = ctx.call::<s3::GetObject>(input).await?.body;
        let mut read_bytes = 0;
        let packing = match packing {
            api::InputCompressionType::Gzip => {
                Packing::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
            }
            api::InputCompressionType::Zstd => {
                let whole = std::mem::take(&mut body).collect(ZSTD_BYTES_MAX).await;
                let whole = whole.map_err(|error| broken(key, error))?;
                read_bytes = whole.len() as i64;
                Packing::Zstd(Zstd::Between(Cursor::new(whole)))
            }
            _ => Packing::None,
        };
        Ok(Source { body, packing, read_bytes })
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        if let Packing::Zstd(zstd) = &mut self.packing {
            return zstd.next().map_err(|error| broken(key, error));
        }
        let Some(piece) = self.body.next().await else {
            return match &mut self.packing {
                Packing::Gzip(decoder) => {
                    decoder.try_finish().map_err(|error| broken(key, error))?;
                    let rest = std::mem::take(decoder.get_mut());
                    Ok((!rest.is_empty()).then_some(rest))
                }
                _ => Ok(None),
            };
        };
        let piece = piece.map_err(|error| Error::unavailable(format!("{key}: {error}")))?;
        self.read_bytes += piece.len() as i64;
        match &mut self.packing {
            Packing::Gzip(decoder) => {
                decoder.write_all(&piece).map_err(|error| broken(key, error))?;
                Ok(Some(std::mem::take(decoder.get_mut())))
            }
            _ => Ok(Some(piece.to_vec())),
        }
    }
}

impl Zstd {
    fn next(&mut self) -> std::result::Result<Option<Vec<u8>>, String> {
        loop {
            match std::mem::replace(self, Zstd::Over) {
                Zstd::Over => return Ok(None),
                Zstd::Between(rest) if rest.position() >= rest.get_ref().len() as u64 => {
                    return Ok(None);
                }
                Zstd::Between(rest) => {
                    let frame = StreamingDecoder::new(rest).map_err(|error| error.to_string())?;
                    *self = Zstd::Frame(Box::new(frame));
                }
                Zstd::Frame(mut frame) => {
                    let mut piece = vec![0; PIECE_BYTES];
                    let count = frame.read(&mut piece).map_err(|error| error.to_string())?;
                    if count == 0 {
                        *self = Zstd::Between((*frame).into_inner());
                        continue;
                    }
                    piece.truncate(count);
                    *self = Zstd::Frame(frame);
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// Names of objects behind `after`, some at a time.
pub async fn objects(
    ctx: &Ctx,
    from: &api::S3BucketSource,
    after: Option<String>,
) -> Result<Vec<String>> {
    let input = s3::ListObjectsV2Input {
        bucket: from.s3_bucket.clone(),
        prefix: from.s3_key_prefix.clone(),
        start_after: after,
        expected_bucket_owner: from.s3_bucket_owner.clone(),
        ..Default::default()
    };
    let page = ctx.call::<s3::ListObjectsV2>(input).await?.contents.unwrap_or_default();
    Ok(page.into_iter().filter_map(|object| object.key).collect())
}
