//! Blobs in an S3-compatible object store, which all servers share.
//!
//! Invariants: an object is complete before its name is given away (a large one is uploaded in
//! parts and completed at the end, a small one put at once); names are 128 random bits and never
//! used twice. What a crash leaves are objects that no record refers to, for the sweep, and parts of
//! uploads never completed: give the bucket a rule that aborts those after a day.

use crate::transport::{Crypto, Transport};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload,
};
use sereno_store::{
    BlobInfo, BlobReader, BlobRef, BlobWriter, Blobs, BoxFuture, Result, StoreError, is_blob_id,
};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the objects are.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `http://host:port`, without the bucket.
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Before every object's name; may be empty.
    pub prefix: String,
}

#[derive(Clone)]
pub struct ObjectBlobs {
    objects: Arc<AmazonS3>,
    prefix: String,
}

/// Parts of an upload; S3 allows 10,000 of them, so an object of 80 GB.
const PART_BYTES: usize = 8 * 1024 * 1024;

fn failed(what: &str, error: &object_store::Error) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } => StoreError::Corrupt(format!("{what} is not there")),
        error => StoreError::Unavailable(format!("{what}: {error}")),
    }
}

impl ObjectBlobs {
    pub fn new(bucket: &Bucket) -> Result<ObjectBlobs> {
        if !bucket.endpoint.starts_with("http://") {
            let endpoint = &bucket.endpoint;
            return Err(StoreError::Unavailable(format!(
                "{endpoint}: TLS to an object store is not built in; give an http:// address in a private network"
            )));
        }
        let objects = AmazonS3Builder::new()
            .with_endpoint(&bucket.endpoint)
            .with_bucket_name(&bucket.bucket)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(&bucket.secret_access_key)
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_http_connector(Transport)
            .with_crypto_provider(Arc::new(Crypto))
            .build()
            .map_err(|error| failed("the object store", &error))?;
        Ok(ObjectBlobs { objects: Arc::new(objects), prefix: bucket.prefix.clone() })
    }

    fn place(&self, id: &str) -> Result<Path> {
        if !is_blob_id(id) {
            return Err(StoreError::Corrupt(format!("{id:?} is no blob")));
        }
        let parts = [self.prefix.as_str(), &id[..2], id];
        Ok(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").into())
    }

    fn writer(&self, id: &str) -> Result<Box<dyn BlobWriter>> {
        let (blobs, place) = (self.clone(), self.place(id)?);
        let (id, buffer) = (id.to_owned(), BytesMut::new());
        Ok(Box::new(Writer { blobs, id, place, buffer, len: 0, upload: None }))
    }
}

impl Blobs for ObjectBlobs {
    fn create(&self) -> BoxFuture<'_, Result<Box<dyn BlobWriter>>> {
        let create = || -> Result<Box<dyn BlobWriter>> {
            let mut random = [0; 16];
            getrandom::fill(&mut random)
                .map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
            self.writer(&sereno_base::hex(&random))
        };
        Box::pin(std::future::ready(create()))
    }

    fn adopt<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Box<dyn BlobWriter>>> {
        Box::pin(std::future::ready(self.writer(id)))
    }

    fn open<'a>(
        &'a self,
        id: &'a str,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn BlobReader>>> {
        Box::pin(async move {
            let (place, what) = (self.place(id)?, format!("blob {id}"));
            let empty = range.is_empty();
            let options = GetOptions {
                head: empty,
                range: (!empty).then(|| GetRange::Bounded(range.clone())),
                ..GetOptions::default()
            };
            let found = self.objects.get_opts(&place, options).await;
            let found = found.map_err(|error| failed(&what, &error))?;
            let len = found.meta.size;
            if range.start > range.end || range.end > len {
                let what = format!("{what} has {len} bytes, {range:?} were asked for");
                return Err(StoreError::Corrupt(what));
            }
            let left = range.end - range.start;
            let stream =
                if empty { futures_util::stream::empty().boxed() } else { found.into_stream() };
            let reader: Box<dyn BlobReader> = Box::new(Reader { what, stream, left });
            Ok(reader)
        })
    }

    fn path(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match self.objects.delete(&self.place(id)?).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(failed(&format!("blob {id}"), &error)),
            }
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BlobInfo>>> {
        Box::pin(async {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let prefix = (!self.prefix.is_empty()).then(|| Path::from(self.prefix.as_str()));
            let mut listing = self.objects.list(prefix.as_ref());
            let mut found = Vec::new();
            while let Some(object) = listing.next().await {
                let object = object.map_err(|error| failed("the listing", &error))?;
                let made = u64::try_from(object.last_modified.timestamp_millis()).unwrap_or(0);
                let id = object.location.filename().unwrap_or_default().to_owned();
                let age = now.saturating_sub(Duration::from_millis(made));
                found.push(BlobInfo { id, len: object.size, age });
            }
            Ok(found)
        })
    }
}

struct Writer {
    blobs: ObjectBlobs,
    id: String,
    place: Path,
    /// Less than a part.
    buffer: BytesMut,
    len: u64,
    /// `None` as long as a single put may do.
    upload: Option<Box<dyn MultipartUpload>>,
}

impl Writer {
    fn failed(&self, error: &object_store::Error) -> StoreError {
        failed(&format!("blob {}", self.id), error)
    }

    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        if self.upload.is_none() {
            let begun = self.blobs.objects.put_multipart(&self.place).await;
            self.upload = Some(begun.map_err(|error| self.failed(&error))?);
        }
        let put = self.upload.as_mut().map(|upload| upload.put_part(PutPayload::from(part)));
        match put {
            Some(put) => put.await.map_err(|error| self.failed(&error)),
            None => Ok(()),
        }
    }
}

impl BlobWriter for Writer {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.len += bytes.len() as u64;
            self.buffer.extend_from_slice(&bytes);
            while self.buffer.len() >= PART_BYTES {
                let part = self.buffer.split_to(PART_BYTES).freeze();
                self.put_part(part).await?;
            }
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<BlobRef>> {
        Box::pin(async move {
            let rest = std::mem::take(&mut self.buffer).freeze();
            if self.upload.is_none() {
                let put = self.blobs.objects.put(&self.place, PutPayload::from(rest)).await;
                put.map_err(|error| self.failed(&error))?;
            } else {
                if !rest.is_empty() {
                    self.put_part(rest).await?;
                }
                if let Some(mut upload) = self.upload.take() {
                    upload.complete().await.map_err(|error| self.failed(&error))?;
                }
            }
            Ok(BlobRef { id: std::mem::take(&mut self.id), len: self.len })
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let (Some(mut upload), Ok(runtime)) =
            (self.upload.take(), tokio::runtime::Handle::try_current())
        {
            // Where this fails the bucket's rule removes the parts.
            runtime.spawn(async move { drop(upload.abort().await) });
        }
    }
}

struct Reader {
    what: String,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    left: u64,
}

impl BlobReader for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(async move {
            match self.stream.next().await {
                Some(Ok(piece)) => {
                    self.left = self.left.saturating_sub(piece.len() as u64);
                    Ok(Some(piece))
                }
                Some(Err(error)) => Err(failed(&self.what, &error)),
                None if self.left > 0 => {
                    Err(StoreError::Unavailable(format!("{} ended too early", self.what)))
                }
                None => Ok(None),
            }
        })
    }
}
