//! Headers as backends and clients see them: in order, case kept, names compared without case.
//!
//! The names of incoming headers have lost their case on the way in; the usual spelling stands for
//! it.

use sereno_wire::body::{HeaderMap, HeaderName, HeaderValue};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    pub fn incoming(map: &HeaderMap) -> Headers {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            (spelled(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Headers(map.iter().map(pair).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The last value of a header: the one that counts for API Gateway.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Replaces it, and puts it before all others.
    pub fn add_first(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.0.insert(0, (name.to_owned(), value.to_owned()));
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.add(name, value);
    }

    pub fn set_default(&mut self, name: &str, value: &str) {
        if !self.has(name) {
            self.add(name, value);
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    pub fn remove_all(&mut self, names: &[&str]) {
        self.0.retain(|(n, _)| !names.iter().any(|name| n.eq_ignore_ascii_case(name)));
    }

    /// For a request or response; what HTTP cannot carry is left out.
    pub fn outgoing(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                map.append(name, value);
            }
        }
        map
    }
}

/// `content-type` → `Content-Type`.
fn spelled(name: &str) -> String {
    match name {
        "dnt" => return "DNT".to_owned(),
        "te" => return "TE".to_owned(),
        "etag" => return "ETag".to_owned(),
        _ => {}
    }
    let mut out = String::with_capacity(name.len());
    let mut start = true;
    for c in name.chars() {
        out.push(if start { c.to_ascii_uppercase() } else { c });
        start = c == '-';
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_but_keep_theirs() {
        let mut headers = Headers::default();
        headers.add("X-a", "1");
        headers.add("x-A", "2");
        assert_eq!(headers.get("x-a"), Some("2"));
        headers.set("X-A", "3");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("X-A", "3")]);
        assert_eq!(spelled("x-forwarded-for"), "X-Forwarded-For");
    }
}
