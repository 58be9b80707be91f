//! STS on a whole cloud: IAM's roles, the directory that checks what STS issues, a clock that moves.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sereno_kernel::{Caller, CredentialError, Ctx, Error, Identities, User};
use sereno_testkit::TestCloud;

const ACCOUNT: &str = "000000000000";
const KEY: [u8; 32] = [3; 32];

struct House {
    cloud: TestCloud,
    directory: Arc<sereno_iam::Directory>,
}

fn house() -> House {
    let builder = TestCloud::builder()
        .server_key(KEY)
        .service(sereno_iam::service())
        .service(sereno_sts::service());
    let directory = Arc::new(sereno_iam::Directory::new(builder.store(), KEY));
    let cloud = builder.identities(Arc::clone(&directory) as Arc<dyn Identities>).build();
    House { cloud, directory }
}

impl House {
    async fn iam(&self, operation: &str, input: Value) -> Value {
        let answer = self.cloud.ctx().call_json("iam", operation, &input).await;
        answer.unwrap_or_else(|e| panic!("{operation}: {e:?}"))
    }

    async fn role(&self, name: &str, principal: Value) -> String {
        let trust = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"],
        }});
        let input = json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()});
        let made = self.iam("CreateRole", input).await;
        made["Role"]["Arn"].as_str().unwrap().to_owned()
    }

    async fn user(&self, name: &str) -> Ctx {
        let made = self.iam("CreateUser", json!({"UserName": name})).await;
        self.cloud.ctx_as(Caller::User(Arc::new(User {
            account: ACCOUNT.parse().unwrap(),
            name: name.to_owned(),
            path: "/".to_owned(),
            id: made["User"]["UserId"].as_str().unwrap().to_owned(),
            access_key_id: "AKIA".to_owned(),
        })))
    }

    /// The caller that an answer's credentials stand for.
    async fn caller(&self, answer: &Value) -> Result<Caller, CredentialError> {
        let part = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
        let (id, token) = (part("AccessKeyId"), part("SessionToken"));
        let found = self.directory.credential(&id, Some(&token), self.cloud.now()).await?;
        assert_eq!(*found.secret_access_key, part("SecretAccessKey"));
        Ok(found.caller)
    }
}

async fn assume(ctx: &Ctx, role: &str, more: Value) -> Result<Value, Error> {
    let mut input = json!({"RoleArn": role, "RoleSessionName": "one"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ctx.call_json("sts", "AssumeRole", &input).await
}

#[test]
fn all_are_served() {
    let mut listed: Vec<&str> = sereno_api_sts::SERVICE.operations.iter().map(|o| o.name).collect();
    listed.sort_unstable();
    assert_eq!(sereno_sts::service().served(), listed);
}

#[tokio::test]
async fn only_whom_the_role_trusts() {
    let house = house();
    let ann = house.user("ann").await;
    let by_account = house.role("by-account", json!({"AWS": ACCOUNT})).await;
    let by_name =
        house.role("by-name", json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:user/ann")})).await;
    let by_service = house.role("by-service", json!({"Service": "lambda.amazonaws.com"})).await;
    let code = async |role: &str| match assume(&ann, role, json!({})).await {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code().to_owned(),
    };
    assert_eq!(code(&by_account).await, "AccessDenied");
    assert_eq!(code(&by_name).await, "ok");
    assert_eq!(code(&by_service).await, "AccessDenied");
    let all = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    house
        .iam(
            "PutUserPolicy",
            json!({
                "UserName": "ann", "PolicyName": "p", "PolicyDocument": all.to_string(),
            }),
        )
        .await;
    assert_eq!(code(&by_account).await, "ok");
    assert_eq!(code(&by_service).await, "AccessDenied");
    assert_eq!(code("arn:aws:iam::000000000000:role/none").await, "AccessDenied");
    assert_eq!(code("arn:aws:iam::111111111111:role/none").await, "AccessDenied");
    // What is no role's ARN is trusted to nobody, not even to root.
    for odd in ["arn:aws:iam::000000000000:user/ann", "arn:aws:s3:::bucket/role/x"] {
        assert_eq!(code(odd).await, "AccessDenied");
        let error = assume(&house.cloud.ctx(), odd, json!({})).await.expect_err(odd);
        assert_eq!(error.code(), "AccessDenied");
    }
    let error = assume(&house.cloud.ctx_as(Caller::Anonymous), &by_account, json!({})).await;
    assert!(error.is_err());
}

#[tokio::test]
async fn tags_need_their_own_permission() {
    let house = house();
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole",
    }});
    let role = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust.to_string()});
    let made = house.iam("CreateRole", role).await;
    let arn = made["Role"]["Arn"].as_str().unwrap();
    let root = house.cloud.ctx();
    assume(&root, arn, json!({})).await.unwrap();
    let tags = json!({"Tags": [{"Key": "a", "Value": "b"}]});
    let error = assume(&root, arn, tags).await.expect_err("sts:TagSession is not trusted");
    assert!(error.message().contains("sts:TagSession"), "{error:?}");
    let error = assume(&root, arn, json!({"SourceIdentity": "me"})).await.expect_err("neither");
    assert!(error.message().contains("sts:SetSourceIdentity"), "{error:?}");
}

#[tokio::test]
async fn sessions_end() {
    let house = house();
    let role = house.role("r", json!({"AWS": ACCOUNT})).await;
    let root = house.cloud.ctx();
    let answer = assume(&root, &role, json!({"DurationSeconds": 900})).await.unwrap();
    let caller = house.caller(&answer).await.unwrap();
    assert_eq!(caller.arn(), format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/one"));
    house.cloud.advance(Duration::from_secs(899));
    assert!(house.caller(&answer).await.is_ok());
    house.cloud.advance(Duration::from_secs(1));
    assert_eq!(house.caller(&answer).await, Err(CredentialError::Expired));

    let answer = assume(&root, &role, json!({})).await.unwrap();
    assert!(house.caller(&answer).await.is_ok());
    house.iam("DeleteRole", json!({"RoleName": "r"})).await;
    assert_eq!(house.caller(&answer).await, Err(CredentialError::Invalid));
    house.role("r", json!({"AWS": ACCOUNT})).await;
    assert_eq!(house.caller(&answer).await, Err(CredentialError::Invalid));
}

#[tokio::test]
async fn a_chain_hands_on_its_tags() {
    let house = house();
    let role = house.role("r", json!({"AWS": ACCOUNT})).await;
    let all = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}});
    house
        .iam(
            "PutRolePolicy",
            json!({
                "RoleName": "r", "PolicyName": "p", "PolicyDocument": all.to_string(),
            }),
        )
        .await;
    let tags = json!({
        "Tags": [{"Key": "team", "Value": "red"}, {"Key": "own", "Value": "x"}], "TransitiveTagKeys": ["team"],
    });
    let first = assume(&house.cloud.ctx(), &role, tags).await.unwrap();
    let first = house.cloud.ctx_as(house.caller(&first).await.unwrap());
    let second = assume(&first, &role, json!({})).await.unwrap();
    let Caller::Role(session) = house.caller(&second).await.unwrap() else { panic!("a session") };
    assert_eq!(session.tags, [("team".to_owned(), "red".to_owned())]);
    assert_eq!(session.transitive_tags, ["team"]);
    let error = assume(&first, &role, json!({"DurationSeconds": 3601})).await.expect_err("an hour");
    assert_eq!(error.code(), "ValidationError");
}

#[tokio::test]
async fn sessions_of_users_open_no_sessions() {
    let house = house();
    let ann = house.user("ann").await;
    let call = async |ctx: &Ctx, operation: &str, input: Value| {
        ctx.call_json("sts", operation, &input).await
    };
    let session = call(&ann, "GetSessionToken", json!({})).await.unwrap();
    let session = house.cloud.ctx_as(house.caller(&session).await.unwrap());
    assert_eq!(session.caller().arn(), ann.caller().arn());
    assert!(call(&session, "GetSessionToken", json!({})).await.is_err());
    assert!(call(&ann, "GetFederationToken", json!({"Name": "guest"})).await.is_err());

    let root = house.cloud.ctx();
    let guest = call(&root, "GetFederationToken", json!({"Name": "guest"})).await.unwrap();
    let guest = house.cloud.ctx_as(house.caller(&guest).await.unwrap());
    assert_eq!(guest.caller().arn(), format!("arn:aws:sts::{ACCOUNT}:federated-user/guest"));
    let role = house.role("r", json!({"AWS": "*"})).await;
    assert!(assume(&guest, &role, json!({})).await.is_err());
    let who = call(&guest, "GetCallerIdentity", json!({})).await.unwrap();
    assert_eq!(who["UserId"], format!("{ACCOUNT}:guest"));
}
