//! What a request says of its own signature, before anything of it is believed.

use std::fmt;
use std::time::Duration;

use sereno_base::{Timestamp, percent_decode};
use sereno_wire::HttpRequest;

use super::ALGORITHM;

/// A presigned URL lives a week at most.
const EXPIRES_S_MAX: u64 = 604_800;

/// Day, region and service that a signing key is narrowed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `20161201`
    pub date: String,
    pub region: String,
    pub service: String,
}

impl Scope {
    pub fn push_to(&self, text: &mut String) {
        for part in [&self.date, &self.region, &self.service] {
            text.push_str(part);
            text.push('/');
        }
        text.push_str("aws4_request");
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

/// Where the signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Header,
    /// A presigned URL, valid for so long from its time on.
    Query {
        expires: Duration,
    },
}

/// A parsed signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub access_key_id: String,
    pub scope: Scope,
    /// Names in lower case, with semicolons between: `host;x-amz-date`.
    pub signed_headers: String,
    pub signature: String,
    pub time: Timestamp,
    pub session_token: Option<String>,
    pub placement: Placement,
}

/// Why a signature cannot even be checked; the sentence is AWS's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// There is none.
    Missing,
    Incomplete(String),
    /// Presigned, with a parameter that is wrong.
    BadQuery(String),
}

impl Claim {
    /// Whether a header, named in lower case, is among the signed ones.
    pub fn signs(&self, header: &str) -> bool {
        self.signed_headers.split(';').any(|name| name == header)
    }

    /// Reads the Authorization header or the X-Amz-* query parameters.
    pub fn read(request: &HttpRequest) -> Result<Claim, ClaimError> {
        match request.header("authorization") {
            Some(header) => Claim::from_header(request, header),
            None if request.query.contains("X-Amz-Algorithm=") => Claim::from_query(&request.query),
            None => Err(ClaimError::Missing),
        }
    }

    fn from_header(request: &HttpRequest, header: &str) -> Result<Claim, ClaimError> {
        let incomplete =
            |what: &str| ClaimError::Incomplete(format!("{what} Authorization={header}"));
        let rest = header.strip_prefix(ALGORITHM).ok_or_else(|| {
            ClaimError::Incomplete(format!(
                "Unsupported AWS 'algorithm': '{}'.",
                header.split(' ').next().unwrap_or_default()
            ))
        })?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            match part.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => signed_headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => {}
            }
        }
        let missing =
            |name| incomplete(&format!("Authorization header requires '{name}' parameter."));
        let credential = credential.ok_or_else(|| missing("Credential"))?;
        let signed_headers = signed_headers.ok_or_else(|| missing("SignedHeaders"))?;
        let signature = signature.ok_or_else(|| missing("Signature"))?;
        let (access_key_id, scope) = parse_credential(credential).ok_or_else(|| {
            ClaimError::Incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got"
                    .to_owned()
                    + &format!(" '{credential}'"),
            )
        })?;
        let no_date = || {
            incomplete(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
            )
        };
        let time = match request.header("x-amz-date") {
            Some(date) => Timestamp::parse_basic(date).map_err(|_| no_date())?,
            None => {
                let date = request.header("date").ok_or_else(no_date)?;
                Timestamp::parse_http_date(date)
                    .or_else(|_| Timestamp::parse_basic(date))
                    .map_err(|_| no_date())?
            }
        };
        Ok(Claim {
            access_key_id,
            scope,
            signed_headers: signed_headers.to_ascii_lowercase(),
            signature: signature.to_owned(),
            time,
            session_token: request.header("x-amz-security-token").map(str::to_owned),
            placement: Placement::Header,
        })
    }

    fn from_query(query: &str) -> Result<Claim, ClaimError> {
        let find = |name: &str| {
            let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
            percent_decode(value)
        };
        let need = |name: &str| {
            find(name).ok_or_else(|| {
                ClaimError::BadQuery(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                     X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
                        .to_owned(),
                )
            })
        };
        let bad = |message: &str| ClaimError::BadQuery(message.to_owned());
        if need("X-Amz-Algorithm")? != ALGORITHM {
            return Err(bad("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let credential = need("X-Amz-Credential")?;
        let (access_key_id, scope) = parse_credential(&credential).ok_or_else(|| {
            bad("Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \
                 \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
        })?;
        let expires: u64 =
            need("X-Amz-Expires")?.parse().map_err(|_| bad("X-Amz-Expires should be a number"))?;
        if expires > EXPIRES_S_MAX {
            return Err(bad(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given \
                            X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        let time = Timestamp::parse_basic(&need("X-Amz-Date")?).map_err(|_| {
            bad("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        })?;
        Ok(Claim {
            access_key_id,
            scope,
            signed_headers: need("X-Amz-SignedHeaders")?.to_ascii_lowercase(),
            signature: need("X-Amz-Signature")?,
            time,
            session_token: find("X-Amz-Security-Token"),
            placement: Placement::Query { expires: Duration::from_secs(expires) },
        })
    }
}

fn parse_credential(credential: &str) -> Option<(String, Scope)> {
    let mut parts = credential.split('/');
    let (key, date) = (parts.next()?, parts.next()?);
    let (region, service, term) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || term != "aws4_request" || key.is_empty() {
        return None;
    }
    let scope =
        Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
    Some((key.to_owned(), scope))
}

#[cfg(test)]
mod tests {
    use sereno_wire::body::{HeaderValue, Method};

    use super::*;

    const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKID/20161201/us-east-1/s3/aws4_request, \
        SignedHeaders=Host;x-amz-date, Signature=abc";

    fn read(authorization: &str, date: Option<&'static str>) -> Result<Claim, ClaimError> {
        let mut request = HttpRequest::new(Method::GET, "/");
        request.headers.insert("authorization", HeaderValue::from_str(authorization).unwrap());
        if let Some(date) = date {
            request.headers.insert("x-amz-date", HeaderValue::from_static(date));
        }
        Claim::read(&request)
    }

    #[test]
    fn headers() {
        let claim = read(GOOD, Some("20161201T100000Z")).unwrap();
        assert_eq!(claim.access_key_id, "AKID");
        assert!(claim.signs("host") && claim.signs("x-amz-date") && !claim.signs("x-amz-acl"));
        assert_eq!(claim.placement, Placement::Header);
        let incomplete = |header: &str, date| {
            assert!(matches!(read(header, date), Err(ClaimError::Incomplete(_))), "{header}");
        };
        incomplete(GOOD, None);
        incomplete(GOOD, Some("2016"));
        incomplete(GOOD, Some("20161301T100000Z"));
        for broken in [
            "",
            "AWS AKID:signature",
            "Bearer x",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
            "AWS4-HMAC-SHA256 Credential=A/B/C/D/E/F, SignedHeaders=host, Signature=abc",
            "AWS4-HMAC-SHA256 Credential=A/20161201/us-east-1/s3/aws4_request, Signature=abc",
        ] {
            incomplete(broken, Some("20161201T100000Z"));
        }
    }

    #[test]
    fn queries() {
        let read = |query: &str| {
            let mut request = HttpRequest::new(Method::GET, "/");
            query.clone_into(&mut request.query);
            Claim::read(&request)
        };
        let good = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20161201%2Fus-east-1%2Fs3%2F\
            aws4_request&X-Amz-Date=20161201T100000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&\
            X-Amz-Signature=abc&X-Amz-Security-Token=to%2Bken";
        let claim = read(good).unwrap();
        assert_eq!(claim.session_token.as_deref(), Some("to+ken"));
        assert_eq!(claim.placement, Placement::Query { expires: Duration::from_secs(60) });
        assert_eq!(read("a=b"), Err(ClaimError::Missing));
        for (from, to) in [
            ("Expires=60", "Expires=604801"),
            ("Expires=60", "Expires=-1"),
            ("Expires=60", "Expires=99999999999999999999"),
            ("Signature=abc", "Other=abc"),
            ("SHA256", "SHA1"),
            ("AKID%2F", ""),
            ("20161201T100000Z", "%ff"),
        ] {
            let query = good.replacen(from, to, 1);
            assert!(matches!(read(&query), Err(ClaimError::BadQuery(_))), "{query}");
        }
    }
}
