//! A cloud with IAM, its directory, and shorthands.
#![allow(dead_code)]

use std::sync::Arc;

use serde_json::{Value, json};
use sereno_kernel::{Caller, Ctx, Error, Identities, User};
use sereno_testkit::TestCloud;

pub const ACCOUNT: &str = "000000000000";
pub const KEY: [u8; 32] = [7; 32];

pub struct House {
    pub cloud: TestCloud,
    pub directory: Arc<sereno_iam::Directory>,
}

pub fn house() -> House {
    let builder = TestCloud::builder().server_key(KEY).service(sereno_iam::service());
    let directory = Arc::new(sereno_iam::Directory::new(builder.store(), KEY));
    let cloud = builder.identities(Arc::clone(&directory) as Arc<dyn Identities>).build();
    House { cloud, directory }
}

pub async fn call(ctx: &Ctx, operation: &str, input: Value) -> Result<Value, Error> {
    ctx.call_json("iam", operation, &input).await
}

impl House {
    pub async fn root(&self, operation: &str, input: Value) -> Value {
        let answer = call(&self.cloud.ctx(), operation, input).await;
        answer.unwrap_or_else(|e| panic!("{operation}: {e:?}"))
    }

    pub async fn fails(&self, operation: &str, input: Value) -> String {
        let answer = call(&self.cloud.ctx(), operation, input).await;
        answer.expect_err(operation).code().to_owned()
    }

    /// A user with one key, and a context that acts as it.
    pub async fn user(&self, name: &str) -> (Ctx, String) {
        let made = self.root("CreateUser", json!({"UserName": name})).await;
        let key = self.root("CreateAccessKey", json!({"UserName": name})).await;
        let key = key["AccessKey"]["AccessKeyId"].as_str().unwrap().to_owned();
        let caller = Caller::User(Arc::new(User {
            account: ACCOUNT.parse().unwrap(),
            name: name.to_owned(),
            path: "/".to_owned(),
            id: made["User"]["UserId"].as_str().unwrap().to_owned(),
            access_key_id: key.clone(),
        }));
        (self.cloud.ctx_as(caller), key)
    }
}

pub fn allow(action: &str) -> String {
    statement("Allow", action)
}

pub fn statement(effect: &str, action: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": action, "Resource": "*"}})
        .to_string()
}

pub fn trust(principal: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    ]})
    .to_string()
}
