//! The one error that a service answers with.
//!
//! `kind` says who is at fault and what a caller may do; `code` and `message` are AWS's own words and go to the
//! client; `context` goes to the server's log only. Services make errors in their `errors.rs` and nowhere else.

use std::borrow::Cow;
use std::fmt;

use sereno_store::StoreError;
use sereno_wire::DynShape;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarsely: decides the HTTP status where AWS's model names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong and will stay wrong. 400.
    Invalid,
    /// 404 in REST protocols, 400 in the others.
    NotFound,
    /// The state does not allow it now. 409 in REST protocols, 400 in the others.
    Conflict,
    /// 403.
    Denied,
    /// Try again later, slower. 429 in REST protocols, 400 in the others.
    Throttled,
    /// Try again. 503.
    Unavailable,
    /// Ours to mend. 500; the client sees only the request id.
    Internal,
    /// AWS has it, we do not serve it. 501.
    NotImplemented,
}

/// An error as AWS words it. Boxed inside, so that a `Result` stays small.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    code: Cow<'static, str>,
    message: String,
    status: Option<u16>,
    detail: Option<Box<dyn DynShape>>,
    context: Option<String>,
}

impl Error {
    pub fn new(
        kind: Kind,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Error {
        let (code, message) = (code.into(), message.into());
        Error(Box::new(Inner { kind, code, message, status: None, detail: None, context: None }))
    }

    pub fn invalid(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Error {
        Error::new(Kind::Invalid, code, message)
    }

    pub fn not_found(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Error {
        Error::new(Kind::NotFound, code, message)
    }

    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Error {
        Error::new(Kind::Conflict, code, message)
    }

    /// A fault of ours. `context` is logged; the client learns the request id only.
    pub fn internal(context: impl Into<String>) -> Error {
        Error::new(Kind::Internal, "InternalFailure", INTERNAL_MESSAGE).context(context)
    }

    pub fn unavailable(context: impl Into<String>) -> Error {
        Error::new(
            Kind::Unavailable,
            "ServiceUnavailable",
            "The service is temporarily unavailable. Please try again.",
        )
        .context(context)
    }

    /// Something AWS has and Sereno does not: `what` completes "Sereno does not ... yet".
    pub fn not_implemented(message: impl Into<String>) -> Error {
        Error::new(Kind::NotImplemented, "NotImplemented", message)
    }

    /// Overrides the HTTP status that the model or the kind would give.
    #[must_use]
    pub fn status(mut self, status: u16) -> Error {
        self.0.status = Some(status);
        self
    }

    /// Members of the error's own structure besides the message (`CancellationReasons`, `Item`).
    #[must_use]
    pub fn detail(mut self, shape: impl DynShape + 'static) -> Error {
        self.0.detail = Some(Box::new(shape));
        self
    }

    /// What the operator should know; never sent.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Error {
        self.0.context = Some(context.into());
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The status set by hand, if any.
    pub fn fixed_status(&self) -> Option<u16> {
        self.0.status
    }

    pub fn detail_shape(&self) -> Option<&dyn DynShape> {
        self.0.detail.as_deref()
    }

    pub fn log_context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, Kind::Throttled | Kind::Unavailable | Kind::Internal)
    }
}

const INTERNAL_MESSAGE: &str =
    "The request processing has failed because of an unknown error, exception or failure.";

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::Conflict => Error::unavailable("a transaction kept conflicting"),
            // What a request names or writes decides the size: it is the request's fault.
            StoreError::TooLarge(what) => Error::invalid(
                "ValidationException",
                format!("The request is over Sereno's limits: {what}."),
            ),
            StoreError::Unavailable(why) => Error::unavailable(why),
            StoreError::Corrupt(what) => Error::internal(format!("corrupt data: {what}")),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.0.kind, self.0.code, self.0.message)?;
        match &self.0.context {
            Some(context) => write!(f, " ({context})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
