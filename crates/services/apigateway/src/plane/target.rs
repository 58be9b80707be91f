//! Which API, stage and path a request means.
//!
//! `{api}.execute-api[.{region}].{base}/{stage}/...`, and for tools that cannot resolve such hosts
//! `/restapis/{api}/{stage}/_user_request_/...` and `/_aws/execute-api/{api}/{stage}/...`.

/// Where a request goes.
#[derive(Debug, PartialEq)]
pub struct Target<'a> {
    pub api_id: String,
    pub stage: &'a str,
    /// From the slash after the stage on, still encoded.
    pub path: &'a str,
}

impl Target<'_> {
    /// The host name that the API has, however it was addressed.
    pub fn domain(&self, host: &str) -> String {
        match api_of_host(host) {
            Some(_) => host.to_owned(),
            None => format!("{}.execute-api.{host}", self.api_id),
        }
    }
}

const USER_REQUEST: &str = "/_user_request_";
const PATH_FORM: &str = "/_aws/execute-api/";

/// Cheap: asked for every request that reaches the server.
pub fn owns(host: &str, path: &str) -> bool {
    api_of_host(host).is_some()
        || path.starts_with(PATH_FORM)
        || (path.starts_with("/restapis/") && path.contains(USER_REQUEST))
}

/// `abc123` of `abc123.execute-api.eu-west-1.amazonaws.com`.
fn api_of_host(host: &str) -> Option<&str> {
    let (api_id, rest) = host.split_once('.')?;
    let base = rest.strip_prefix("execute-api.")?;
    (!api_id.is_empty() && !base.is_empty()).then_some(api_id)
}

pub fn target<'a>(host: &str, path: &'a str) -> Option<Target<'a>> {
    if let Some(rest) = path.strip_prefix(PATH_FORM) {
        let (api_id, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (stage, path) = stage_and_path(rest);
        return Some(Target { api_id: api_id.to_lowercase(), stage, path });
    }
    if let Some(rest) = path.strip_prefix("/restapis/")
        && let Some((place, path)) = rest.split_once(USER_REQUEST)
    {
        let (api_id, stage) = place.split_once('/')?;
        return Some(Target { api_id: api_id.to_lowercase(), stage, path });
    }
    let api_id = api_of_host(host)?.to_lowercase();
    // Slashes before the stage are not counted (recorded: test_lambda_aws_proxy_integration).
    let (stage, path) = stage_and_path(path.trim_start_matches('/'));
    Some(Target { api_id, stage, path })
}

fn stage_and_path(rest: &str) -> (&str, &str) {
    match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let is = |host, path, api: &str, stage, rest| {
            assert!(owns(host, path));
            let expected = Target { api_id: api.to_owned(), stage, path: rest };
            assert_eq!(target(host, path), Some(expected), "{host} {path}");
        };
        is("abc.execute-api.localhost", "/prod/a/b", "abc", "prod", "/a/b");
        is("abc.execute-api.eu-west-1.amazonaws.com", "//prod", "abc", "prod", "");
        is("localhost", "/_aws/execute-api/abc/prod/x", "abc", "prod", "/x");
        is("localhost", "/_aws/execute-api/abc/prod", "abc", "prod", "");
        is("localhost", "/restapis/abc/prod/_user_request_/x/y", "abc", "prod", "/x/y");
        is("localhost", "/restapis/abc/prod/_user_request_", "abc", "prod", "");
        assert!(!owns("localhost", "/restapis/abc/stages"));
        assert!(!owns("execute-api.eu-west-1.amazonaws.com", "/"));
    }
}
