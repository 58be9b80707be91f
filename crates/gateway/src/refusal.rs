//! Requests that are refused before a service sees them, in the words of the service's family.

use sereno_base::Timestamp;
use sereno_kernel::{Error, Kind};
use sereno_wire::{Protocol, ServiceSchema};

/// Why a caller could not be identified.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// No signature where one is needed.
    Unsigned,
    /// A signature that cannot be read; AWS's sentence.
    Incomplete(String),
    /// A presigned URL with a wrong parameter; AWS's sentence.
    BadQuery(String),
    /// Headers that S3 would obey but nobody signed.
    UnsignedHeaders,
    UnknownKey,
    BadToken,
    ExpiredToken,
    WrongSignature,
    /// Right, but not for this time, region, day or service; AWS's sentence.
    WrongScope(String),
    Skewed {
        signed: Timestamp,
        now: Timestamp,
    },
    PresignedExpired,
    /// The body is not the signed one.
    WrongPayloadHash,
    /// The body is not encoded as its headers say.
    BrokenBody(String),
    Unavailable(String),
}

/// How a family of services words its refusals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Json,
    RestJson,
    Query,
    S3,
}

fn family(schema: &ServiceSchema) -> Family {
    match schema.protocols.first() {
        _ if schema.name == "s3" => Family::S3,
        Some(Protocol::Json10 | Protocol::Json11 | Protocol::Cbor) => Family::Json,
        Some(Protocol::RestJson) => Family::RestJson,
        _ => Family::Query,
    }
}

const UNSIGNED_HEADERS: &str = "There were headers present in the request which were not signed";
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature \
    you provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";

impl Refusal {
    pub fn error(self, schema: &ServiceSchema) -> Error {
        if let Refusal::Unavailable(why) = self {
            return Error::unavailable(why);
        }
        let (status, code, message) = match family(schema) {
            Family::S3 => self.for_s3(),
            Family::Query => self.for_query(),
            // REST services answer 403 where the others answer 400.
            Family::RestJson => with_status(403, self.json()),
            Family::Json => with_status(400, self.json()),
        };
        Error::new(Kind::Denied, code, message).status(status)
    }

    /// Also for what is signed but is no API call.
    pub fn for_json(self) -> (String, String) {
        let (code, message) = self.json();
        (code.to_owned(), message)
    }

    fn json(self) -> (&'static str, String) {
        match self {
            Refusal::Unsigned => {
                ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
            }
            Refusal::Incomplete(message) | Refusal::BadQuery(message) => {
                ("IncompleteSignatureException", message)
            }
            Refusal::UnknownKey | Refusal::BadToken => {
                ("UnrecognizedClientException", INVALID_TOKEN.to_owned())
            }
            Refusal::ExpiredToken => (
                "ExpiredTokenException",
                "The security token included in the request is expired".to_owned(),
            ),
            other => ("InvalidSignatureException", other.signature_sentence()),
        }
    }

    fn for_query(self) -> (u16, &'static str, String) {
        match self {
            Refusal::Unsigned => (
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token".to_owned(),
            ),
            Refusal::Incomplete(message) | Refusal::BadQuery(message) => {
                (400, "IncompleteSignature", message)
            }
            Refusal::UnknownKey | Refusal::BadToken => {
                (403, "InvalidClientTokenId", INVALID_TOKEN.to_owned())
            }
            Refusal::ExpiredToken => (
                403,
                "ExpiredToken",
                "The security token included in the request is expired".to_owned(),
            ),
            other => (403, "SignatureDoesNotMatch", other.signature_sentence()),
        }
    }

    fn for_s3(self) -> (u16, &'static str, String) {
        let owned = str::to_owned;
        match self {
            Refusal::Unsigned => (403, "AccessDenied", owned("Access Denied")),
            Refusal::Incomplete(message) => (400, "AuthorizationHeaderMalformed", message),
            Refusal::BadQuery(message) => (400, "AuthorizationQueryParametersError", message),
            Refusal::UnknownKey => (
                403,
                "InvalidAccessKeyId",
                owned("The AWS Access Key Id you provided does not exist in our records."),
            ),
            Refusal::BadToken => (
                400,
                "InvalidToken",
                owned("The provided token is malformed or otherwise invalid."),
            ),
            Refusal::ExpiredToken => {
                (400, "ExpiredToken", owned("The provided token has expired."))
            }
            Refusal::Skewed { .. } => (
                403,
                "RequestTimeTooSkewed",
                owned("The difference between the request time and the current time is too large."),
            ),
            Refusal::PresignedExpired => (403, "AccessDenied", owned("Request has expired")),
            Refusal::UnsignedHeaders => (403, "AccessDenied", owned(UNSIGNED_HEADERS)),
            Refusal::BrokenBody(message) => (400, "IncompleteBody", message),
            Refusal::WrongScope(message) => (400, "AuthorizationHeaderMalformed", message),
            Refusal::WrongPayloadHash => {
                (400, "XAmzContentSHA256Mismatch", owned(crate::body::HASH_MISMATCH))
            }
            Refusal::WrongSignature | Refusal::Unavailable(_) => {
                (403, "SignatureDoesNotMatch", owned(crate::chunked::SIGNATURE_MISMATCH))
            }
        }
    }

    /// For the services that have one code for all that is wrong with a signature.
    fn signature_sentence(self) -> String {
        match self {
            Refusal::WrongScope(message) | Refusal::BrokenBody(message) => message,
            Refusal::UnsignedHeaders => UNSIGNED_HEADERS.to_owned(),
            Refusal::Skewed { signed, now } if signed < now => {
                let limit = now.minus(super::identify::SKEW_MAX);
                format!(
                    "Signature expired: {} is now earlier than {} ({} - 15 min.)",
                    signed.basic(),
                    limit.basic(),
                    now.basic()
                )
            }
            Refusal::Skewed { signed, now } => {
                let limit = now.plus(super::identify::SKEW_MAX);
                format!(
                    "Signature not yet current: {} is still later than {} ({} + 15 min.)",
                    signed.basic(),
                    limit.basic(),
                    now.basic()
                )
            }
            Refusal::PresignedExpired => "Signature expired".to_owned(),
            _ => WRONG_SIGNATURE.to_owned(),
        }
    }
}

fn with_status(
    status: u16,
    (code, message): (&'static str, String),
) -> (u16, &'static str, String) {
    (status, code, message)
}
