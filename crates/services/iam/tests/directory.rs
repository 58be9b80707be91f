//! What the kernel is told of keys, sessions and policies; and that it is never told what was.

#![allow(clippy::unwrap_used)]

mod house;

use std::sync::Arc;
use std::time::Duration;

use house::{ACCOUNT, allow, call, house, statement, trust};
use serde_json::json;
use sereno_base::access_key_id;
use sereno_kernel::{
    AuditEvent, AuditSink, Caller, CredentialError, FederatedUser, Identities, RoleSession,
    derive_key,
};

#[tokio::test]
async fn a_key_lives_as_long_as_it_is_active() {
    let house = house();
    let (_, id) = house.user("ann").await;
    let now = house.cloud.now();
    let find = || house.directory.credential(&id, None, now);
    let found = find().await.expect("the key is active");
    assert_eq!(found.caller.arn(), format!("arn:aws:iam::{ACCOUNT}:user/ann"));
    assert_eq!(
        house.directory.credential(&id, Some("token"), now).await.err(),
        Some(CredentialError::Invalid)
    );

    for (status, works) in [("Inactive", false), ("Active", true)] {
        let input = json!({"UserName": "ann", "AccessKeyId": id, "Status": status});
        house.root("UpdateAccessKey", input).await;
        assert_eq!(find().await.is_ok(), works, "{status}");
    }
    house.root("UpdateUser", json!({"UserName": "ann", "NewUserName": "bea"})).await;
    assert!(find().await.is_ok_and(|c| c.caller.arn().ends_with(":user/bea")));
    house.root("DeleteAccessKey", json!({"UserName": "bea", "AccessKeyId": id})).await;
    assert_eq!(find().await.err(), Some(CredentialError::Invalid));
    for bad in ["", "AKIA", "AKIAAAAAAAAAAAAAAAAA", "ASIAAAAAAAAAAAAAAAAA", "test"] {
        assert_eq!(
            house.directory.credential(bad, None, now).await.err(),
            Some(CredentialError::Invalid)
        );
    }
}

#[tokio::test]
async fn the_secret_follows_from_the_servers_key() {
    let house = house();
    let made = house.root("CreateUser", json!({"UserName": "ann"})).await;
    assert_eq!(made["User"]["UserName"], "ann");
    let key = house.root("CreateAccessKey", json!({"UserName": "ann"})).await;
    let id = key["AccessKey"]["AccessKeyId"].as_str().unwrap();
    let found = house.directory.credential(id, None, house.cloud.now()).await;
    let secret = found.expect("the key is active").secret_access_key;
    assert_eq!(key["AccessKey"]["SecretAccessKey"].as_str(), Some(&*secret));
    assert_eq!(derive_key(&house::KEY, "x"), house.cloud.ctx().derive_key("x"));
}

#[tokio::test]
async fn policies_hold_from_the_next_request_on() {
    let house = house();
    let (ann, _) = house.user("ann").await;
    let list = || call(&ann, "ListUsers", json!({}));
    assert!(list().await.is_err());
    let put = |name: &str, document: String| {
        house.root(
            "PutUserPolicy",
            json!({"UserName": "ann", "PolicyName": name, "PolicyDocument": document}),
        )
    };
    put("a", allow("iam:*")).await;
    list().await.unwrap();
    put("b", statement("Deny", "iam:List*")).await;
    assert!(list().await.is_err());
    house.root("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "b"})).await;
    list().await.unwrap();

    house.root("CreateGroup", json!({"GroupName": "g"})).await;
    let deny =
        json!({"GroupName": "g", "PolicyName": "d", "PolicyDocument": statement("Deny", "iam:*")});
    house.root("PutGroupPolicy", deny).await;
    list().await.unwrap();
    house.root("AddUserToGroup", json!({"GroupName": "g", "UserName": "ann"})).await;
    assert!(list().await.is_err());
    house.root("RemoveUserFromGroup", json!({"GroupName": "g", "UserName": "ann"})).await;
    list().await.unwrap();
}

#[tokio::test]
async fn a_namesake_inherits_nothing() {
    let house = house();
    let (ann, key) = house.user("ann").await;
    let policy = json!({"UserName": "ann", "PolicyName": "a", "PolicyDocument": allow("*")});
    house.root("PutUserPolicy", policy.clone()).await;
    call(&ann, "ListUsers", json!({})).await.unwrap();
    house.root("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "a"})).await;
    house.root("DeleteAccessKey", json!({"UserName": "ann", "AccessKeyId": key})).await;
    house.root("DeleteUser", json!({"UserName": "ann"})).await;
    house.root("CreateUser", json!({"UserName": "ann"})).await;
    house.root("PutUserPolicy", policy).await;
    // The old user's context still carries its id.
    assert!(call(&ann, "ListUsers", json!({})).await.is_err());
}

#[tokio::test]
async fn services_assume_the_roles_that_trust_them() {
    let house = house();
    let role = json!({
        "RoleName": "app", "Path": "/x/",
        "AssumeRolePolicyDocument": trust(json!({"Service": "lambda.amazonaws.com"})),
    });
    house.root("CreateRole", role).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/x/app");
    let ctx = house.cloud.ctx();
    let (caller, credentials) = ctx.assume(&arn, "one", "lambda.amazonaws.com").await.unwrap();
    assert_eq!(caller.arn(), format!("arn:aws:sts::{ACCOUNT}:assumed-role/app/one"));
    let (id, token) = (&credentials.access_key_id, &credentials.session_token);
    let now = house.cloud.now();
    let found = house.directory.credential(id, Some(token), now).await.expect("a session");
    assert_eq!(&*found.secret_access_key, credentials.secret_access_key);
    assert_eq!(found.caller, caller);

    for (arn, service) in [
        (arn.as_str(), "ec2.amazonaws.com"),
        ("arn:aws:iam::000000000000:role/app", "lambda.amazonaws.com"),
        ("arn:aws:iam::111111111111:role/x/app", "lambda.amazonaws.com"),
        ("arn:aws:iam::000000000000:role/x/APP", "lambda.amazonaws.com"),
        ("nonsense", "lambda.amazonaws.com"),
    ] {
        let error = ctx.assume(arn, "one", service).await.expect_err(arn);
        assert_eq!(error.code(), "AccessDenied", "{arn}");
    }
    let ctx = ctx.as_caller(caller);
    assert!(call(&ctx, "ListUsers", json!({})).await.is_err());
    let policy = json!({"RoleName": "app", "PolicyName": "p", "PolicyDocument": allow("iam:*")});
    house.root("PutRolePolicy", policy).await;
    call(&ctx, "ListUsers", json!({})).await.unwrap();

    house.cloud.advance(Duration::from_secs(12 * 3_600));
    let late = house.directory.credential(id, Some(token), house.cloud.now()).await;
    assert_eq!(late.err(), Some(CredentialError::Expired));
}

fn session(id: &str, policies: Vec<String>, now: sereno_base::Timestamp) -> Caller {
    Caller::Role(Arc::new(RoleSession {
        account: ACCOUNT.parse().unwrap(),
        role_name: "app".into(),
        path: "/".into(),
        role_id: id.to_owned(),
        session_name: "one".into(),
        session_policies: policies,
        tags: Vec::new(),
        transitive_tags: Vec::new(),
        source_identity: None,
        access_key_id: access_key_id("ASIA", ACCOUNT.parse().unwrap(), [1; 6]),
        issued: now,
        expires: now,
    }))
}

#[tokio::test]
async fn session_policies_only_take_away() {
    let house = house();
    let role =
        json!({"RoleName": "app", "AssumeRolePolicyDocument": trust(json!({"AWS": ACCOUNT}))});
    let made = house.root("CreateRole", role).await;
    let id = made["Role"]["RoleId"].as_str().unwrap();
    let policy = json!({"RoleName": "app", "PolicyName": "p", "PolicyDocument": allow("iam:*")});
    house.root("PutRolePolicy", policy).await;
    let now = house.cloud.now();
    let may = async |policies: &[&str]| {
        let policies = policies.iter().map(|p| (*p).to_owned()).collect();
        let ctx = house.cloud.ctx_as(session(id, policies, now));
        call(&ctx, "ListUsers", json!({})).await.is_ok()
    };
    let (list, get) = (allow("iam:List*"), allow("iam:Get*"));
    let read = "arn:aws:iam::aws:policy/IAMReadOnlyAccess";
    assert!(may(&[]).await);
    assert!(may(&[&list]).await && may(&[read]).await && may(&[&get, &list]).await);
    assert!(!may(&[&get]).await);
    // One that cannot be had might have held a deny.
    assert!(!may(&[&list, "arn:aws:iam::000000000000:policy/missing"]).await);
    assert!(!may(&[&list, "{}"]).await);
    let none = house.cloud.ctx_as(session("AROAOTHER", Vec::new(), now));
    assert!(call(&none, "ListUsers", json!({})).await.is_err());
}

#[tokio::test]
async fn federated_users_have_what_both_sides_allow() {
    let house = house();
    let (ann, _) = house.user("ann").await;
    let Caller::User(user) = ann.caller().clone() else { panic!("a user") };
    let guest = |policies: Vec<String>, issuer| {
        Caller::Federated(Arc::new(FederatedUser {
            account: ACCOUNT.parse().unwrap(),
            name: "guest".into(),
            issuer,
            session_policies: policies,
            access_key_id: "ASIA".into(),
            expires: house.cloud.now(),
        }))
    };
    let allowed = async |caller: Caller| {
        let policies = house.directory.policies(&caller).await.unwrap();
        (policies.identity.len(), policies.session.as_ref().map(Vec::len))
    };
    let policy = json!({"UserName": "ann", "PolicyName": "a", "PolicyDocument": allow("*")});
    house.root("PutUserPolicy", policy).await;
    let issuer = Some((*user).clone());
    assert_eq!(allowed(guest(vec![], issuer.clone())).await, (1, Some(0)));
    assert_eq!(allowed(guest(vec![allow("s3:*")], issuer)).await, (1, Some(1)));
    assert_eq!(allowed(guest(vec![allow("s3:*")], None)).await, (0, Some(1)));
    // They may not call IAM, whatever their policies say.
    let ctx = house.cloud.ctx_as(guest(vec![allow("*")], None));
    let error = call(&ctx, "ListUsers", json!({})).await.expect_err("refused");
    assert_eq!(error.code(), "InvalidClientTokenId");
}

#[tokio::test]
async fn a_boundary_that_is_gone_bounds_everything() {
    let house = house();
    let (ann, _) = house.user("ann").await;
    let policy = json!({"UserName": "ann", "PolicyName": "a", "PolicyDocument": allow("iam:*")});
    house.root("PutUserPolicy", policy).await;
    let bound = json!({
        "UserName": "ann", "PermissionsBoundary": "arn:aws:iam::aws:policy/IAMReadOnlyAccess",
    });
    house.root("PutUserPermissionsBoundary", bound).await;
    call(&ann, "ListUsers", json!({})).await.unwrap();
    let error = call(&ann, "CreateGroup", json!({"GroupName": "g"})).await.expect_err("bounded");
    assert!(
        error
            .message()
            .ends_with("because no permissions boundary allows the iam:CreateGroup action")
    );
}

#[tokio::test]
async fn the_last_use_of_a_key_is_told() {
    let house = house();
    let (ann, id) = house.user("ann").await;
    let told = async || {
        let answer = house.root("GetAccessKeyLastUsed", json!({"AccessKeyId": id})).await;
        answer["AccessKeyLastUsed"].clone()
    };
    let sign = async || {
        house.directory.credential(&id, None, house.cloud.now()).await.expect("a key");
        house.directory.record(&AuditEvent {
            time: house.cloud.now(),
            request_id: house.cloud.cloud().new_request_id(),
            account: ACCOUNT.parse().unwrap(),
            region: ann.region(),
            caller: ann.caller(),
            service: "s3",
            operation: "GetObject",
            source_ip: "",
            user_agent: "",
            error_code: None,
            duration_us: 0,
        });
    };
    assert_eq!(told().await, json!({"ServiceName": "N/A", "Region": "N/A"}));
    sign().await;
    sign().await;
    let first = told().await;
    assert_eq!((&first["ServiceName"], &first["Region"]), (&json!("s3"), &json!("us-east-1")));
    house.cloud.advance(Duration::from_secs(60));
    sign().await;
    assert_eq!(told().await, first);
    house.cloud.advance(Duration::from_secs(15 * 60));
    sign().await;
    assert_ne!(told().await, first);
}
