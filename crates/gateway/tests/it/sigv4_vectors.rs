//! AWS's own test suite for Signature Version 4, as botocore carries it. Fetched from PyPI into `.cache/`; without
//! network the test says so and passes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sereno_gateway::sigv4::{self, Claim, PathEncoding, SigningKey};
use sereno_wire::HttpRequest;
use sereno_wire::body::{HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};

const VERSION: &str = "1.44.5";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Cases that differ on purpose.
const KNOWN: &[(&str, &str)] = &[(
    "get-header-value-multiline",
    "folded headers are refused by HTTP/1.1 servers (RFC 9112, 5.2)",
)];

fn suite() -> Option<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache");
    let folder = cache.join(format!("sigv4-{VERSION}"));
    if folder.is_dir() {
        return Some(folder);
    }
    let archive = cache.join(format!("botocore-{VERSION}.tar.gz"));
    if !archive.exists() {
        fs::create_dir_all(&cache).ok()?;
        Command::new("pip")
            .args(["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"])
            .arg(&cache)
            .arg(format!("botocore=={VERSION}"))
            .output()
            .ok()?;
    }
    // Unpacked aside and renamed: another test process may be looking.
    let unfinished = cache.join(format!("sigv4-{VERSION}.{}", std::process::id()));
    fs::create_dir_all(&unfinished).ok()?;
    let unpacked = Command::new("tar")
        .arg("xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&unfinished)
        .arg("--strip-components=5")
        .arg(format!("botocore-{VERSION}/tests/unit/auth/aws4_testsuite"))
        .status()
        .is_ok_and(|status| status.success());
    if !unpacked {
        fs::remove_dir_all(&unfinished).ok()?;
        return None;
    }
    fs::rename(&unfinished, &folder).ok();
    Some(folder)
}

fn cases(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cases(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "req") {
            found.push(path.with_extension(""));
        }
    }
}

/// `None` if HTTP itself does not allow it.
fn request(text: &str) -> Option<HttpRequest> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (first, _) = lines.next()?.rsplit_once(' ')?;
    let (method, target) = first.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = HttpRequest::new(Method::from_bytes(method.as_bytes()).ok()?, path);
    query.clone_into(&mut request.query);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers.append(name, HeaderValue::from_str(value).ok()?);
    }
    request.body = body.to_owned().into();
    Some(request)
}

#[test]
fn signatures_are_aws_signatures() {
    let Some(folder) = suite() else {
        eprintln!("skipped: botocore {VERSION} cannot be fetched from PyPI");
        return;
    };
    let mut found = Vec::new();
    cases(&folder, &mut found);
    assert!(found.len() > 20, "the suite is not whole: {} cases", found.len());
    let mut checked = 0;
    for case in found {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        if KNOWN.iter().any(|(known, why)| *known == name && !why.is_empty()) {
            continue;
        }
        let read = |extension: &str| {
            fs::read_to_string(case.with_extension(extension)).unwrap().replace('\r', "")
        };
        // The request with whatever signing added to it.
        let text = read("sreq");
        let mut request = request(&text).unwrap_or_else(|| panic!("{name}: no request"));
        let body = text.split_once("\n\n").map_or("", |(_, body)| body);
        let authz = HeaderValue::from_str(read("authz").trim()).unwrap();
        request.headers.insert("authorization", authz);
        let claim = Claim::read(&request).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let hash = sereno_base::hex(&Sha256::digest(body.as_bytes()));
        let canonical = sigv4::canonical_request(&claim, &request, &hash, PathEncoding::Twice);
        assert_eq!(canonical, read("creq"), "{name}: canonical request");
        let to_sign = sigv4::string_to_sign(&claim, &canonical);
        assert_eq!(to_sign, read("sts"), "{name}: string to sign");
        let key = SigningKey::derive(SECRET, &claim.scope);
        let signature = sigv4::signature(&key, &claim, &request, &hash, PathEncoding::Twice);
        assert_eq!(signature, claim.signature, "{name}: signature");
        checked += 1;
    }
    println!("{checked} cases of AWS's suite hold");
}
