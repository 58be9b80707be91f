//! What `object_store` needs of the world: HTTP by hyper, which is here anyway, and hashes by
//! `sha2` and `hmac`. Its own defaults would bring a second HTTP client and a C library.

use hmac::{Hmac, KeyInit, Mac};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Connector;
use hyper_util::rt::TokioExecutor;
use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, HttpClient, HttpConnector,
    HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService, Signer, SigningAlgorithm,
};
use object_store::{ClientOptions, Error, Result};
use sha2::{Digest, Sha256};
use std::pin::Pin;

#[derive(Debug)]
pub struct Transport;

#[derive(Debug)]
struct Hyper(Client<Connector, HttpRequestBody>);

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        let mut connector = Connector::new();
        connector.set_nodelay(true);
        Ok(HttpClient::new(Hyper(Client::builder(TokioExecutor::new()).build(connector))))
    }
}

impl HttpService for Hyper {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = std::result::Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let answer = self.0.request(request).await.map_err(|error| {
                let kind = if error.is_connect() {
                    HttpErrorKind::Connect
                } else {
                    HttpErrorKind::Interrupted
                };
                HttpError::new(kind, error)
            })?;
            let (head, body) = answer.into_parts();
            let body = http_body_util::BodyExt::map_err(body, |error| {
                HttpError::new(HttpErrorKind::Interrupted, error)
            });
            Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
        })
    }
}

#[derive(Debug)]
pub struct Crypto;

struct Hash(Sha256, Vec<u8>);

struct Code(Hmac<Sha256>, Vec<u8>);

impl CryptoProvider for Crypto {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Hash(Sha256::new(), Vec::new()))),
            other => Err(unsupported(&other)),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                let code = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
                Ok(Box::new(Code(code, Vec::new())))
            }
            other => Err(unsupported(&other)),
        }
    }

    fn sign(&self, algorithm: SigningAlgorithm, _: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unsupported(&algorithm))
    }
}

fn unsupported(what: &dyn std::fmt::Debug) -> Error {
    Error::NotSupported { source: format!("{what:?}").into() }
}

impl DigestContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.1 = std::mem::take(&mut self.0).finalize().to_vec();
        Ok(&self.1)
    }
}

impl HmacContext for Code {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.1 = self.0.clone().finalize().into_bytes().to_vec();
        Ok(&self.1)
    }
}
