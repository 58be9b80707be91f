//! CORS as the URL is configured: the function is not asked, and what it says itself is replaced.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html#urls-cors>

use sereno_wire::{HttpRequest, HttpResponse};

use crate::state::CorsRecord;

/// The answer to a preflight; `None`: it is none.
pub fn preflight(settings: &CorsRecord, request: &HttpRequest) -> Option<HttpResponse> {
    let origin = request.header("origin")?;
    let method = request.header("access-control-request-method")?;
    if request.method.as_str() != "OPTIONS" {
        return None;
    }
    let mut response = HttpResponse::new(200).with_header("content-type", "application/json");
    add(settings, origin, &mut response);
    if allows(&settings.allow_origins, origin) && allows(&settings.allow_methods, method) {
        response.set_header("access-control-allow-methods", &settings.allow_methods.join(","));
        if let Some(wanted) = request.header("access-control-request-headers") {
            let headers = wanted.split(',').map(str::trim);
            let allowed: Vec<&str> =
                headers.filter(|name| allows(&settings.allow_headers, name)).collect();
            if !allowed.is_empty() {
                response.set_header("access-control-allow-headers", &allowed.join(","));
            }
        }
        if let Some(age) = settings.max_age_s {
            response.set_header("access-control-max-age", &age.to_string());
        }
    }
    Some(response)
}

/// Adds what lets a page of `origin` read the answer, if it may.
pub fn add(settings: &CorsRecord, origin: &str, response: &mut HttpResponse) {
    for name in ["origin", "credentials", "methods", "headers"] {
        response.headers.remove(format!("access-control-allow-{name}"));
    }
    response.headers.remove("access-control-expose-headers");
    response.set_header("vary", "Origin");
    if !allows(&settings.allow_origins, origin) {
        return;
    }
    let credentials = settings.allow_credentials == Some(true);
    let everyone = settings.allow_origins.iter().any(|allowed| allowed == "*") && !credentials;
    response.set_header("access-control-allow-origin", if everyone { "*" } else { origin });
    if credentials {
        response.set_header("access-control-allow-credentials", "true");
    }
    if !settings.expose_headers.is_empty() {
        let exposed = settings.expose_headers.join(",");
        response.set_header("access-control-expose-headers", &exposed);
    }
}

fn allows(list: &[String], wanted: &str) -> bool {
    list.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> CorsRecord {
        CorsRecord {
            allow_origins: vec!["https://a.example".to_owned()],
            allow_methods: vec!["GET".to_owned(), "PUT".to_owned()],
            allow_headers: vec!["x-one".to_owned()],
            expose_headers: vec!["date".to_owned()],
            max_age_s: Some(60),
            allow_credentials: None,
        }
    }

    fn asked(origin: &str, method: &str) -> HttpResponse {
        let mut request = HttpRequest::new(http::Method::OPTIONS, "/");
        let mut set = |name: &'static str, value: &str| {
            request.headers.insert(name, value.parse().unwrap());
        };
        set("origin", origin);
        set("access-control-request-method", method);
        set("access-control-request-headers", "X-One, x-two");
        preflight(&settings(), &request).unwrap()
    }

    #[test]
    fn preflights() {
        let allowed = asked("https://a.example", "PUT");
        assert_eq!(allowed.headers["access-control-allow-origin"], "https://a.example");
        assert_eq!(allowed.headers["access-control-allow-methods"], "GET,PUT");
        assert_eq!(allowed.headers["access-control-allow-headers"], "X-One");
        assert_eq!(allowed.headers["access-control-max-age"], "60");
        assert!(
            !asked("https://b.example", "PUT").headers.contains_key("access-control-allow-origin")
        );
        assert!(
            !asked("https://a.example", "DELETE")
                .headers
                .contains_key("access-control-allow-methods")
        );
    }

    #[test]
    fn the_functions_own_headers_are_replaced() {
        let mut response = HttpResponse::new(200).with_header("access-control-allow-origin", "*");
        add(&settings(), "https://b.example", &mut response);
        assert!(!response.headers.contains_key("access-control-allow-origin"));
        let mut response = HttpResponse::new(200);
        let open = CorsRecord { allow_origins: vec!["*".to_owned()], ..Default::default() };
        add(&open, "https://b.example", &mut response);
        assert_eq!(response.headers["access-control-allow-origin"], "*");
    }
}
