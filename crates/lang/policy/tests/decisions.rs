//! The table `testdata/decisions.txt`: who asks for what, which policies apply, what is decided.
//!
//! Lines of a case: `by`, `identity`, `boundary`, `session`, `resource`, `trust` (one statement or a list of
//! them), `old` (the policies are of version 2008-10-17), `where` (context), `does <action> <resource>`, `=>`.
//! A case begins after an empty line; everything else than `by` and `does` may be missing. After an arrow the
//! lines stay in force until they are replaced, except `says` (the error's sentence).

use sereno_policy::validate::{self, IdentityKind};
use sereno_policy::{
    Context, Decision, Policies, Policy, PolicyKind, Principal, PrincipalKind, Request,
    ResourceRule, decide, denied,
};
use std::sync::Arc;

const ACCOUNT: &str = "111111111111";

fn principal(by: &'static str) -> Principal<'static> {
    let base = Principal {
        arn: "arn:aws:iam::111111111111:root",
        account: ACCOUNT,
        kind: PrincipalKind::Root,
        unique_id: None,
    };
    match by {
        "root" => base,
        "ann" => Principal {
            arn: "arn:aws:iam::111111111111:user/ann",
            kind: PrincipalKind::User { name: "ann" },
            unique_id: Some("AIDAANN0000000000000"),
            ..base
        },
        "app" => Principal {
            arn: "arn:aws:sts::111111111111:assumed-role/app/one",
            kind: PrincipalKind::RoleSession {
                role_arn: "arn:aws:iam::111111111111:role/path/app",
                session: "one",
            },
            unique_id: Some("AROAAPP0000000000000"),
            ..base
        },
        "guest" => Principal {
            arn: "arn:aws:sts::111111111111:federated-user/guest",
            kind: PrincipalKind::FederatedUser {
                issuer_arn: Some("arn:aws:iam::111111111111:user/ann"),
                name: "guest",
            },
            ..base
        },
        "guest-of-root" => Principal {
            arn: "arn:aws:sts::111111111111:federated-user/guest",
            kind: PrincipalKind::FederatedUser { issuer_arn: None, name: "guest" },
            ..base
        },
        "anonymous" => Principal::anonymous(),
        "token" => Principal {
            arn: "cognito-identity.amazonaws.com",
            account: "",
            kind: PrincipalKind::Federated { provider: "cognito-identity.amazonaws.com" },
            unique_id: None,
        },
        service => Principal::service(service),
    }
}

#[derive(Default)]
struct Case {
    by: &'static str,
    does: &'static str,
    fields: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn field(&self, name: &str) -> Option<&'static str> {
        self.fields.iter().find(|(k, _)| *k == name).map(|(_, v)| *v)
    }

    fn document(&self, name: &str) -> Option<String> {
        let version = if self.field("old").is_some() { "2008-10-17" } else { "2012-10-17" };
        let statements = self.field(name)?;
        Some(format!("{{\"Version\":\"{version}\",\"Statement\":{statements}}}"))
    }

    fn identity_like(&self, name: &str) -> Option<Arc<Policy>> {
        let text = self.document(name)?;
        Some(Arc::new(validate::identity(&text, IdentityKind::Inline).expect(&text)))
    }

    fn run(&self) -> (Decision, String) {
        let principal = principal(self.by);
        let mut context = Context::new();
        principal.fill(&mut context);
        for pair in self.field("where").into_iter().flat_map(|w| w.split("; ")) {
            let (key, value) = pair.split_once('=').expect("key=value");
            if value.contains(',') || value.is_empty() {
                context.set_many(key, value.split(',').filter(|v| !v.is_empty()));
            } else {
                context.set(key, value);
            }
        }
        let identity: Vec<_> = self.identity_like("identity").into_iter().collect();
        let boundary = self.identity_like("boundary");
        let session: Option<Vec<_>> = match self.field("session") {
            Some("none") => Some(Vec::new()),
            _ => self.identity_like("session").map(|p| vec![p]),
        };
        let resource = self.document("resource").map(|t| validate::resource(&t).expect(&t));
        let trust = self.document("trust").map(|t| validate::trust(&t).expect(&t));
        let (action, resource_arn) = self.does.split_once(' ').expect("action resource");
        let request = Request {
            principal: &principal,
            action,
            resource: resource_arn,
            resource_account: self.field("owner"),
            context: &context,
        };
        let policies = Policies {
            identity: &identity,
            boundary: boundary.as_deref(),
            session: session.as_deref(),
            resource: resource.as_ref().or(trust.as_ref()),
            rule: if trust.is_some() { ResourceRule::Trust } else { ResourceRule::Optional },
        };
        let decision = decide(&request, &policies);
        let message = denied(&request, &decision);
        (decision, message)
    }
}

fn short(decision: &Decision) -> String {
    let kind = |k: &PolicyKind| format!("{k:?}").to_lowercase();
    match decision {
        Decision::Allow => "allow".into(),
        Decision::ImplicitDeny(k) => format!("no {}", kind(k)),
        Decision::ExplicitDeny { kind: k, sid } => {
            format!("deny {} {}", kind(k), sid.as_deref().unwrap_or("-"))
        }
    }
}

#[test]
fn decisions() {
    let mut cases = 0;
    for block in include_str!("testdata/decisions.txt").split("\n\n") {
        let mut case = Case::default();
        for line in block.lines().filter(|l| !l.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "by" => case.by = rest,
                "does" => case.does = rest,
                "=>" => {
                    let (decision, message) = case.run();
                    assert_eq!(short(&decision), rest, "{block}");
                    if let Some(want) = case.field("says") {
                        assert_eq!(message, want, "{block}");
                    }
                    case.fields.retain(|(k, _)| *k != "says");
                    cases += 1;
                }
                _ => {
                    // A later line of the same name replaces the earlier: cases build on each other.
                    case.fields.retain(|(k, _)| *k != word);
                    case.fields.push((word, rest));
                }
            }
        }
    }
    assert!(cases > 80, "{cases}");
}
