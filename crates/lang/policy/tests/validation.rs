//! The tables in `testdata`: a policy's text and what AWS answers.

use sereno_policy::validate::{self, IdentityKind};
use sereno_policy::{Malformed, Policy};

fn check(table: &str, validate: impl Fn(&str) -> Result<Policy, Malformed>) {
    let mut text = "";
    let mut cases = 0;
    for line in table.lines() {
        let Some(want) = line.strip_prefix("=> ") else {
            if !line.is_empty() && !line.starts_with('#') {
                text = line;
            }
            continue;
        };
        let whole = match text.strip_prefix('S') {
            Some(one) => format!("{{\"Version\":\"2012-10-17\",\"Statement\":{one}}}"),
            None => text.to_owned(),
        };
        let got = match validate(&whole) {
            Ok(_) => "ok".to_owned(),
            Err(Malformed(sentence)) => sentence,
        };
        assert_eq!(got, want, "{text}");
        cases += 1;
    }
    assert!(cases > 5);
}

#[test]
fn identity_policies() {
    check(include_str!("testdata/identity.txt"), |t| validate::identity(t, IdentityKind::Managed));
}

#[test]
fn inline_policies_may_be_of_the_old_version() {
    for version in ["", "\"Version\":\"2008-10-17\","] {
        let text = format!(
            "{{{version}\"Statement\":{{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}}}"
        );
        assert!(validate::identity(&text, IdentityKind::Inline).is_ok());
        assert!(validate::identity(&text, IdentityKind::Managed).is_err());
    }
}

#[test]
fn trust_policies() {
    check(include_str!("testdata/trust.txt"), validate::trust);
}

#[test]
fn resource_policies() {
    check(include_str!("testdata/resource.txt"), validate::resource);
}
