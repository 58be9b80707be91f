//! Who may do what, with and without policies.

use std::sync::Arc;

use sereno_api_sts::{GetCallerIdentity, GetCallerIdentityInput, GetCallerIdentityOutput, SERVICE};
use sereno_base::{AccountId, Timestamp};
use sereno_kernel::{
    Access, BoxFuture, Caller, Credential, CredentialError, Credentials, Ctx, Error, Identities,
    IdentityPolicies, Kind, ResourceGuard, Result, RoleInfo, Service, User,
};
use sereno_testkit::TestCloud;

const RESOURCE: &str = "arn:aws:sts::000000000000:thing";

/// Knows everyone, and of no policy.
struct NoPolicies;

impl Identities for NoPolicies {
    fn credential<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Credential, CredentialError>> {
        Box::pin(async { Err(CredentialError::Invalid) })
    }

    fn policies<'a>(&'a self, _: &'a Caller) -> BoxFuture<'a, Result<Arc<IdentityPolicies>>> {
        Box::pin(async { Ok(Arc::default()) })
    }

    fn role<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<RoleInfo>>>> {
        Box::pin(async { Ok(None) })
    }

    fn issue(&self, _: &Caller, _: &str, _: Timestamp, _: Timestamp) -> Credentials {
        unreachable!("no test here asks for credentials")
    }

    fn assume<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<(Caller, Credentials)>> {
        Box::pin(async { Err(Error::internal("no test here assumes a role")) })
    }
}

/// A cloud whose one operation needs `access` on a resource with this policy.
fn cloud(access: fn() -> Access, policy: Option<&str>) -> TestCloud {
    let policy = policy.map(|text| {
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{text}]}}"#);
        Arc::new(sereno_policy::validate::resource(&policy).ok().unwrap())
    });
    let service = Service::new(&SERVICE)
        .resource_policy(move |_, _| {
            let guard = ResourceGuard { policy: policy.clone(), ..Default::default() };
            async { Ok(guard) }
        })
        .on::<GetCallerIdentity>(
            move |_, _| access(),
            async |_: Ctx, _: GetCallerIdentityInput| Ok(GetCallerIdentityOutput::default()),
        );
    TestCloud::builder().service(service).identities(Arc::new(NoPolicies)).build()
}

async fn call(cloud: &TestCloud, caller: Caller) -> Result<(), Kind> {
    let ctx = cloud.ctx_as(caller);
    let answer = ctx.call::<GetCallerIdentity>(GetCallerIdentityInput::default()).await;
    answer.map(|_| ()).map_err(|error| error.kind())
}

fn thing() -> Access {
    Access::new("sts:GetThing", RESOURCE)
}

fn root() -> Caller {
    Caller::Root { account: AccountId::DEFAULT }
}

fn stranger() -> Caller {
    Caller::Root { account: "111122223333".parse().unwrap() }
}

fn user() -> Caller {
    Caller::User(Arc::new(User {
        account: AccountId::DEFAULT,
        name: "ada".to_owned(),
        path: "/".to_owned(),
        id: "AIDAEXAMPLE".to_owned(),
        access_key_id: "AKIAEXAMPLE".to_owned(),
    }))
}

fn service(cloud: &TestCloud) -> Caller {
    cloud.ctx().as_service("events.amazonaws.com", None).caller().clone()
}

#[tokio::test]
async fn without_policies_only_the_owner_may() {
    let cloud = cloud(thing, None);
    assert_eq!(call(&cloud, root()).await, Ok(()));
    for caller in [user(), stranger(), service(&cloud), Caller::Anonymous] {
        assert_eq!(call(&cloud, caller.clone()).await, Err(Kind::Denied), "{caller:?}");
    }
}

#[tokio::test]
async fn a_resource_policy_opens_and_closes() {
    let all = r#"{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}"#;
    let open = cloud(thing, Some(all));
    for caller in [user(), service(&open), Caller::Anonymous] {
        assert_eq!(call(&open, caller.clone()).await, Ok(()), "{caller:?}");
    }
    let events = r#"{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sts:GetThing", "Resource": "*"}"#;
    let events = cloud(thing, Some(events));
    assert_eq!(call(&events, service(&events)).await, Ok(()));
    assert_eq!(call(&events, Caller::Anonymous).await, Err(Kind::Denied));
    assert_eq!(call(&events, user()).await, Err(Kind::Denied));
    let closed = r#"{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}"#;
    let closed = cloud(thing, Some(closed));
    assert_eq!(call(&closed, root()).await, Err(Kind::Denied));
}

#[tokio::test]
async fn modes() {
    let public = cloud(Access::public, None);
    assert_eq!(call(&public, Caller::Anonymous).await, Ok(()));
    let authenticated = cloud(Access::authenticated, None);
    assert_eq!(call(&authenticated, user()).await, Ok(()));
    assert_eq!(call(&authenticated, Caller::Anonymous).await, Err(Kind::Denied));
    let forgotten = cloud(Access::default, None);
    assert_eq!(call(&forgotten, root()).await, Err(Kind::Internal));
    let two = cloud(|| thing().and("sts:Other", "arn:aws:sts::111122223333:thing"), None);
    assert_eq!(call(&two, root()).await, Err(Kind::Denied));
}

#[tokio::test]
async fn a_guard_at_hand_counts_as_the_services_own() {
    let cloud = cloud(thing, None);
    let judge = async |caller: Caller, statement: Option<&str>| {
        let policy = statement.map(|text| {
            let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{text}]}}"#);
            Arc::new(sereno_policy::validate::resource(&text).ok().unwrap())
        });
        let guard = ResourceGuard { policy, owner: Some(AccountId::DEFAULT), ..Default::default() };
        let judged = cloud.ctx_as(caller).authorise_guarded("sts", guard, thing).await;
        judged.map_err(|error| error.kind())
    };
    let statement = |effect| {
        format!(r#"{{"Effect": "{effect}", "Principal": "*", "Action": "*", "Resource": "*"}}"#)
    };
    assert_eq!(judge(root(), None).await, Ok(()));
    for caller in [user(), stranger(), service(&cloud), Caller::Anonymous] {
        assert_eq!(judge(caller.clone(), None).await, Err(Kind::Denied), "{caller:?}");
        assert_eq!(judge(caller.clone(), Some(&statement("Deny"))).await, Err(Kind::Denied));
    }
    assert_eq!(judge(root(), Some(&statement("Deny"))).await, Err(Kind::Denied));
    assert_eq!(judge(user(), Some(&statement("Allow"))).await, Ok(()));
}
