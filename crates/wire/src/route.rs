//! Which operation a request asks for.
//!
//! JSON names it in a header, query in a parameter, REST by method and path. Templates of all of
//! AWS's operations take part, also of those we do not serve: a request for one of them must not
//! be taken for a neighbour (`?accelerate` is not a listing).

use std::sync::OnceLock;

use sereno_base::percent_decode;

use crate::body::{Body, HttpRequest};
use crate::schema::{Location, OperationSchema, Protocol, REQUIRED, ServiceSchema};

#[derive(Clone, Copy, Debug)]
pub enum Target {
    Operation(&'static OperationSchema),
    /// AWS has it, we do not.
    Unserved(&'static str),
}

impl Target {
    pub fn name(self) -> &'static str {
        match self {
            Target::Operation(operation) => operation.name,
            Target::Unserved(name) => name,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Route {
    pub target: Target,
    /// Labels of the path, decoded.
    pub labels: Vec<(&'static str, String)>,
}

impl Route {
    /// A route by name alone, where there is no path to read labels from.
    pub fn to(operation: &'static OperationSchema) -> Route {
        Route { target: Target::Operation(operation), labels: Vec::new() }
    }

    pub fn operation(&self) -> Option<&'static OperationSchema> {
        match self.target {
            Target::Operation(operation) => Some(operation),
            Target::Unserved(_) => None,
        }
    }
}

/// No operation of the service is meant; code, message and status as AWS answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    pub code: &'static str,
    pub message: String,
    pub status: u16,
}

pub fn route(
    service: &'static ServiceSchema,
    protocol: Protocol,
    request: &HttpRequest,
) -> Result<Route, RouteError> {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => by_target(service, request),
        Protocol::Query => by_action(service, request),
        Protocol::Cbor => by_rpc_path(service, request),
        Protocol::RestJson | Protocol::RestXml => by_path(service, request),
    }
}

fn named(service: &'static ServiceSchema, name: &str) -> Option<Route> {
    let target = match service.operation(name) {
        Some(operation) => Target::Operation(operation),
        None => Target::Unserved(service.unserved.iter().find(|s| s.name == name)?.name),
    };
    Some(Route { target, labels: Vec::new() })
}

fn by_target(service: &'static ServiceSchema, request: &HttpRequest) -> Result<Route, RouteError> {
    let name = request.header("x-amz-target").and_then(|t| t.rsplit_once('.')).map(|t| t.1);
    name.and_then(|name| named(service, name)).ok_or(RouteError {
        code: "UnknownOperationException",
        message: String::new(),
        status: 400,
    })
}

fn by_action(service: &'static ServiceSchema, request: &HttpRequest) -> Result<Route, RouteError> {
    let body = match &request.body {
        Body::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        Body::Stream(_) => "",
    };
    let parameter = |name: &str| {
        [request.query.as_str(), body].iter().flat_map(|text| text.split('&')).find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then(|| percent_decode(&value.replace('+', " ")))?
        })
    };
    let Some(name) = parameter("Action") else {
        return Err(RouteError {
            code: "MissingAction",
            message: "The request is missing an Action parameter.".to_owned(),
            status: 400,
        });
    };
    named(service, &name).ok_or_else(|| RouteError {
        code: "InvalidAction",
        message: format!(
            "Could not find operation {name} for version {}",
            parameter("Version").unwrap_or_else(|| "NO_VERSION_SPECIFIED".to_owned())
        ),
        status: 400,
    })
}

fn by_rpc_path(
    service: &'static ServiceSchema,
    request: &HttpRequest,
) -> Result<Route, RouteError> {
    let name = request.path.rsplit_once("/operation/").map(|(_, name)| name);
    name.and_then(|name| named(service, name)).ok_or(RouteError {
        code: "UnknownOperationException",
        message: String::new(),
        status: 404,
    })
}

fn by_path(service: &'static ServiceSchema, request: &HttpRequest) -> Result<Route, RouteError> {
    let path: Vec<&str> = split(&request.path).collect();
    let best = service
        .router
        .templates(service)
        .iter()
        .filter_map(|t| t.score(request, &path).map(|score| (score, t)))
        .max_by_key(|(score, _)| *score);
    let Some((_, template)) = best else {
        return Err(match service.protocols.first() {
            Some(Protocol::RestXml) => RouteError {
                code: "MethodNotAllowed",
                message: "The specified method is not allowed against this resource.".to_owned(),
                status: 405,
            },
            _ => RouteError {
                code: "UnknownOperationException",
                message: String::new(),
                status: 404,
            },
        });
    };
    match template.labels(&path) {
        Some(labels) => Ok(Route { target: template.target, labels }),
        None => Err(RouteError {
            code: "InvalidURI",
            message: "Couldn't parse the specified URI.".to_owned(),
            status: 400,
        }),
    }
}

/// Segments of a path; one slash at its end says nothing.
fn split(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/')
}

#[derive(Debug)]
enum Segment {
    Literal(&'static str),
    Label(&'static str),
    /// The rest of the path, slashes and all.
    Greedy(&'static str),
}

#[derive(Debug)]
struct Template {
    target: Target,
    method: &'static str,
    segments: Vec<Segment>,
    /// Parameters the URI itself names: `?uploads`, `?list-type=2`.
    literals: Vec<(&'static str, Option<&'static str>)>,
    /// Required members that travel as parameters and headers tell neighbours apart.
    parameters: Vec<&'static str>,
    headers: Vec<&'static str>,
}

/// The bigger, the more of the request a template explains.
/// Last: an operation we serve goes before its namesakes (`GET /` has two).
type Score = (usize, bool, usize, usize, bool);

impl Template {
    fn new(target: Target, method: &'static str, uri: &'static str) -> Template {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segments = split(path)
            .filter(|segment| !segment.is_empty())
            .map(|segment| match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                None => Segment::Literal(segment),
                Some(label) => match label.strip_suffix('+') {
                    Some(greedy) => Segment::Greedy(greedy),
                    None => Segment::Label(label),
                },
            })
            .collect();
        let literals = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (pair, None),
            })
            .collect();
        let required = |location| {
            let members = match target {
                Target::Operation(operation) => operation.input.members,
                Target::Unserved(_) => &[],
            };
            members
                .iter()
                .filter(move |m| m.is(REQUIRED) && m.location == location)
                .map(|m| m.wire)
                .collect()
        };
        Template {
            target,
            method,
            segments,
            literals,
            parameters: required(Location::Query),
            headers: required(Location::Header),
        }
    }

    fn score(&self, request: &HttpRequest, path: &[&str]) -> Option<Score> {
        if self.method != request.method.as_str() || !self.fits(path) {
            return None;
        }
        let has = |name: &str, value: Option<&str>| {
            request.query.split('&').any(|pair| {
                let (key, found) = pair.split_once('=').unwrap_or((pair, ""));
                key == name && value.is_none_or(|value| value == found)
            })
        };
        if !self.literals.iter().all(|(name, value)| has(name, *value)) {
            return None;
        }
        let given = self.parameters.iter().filter(|name| has(name, None)).count()
            + self.headers.iter().filter(|name| request.headers.contains_key(**name)).count();
        let literal = |segment: &&Segment| matches!(segment, Segment::Literal(_));
        Some((
            self.literals.len(),
            given == self.parameters.len() + self.headers.len(),
            given,
            self.segments.iter().filter(literal).count(),
            matches!(self.target, Target::Operation(_)),
        ))
    }

    fn fits(&self, path: &[&str]) -> bool {
        let mut rest = path;
        for segment in &self.segments {
            match (segment, rest.split_first()) {
                (Segment::Greedy(_), Some((first, more))) => {
                    return !first.is_empty() || !more.is_empty();
                }
                (Segment::Literal(literal), Some((first, more))) if literal == first => rest = more,
                (Segment::Label(_), Some((first, more))) if !first.is_empty() => rest = more,
                _ => return false,
            }
        }
        matches!(rest, [] | [""])
    }

    fn labels(&self, path: &[&str]) -> Option<Vec<(&'static str, String)>> {
        let mut labels = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Literal(_) => {}
                Segment::Label(name) => labels.push((*name, percent_decode(path[index])?)),
                Segment::Greedy(name) => {
                    labels.push((*name, percent_decode(&path[index..].join("/"))?));
                }
            }
        }
        Some(labels)
    }
}

/// The templates of a service, made at its first request.
#[derive(Debug, Default)]
pub struct Router(OnceLock<Vec<Template>>);

impl Router {
    pub const fn new() -> Router {
        Router(OnceLock::new())
    }

    fn templates(&self, service: &'static ServiceSchema) -> &[Template] {
        self.0.get_or_init(|| {
            let served = service
                .operations
                .iter()
                .map(|o| Template::new(Target::Operation(o), o.method, o.uri));
            let stubs = service
                .unserved
                .iter()
                .map(|s| Template::new(Target::Unserved(s.name), s.method, s.uri));
            served.chain(stubs).collect()
        })
    }
}
