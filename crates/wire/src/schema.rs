//! What a service's model says, as static data: shapes, members, operations, errors.
//!
//! Invariant: everything here is reachable from `static`s and never changes after start, so that
//! protocols, validation, audit and the console all read one description. Built by `const fn`s,
//! which keeps the generated files looking like an IDL.

pub use crate::pattern::Pattern;

/// What kind of value a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Structure,
    Union,
    List,
    Map,
    String,
    Enum,
    Boolean,
    Integer,
    Long,
    Double,
    Blob,
    /// A blob or event stream that is the whole message body and may not be held in memory.
    Stream,
    Timestamp,
    Document,
}

/// How a timestamp is written where the model does not leave it to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFormat {
    /// The protocol's own choice.
    Protocol,
    Iso8601,
    Http,
    Epoch,
}

/// A shape of the model.
#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub kind: Kind,
    /// Members of a structure or union, in the model's order.
    pub members: &'static [Member],
    /// The key of a map.
    pub key: Option<Member>,
    /// The element of a list, the value of a map.
    pub element: Option<Member>,
    /// Smallest length (strings, blobs, lists, maps) or value (numbers).
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub pattern: Option<&'static Pattern>,
    /// Allowed values of an enumeration.
    pub values: &'static [&'static str],
    pub timestamp: TimestampFormat,
}

impl Schema {
    const fn plain(name: &'static str, kind: Kind) -> Self {
        Schema {
            name,
            kind,
            members: &[],
            key: None,
            element: None,
            min: None,
            max: None,
            pattern: None,
            values: &[],
            timestamp: TimestampFormat::Protocol,
        }
    }

    pub const fn structure(name: &'static str, members: &'static [Member]) -> Self {
        let mut schema = Self::plain(name, Kind::Structure);
        schema.members = members;
        schema
    }

    pub const fn union(name: &'static str, members: &'static [Member]) -> Self {
        let mut schema = Self::plain(name, Kind::Union);
        schema.members = members;
        schema
    }

    pub const fn list(name: &'static str, element: Member) -> Self {
        let mut schema = Self::plain(name, Kind::List);
        schema.element = Some(element);
        schema
    }

    pub const fn map(name: &'static str, key: Member, value: Member) -> Self {
        let mut schema = Self::plain(name, Kind::Map);
        schema.key = Some(key);
        schema.element = Some(value);
        schema
    }

    pub const fn string(name: &'static str) -> Self {
        Self::plain(name, Kind::String)
    }

    pub const fn enumeration(name: &'static str, values: &'static [&'static str]) -> Self {
        let mut schema = Self::plain(name, Kind::Enum);
        schema.values = values;
        schema
    }

    pub const fn scalar(name: &'static str, kind: Kind) -> Self {
        Self::plain(name, kind)
    }

    pub const fn min(mut self, min: i64) -> Self {
        self.min = Some(min);
        self
    }

    pub const fn max(mut self, max: i64) -> Self {
        self.max = Some(max);
        self
    }

    pub const fn pattern(mut self, pattern: &'static Pattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    pub const fn format(mut self, format: TimestampFormat) -> Self {
        self.timestamp = format;
        self
    }

    /// The member of that name in the model, and its index.
    pub fn member(&self, name: &str) -> Option<(usize, &'static Member)> {
        self.members.iter().enumerate().find(|(_, m)| m.name == name)
    }

    /// The member whose value is the whole body of the message, if the model names one.
    pub fn payload(&self) -> Option<(usize, &'static Member)> {
        self.members.iter().enumerate().find(|(_, m)| m.is(PAYLOAD))
    }
}

/// Where a member travels in an HTTP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    Body,
    /// A label of the URI.
    Uri,
    Query,
    Header,
    /// A map, each entry a header that begins with the wire name.
    PrefixHeaders,
    StatusCode,
}

pub const REQUIRED: u16 = 1;
pub const FLATTENED: u16 = 2;
pub const XML_ATTRIBUTE: u16 = 4;
pub const PAYLOAD: u16 = 8;
pub const IDEMPOTENCY_TOKEN: u16 = 16;
pub const HOST_LABEL: u16 = 32;
pub const SENSITIVE: u16 = 64;
/// A string holding JSON; in headers it travels as base64.
pub const JSON_VALUE: u16 = 128;
pub const EVENT_STREAM: u16 = 512;
/// The text of the enclosing element itself (`<LocationConstraint>eu-west-1</...>`).
pub const XML_TEXT: u16 = 1024;
/// A flattened list that goes by its element's name (`QueueUrl` for `QueueUrls`).
pub const FLAT_BY_ELEMENT: u16 = 256;

/// A member of a structure or union, the element of a list, the key or value of a map.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub name: &'static str,
    /// The name on the wire: a JSON key, XML element, header, query parameter or label.
    pub wire: &'static str,
    pub target: &'static Schema,
    pub location: Location,
    pub flags: u16,
    /// Prefix (may be empty) and URI of an XML namespace declared on this element.
    pub namespace: Option<(&'static str, &'static str)>,
}

impl Member {
    pub const fn new(name: &'static str, target: &'static Schema) -> Self {
        Member { name, wire: name, target, location: Location::Body, flags: 0, namespace: None }
    }

    pub const fn wire(mut self, wire: &'static str) -> Self {
        self.wire = wire;
        self
    }

    pub const fn at(mut self, location: Location, wire: &'static str) -> Self {
        self.location = location;
        self.wire = wire;
        self
    }

    pub const fn with(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    pub const fn required(self) -> Self {
        self.with(REQUIRED)
    }

    pub const fn xmlns(mut self, prefix: &'static str, uri: &'static str) -> Self {
        self.namespace = Some((prefix, uri));
        self
    }

    pub const fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// A wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Json10,
    Json11,
    Query,
    RestJson,
    RestXml,
    Cbor,
}

#[derive(Debug)]
pub struct ServiceSchema {
    /// The model's folder, e.g. `dynamodb`.
    pub name: &'static str,
    /// e.g. `DynamoDB`.
    pub service_id: &'static str,
    pub api_version: &'static str,
    pub signing_name: &'static str,
    pub endpoint_prefix: &'static str,
    /// The first one is what today's clients send.
    pub protocols: &'static [Protocol],
    /// What stands before the dot in `X-Amz-Target`.
    pub target_prefix: Option<&'static str>,
    pub xml_namespace: Option<&'static str>,
    /// Prefix of error types in JSON (`com.amazonaws.dynamodb.v20120810`), where AWS sends one.
    pub error_namespace: Option<&'static str>,
    /// One endpoint for all regions (iam, sts' old one).
    pub global_endpoint: bool,
    pub operations: &'static [&'static OperationSchema],
    /// AWS has them, we do not serve them.
    pub unserved: &'static [OperationStub],
    pub errors: &'static [&'static ErrorSchema],
    pub router: crate::route::Router,
}

impl ServiceSchema {
    pub fn operation(&self, name: &str) -> Option<&'static OperationSchema> {
        self.operations.iter().copied().find(|o| o.name == name)
    }

    /// The error whose shape's name or wire code this is.
    pub fn error(&self, code: &str) -> Option<&'static ErrorSchema> {
        self.errors
            .iter()
            .copied()
            .find(|e| e.shape == code)
            .or_else(|| self.errors.iter().copied().find(|e| e.code == code))
    }
}

#[derive(Debug)]
pub struct OperationStub {
    pub name: &'static str,
    pub method: &'static str,
    pub uri: &'static str,
}

/// What the model says on checksums of an operation's bodies (S3).
#[derive(Debug)]
pub struct Checksum {
    /// The member that names the algorithm of the request's checksum.
    pub algorithm_member: Option<&'static str>,
    /// The request must carry a checksum or `Content-MD5`.
    pub required: bool,
    /// The member by which a client asks for the response's checksum.
    pub mode_member: Option<&'static str>,
}

#[derive(Debug)]
pub struct OperationSchema {
    pub name: &'static str,
    pub service: &'static ServiceSchema,
    pub method: &'static str,
    /// `/2015-03-31/functions/{FunctionName}?x=y`; `{Key+}` is greedy.
    pub uri: &'static str,
    pub status: u16,
    pub input: &'static Schema,
    pub output: &'static Schema,
    /// The element around a query result (`AssumeRoleResult`).
    pub result_wrapper: Option<&'static str>,
    /// Root element and namespace of the request, where the model names them.
    pub input_root: Option<&'static str>,
    /// Root element of the response.
    pub output_root: Option<&'static str>,
    /// Needs no signature.
    pub unsigned: bool,
    pub host_prefix: Option<&'static str>,
    /// The member a client fills with a fresh token.
    pub idempotency_token: Option<&'static str>,
    pub checksum: Option<Checksum>,
    pub errors: &'static [&'static ErrorSchema],
}

impl OperationSchema {
    /// AWS's page on this operation.
    pub fn documentation(&self) -> String {
        format!(
            "https://docs.aws.amazon.com/goto/WebAPI/{}-{}/{}",
            self.service.name, self.service.api_version, self.name
        )
    }
}

#[derive(Debug)]
pub struct ErrorSchema {
    /// The shape's name: the type in JSON protocols.
    pub shape: &'static str,
    /// The code in XML protocols.
    pub code: &'static str,
    pub status: u16,
    pub sender_fault: bool,
    pub schema: &'static Schema,
}

/// Schemas of scalars on which the models put no constraint.
pub mod prelude {
    use super::{Kind, Schema, TimestampFormat};

    pub static STRING: Schema = Schema::string("String");
    pub static BOOLEAN: Schema = Schema::scalar("Boolean", Kind::Boolean);
    pub static INTEGER: Schema = Schema::scalar("Integer", Kind::Integer);
    pub static LONG: Schema = Schema::scalar("Long", Kind::Long);
    pub static DOUBLE: Schema = Schema::scalar("Double", Kind::Double);
    pub static BLOB: Schema = Schema::scalar("Blob", Kind::Blob);
    pub static STREAM: Schema = Schema::scalar("Stream", Kind::Stream);
    pub static DOCUMENT: Schema = Schema::scalar("Document", Kind::Document);
    pub static TIMESTAMP: Schema = Schema::scalar("Timestamp", Kind::Timestamp);
    pub static TIMESTAMP_ISO8601: Schema =
        Schema::scalar("Timestamp", Kind::Timestamp).format(TimestampFormat::Iso8601);
    pub static TIMESTAMP_HTTP: Schema =
        Schema::scalar("Timestamp", Kind::Timestamp).format(TimestampFormat::Http);
    pub static TIMESTAMP_EPOCH: Schema =
        Schema::scalar("Timestamp", Kind::Timestamp).format(TimestampFormat::Epoch);
    pub static UNIT: Schema = Schema::structure("Unit", &[]);
}
