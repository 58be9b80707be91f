//! Every operation that the model lists is served, and none of them to somebody without a policy.

#![allow(clippy::unwrap_used)]

mod house;

use house::{call, house};
use serde_json::Value;
use sereno_kernel::Caller;

fn table() -> Vec<(&'static str, Value)> {
    let lines = include_str!("operations.txt").lines().filter(|l| !l.starts_with('#'));
    lines
        .map(|line| {
            let (name, input) = line.split_once(' ').expect("an operation and its input");
            (name, serde_json::from_str(input).expect(line))
        })
        .collect()
}

#[test]
fn all_are_served() {
    let served = sereno_iam::service().served();
    let mut listed: Vec<&str> = sereno_api_iam::SERVICE.operations.iter().map(|o| o.name).collect();
    listed.sort_unstable();
    assert_eq!(served, listed);
    let mut tested: Vec<&str> = table().into_iter().map(|(name, _)| name).collect();
    tested.sort_unstable();
    assert_eq!(served, tested);
}

#[tokio::test]
async fn a_user_without_a_policy_can_do_nothing() {
    let house = house();
    let (ann, _) = house.user("ann").await;
    let nobody = house.cloud.ctx_as(Caller::Anonymous);
    for (operation, input) in table() {
        let error = call(&ann, operation, input.clone()).await.expect_err(operation);
        assert_eq!(error.code(), "AccessDenied", "{operation}: {error:?}");
        let action = format!("is not authorized to perform: iam:{operation} on resource: ");
        assert!(error.message().contains(&action), "{operation}: {error:?}");
        let error = call(&nobody, operation, input).await.expect_err(operation);
        assert_eq!(error.code(), "MissingAuthenticationToken", "{operation}: {error:?}");
    }
}

#[tokio::test]
async fn whoever_may_do_everything_reaches_every_handler() {
    let house = house();
    let (ann, _) = house.user("ann").await;
    let policy = serde_json::json!({
        "UserName": "ann", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess",
    });
    house.root("AttachUserPolicy", policy).await;
    for (operation, input) in table() {
        if let Err(error) = call(&ann, operation, input).await {
            assert_ne!(error.code(), "AccessDenied", "{operation}: {error:?}");
            assert!(!error.is_transient(), "{operation}: {error:?}");
        }
    }
}
