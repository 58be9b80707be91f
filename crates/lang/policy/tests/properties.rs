//! What must hold for every policy, not only for those somebody thought of.

use proptest::prelude::*;
use sereno_policy::validate::{self, IdentityKind};
use sereno_policy::{
    Context, Decision, Policies, Policy, Principal, PrincipalKind, Request, ResourceRule, decide,
};
use std::sync::Arc;

const ACTIONS: [&str; 4] = ["s3:GetObject", "s3:PutObject", "sqs:SendMessage", "iam:GetUser"];
const RESOURCES: [&str; 4] =
    ["arn:aws:s3:::b/k", "arn:aws:s3:::c/ann/k", "arn:aws:sqs:eu-west-1:111111111111:q", "*"];

fn ann() -> Principal<'static> {
    Principal {
        arn: "arn:aws:iam::111111111111:user/ann",
        account: "111111111111",
        kind: PrincipalKind::User { name: "ann" },
        unique_id: Some("AIDAANN0000000000000"),
    }
}

fn statement(effect: &'static str) -> impl Strategy<Value = String> {
    let action =
        prop::sample::select(vec!["*", "s3:*", "s3:Get*", "sqs:Send*", "*:*", "iam:?etUser"]);
    let resource = prop::sample::select(vec![
        "*",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::c/${aws:username}/*",
        "arn:aws:s3:::c/${absent}/*",
        "arn:aws:sqs:*:*:q",
    ]);
    let condition = prop::sample::select(vec![
        "{}",
        r#"{"StringEquals":{"aws:username":"ann"}}"#,
        r#"{"StringNotLike":{"aws:username":"b*"}}"#,
        r#"{"ForAllValues:StringEquals":{"tags":["a"]}}"#,
        r#"{"NumericLessThan":{"n":"5"}}"#,
        r#"{"Null":{"n":"true"}}"#,
        r#"{"Bool":{"n":"true"}}"#,
    ]);
    let (not_action, not_resource) = (any::<bool>(), any::<bool>());
    (action, resource, condition, not_action, not_resource).prop_map(
        move |(action, resource, condition, na, nr)| {
            let (a, r) = (if na { "Not" } else { "" }, if nr { "Not" } else { "" });
            format!(
                r#"{{"Effect":"{effect}","{a}Action":"{action}","{r}Resource":"{resource}","Condition":{condition}}}"#
            )
        },
    )
}

fn policy(statements: &[String]) -> Arc<Policy> {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    Arc::new(validate::identity(&text, IdentityKind::Managed).expect("a valid policy"))
}

fn ask(
    policies: &[Arc<Policy>],
    boundary: Option<&Policy>,
    action: &str,
    resource: &str,
) -> Decision {
    let principal = ann();
    let mut context = Context::new();
    principal.fill(&mut context);
    context.set("n", "3");
    context.set_many("tags", ["a"]);
    let request = Request {
        principal: &principal,
        action,
        resource,
        resource_account: None,
        context: &context,
    };
    decide(
        &request,
        &Policies {
            identity: policies,
            boundary,
            session: None,
            resource: None,
            rule: ResourceRule::Optional,
        },
    )
}

fn any_statements() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop_oneof![statement("Allow"), statement("Deny")], 1..5)
}

proptest! {
    #[test]
    fn a_deny_of_everything_wins(
        statements in any_statements(),
        at in 0usize..5,
        action in prop::sample::select(ACTIONS.to_vec()),
        resource in prop::sample::select(RESOURCES.to_vec()),
    ) {
        let mut statements = statements;
        let deny = r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#.to_owned();
        statements.insert(at.min(statements.len()), deny);
        let decision = ask(&[policy(&statements)], None, action, resource);
        let denied = matches!(decision, Decision::ExplicitDeny { .. });
        prop_assert!(denied);
    }

    #[test]
    fn another_allow_never_takes_away(
        statements in any_statements(),
        more in statement("Allow"),
        action in prop::sample::select(ACTIONS.to_vec()),
        resource in prop::sample::select(RESOURCES.to_vec()),
    ) {
        let before = ask(&[policy(&statements)], None, action, resource);
        let after = ask(&[policy(&statements), policy(&[more])], None, action, resource);
        prop_assert!(!before.is_allowed() || after.is_allowed());
    }

    #[test]
    fn another_deny_never_gives(
        statements in any_statements(),
        more in statement("Deny"),
        action in prop::sample::select(ACTIONS.to_vec()),
        resource in prop::sample::select(RESOURCES.to_vec()),
    ) {
        let before = ask(&[policy(&statements)], None, action, resource);
        let after = ask(&[policy(&statements), policy(&[more])], None, action, resource);
        prop_assert!(before.is_allowed() || !after.is_allowed());
    }

    #[test]
    fn a_boundary_never_gives(
        statements in any_statements(),
        boundary in any_statements(),
        action in prop::sample::select(ACTIONS.to_vec()),
        resource in prop::sample::select(RESOURCES.to_vec()),
    ) {
        let policies = [policy(&statements)];
        let free = ask(&policies, None, action, resource);
        let bound = ask(&policies, Some(&policy(&boundary)), action, resource);
        prop_assert!(free.is_allowed() || !bound.is_allowed());
    }

    #[test]
    fn the_order_of_statements_does_not_matter(
        statements in any_statements(),
        action in prop::sample::select(ACTIONS.to_vec()),
        resource in prop::sample::select(RESOURCES.to_vec()),
    ) {
        let forward = ask(&[policy(&statements)], None, action, resource);
        let mut statements = statements;
        statements.reverse();
        prop_assert_eq!(forward, ask(&[policy(&statements)], None, action, resource));
    }

    /// Policies of odd values, keys and shapes: whatever a validator lets through can be evaluated.
    #[test]
    fn nothing_panics(
        text in r#"(\{|\}|\[|\]|"(Statement|Effect|Action|Resource|Principal|Condition|Allow|Deny|\*|s3:\*|Date[A-Z]{0,3}|\$\{[a-z*?,' ]{0,5}\})"|:|,|[0-9é\\"]){0,60}"#,
        word in r#"[-a-z0-9:*?$\{\}',./ é]{0,24}"#,
        other in r#"[-a-z0-9:*?$\{\}',./ é]{0,24}"#,
        operator in prop::sample::select(vec![
            "StringLike", "StringNotLike", "NumericLessThan", "DateGreaterThan", "IpAddress", "ArnLike",
            "Bool", "Null", "BinaryEquals", "ForAllValues:StringEquals", "ForAnyValue:ArnNotLike",
        ]),
    ) {
        for validate in [validate::trust, validate::resource] {
            let _ = validate(&text);
        }
        let _ = validate::identity(&text, IdentityKind::Inline);
        let quoted = |s: &str| serde_json::Value::from(s).to_string();
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":"*","Action":"*","Resource":{},"Condition":{{"{operator}":{{"k":{}}}}}}}}}"#,
            quoted(&format!("arn:aws:x:{word}")), quoted(&word),
        );
        if let Ok(policy) = validate::resource(&text) {
            let principal = Principal::anonymous();
            let mut context = Context::new();
            context.set("k", &*other);
            let request = Request {
                principal: &principal, action: "x:y", resource: &other, resource_account: None, context: &context,
            };
            let policies = Policies { resource: Some(&policy), ..Policies::default() };
            let _ = decide(&request, &policies);
            let _ = policy.context_keys();
        }
    }
}
