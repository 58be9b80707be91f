//! Which services this cloud has: one line each.

use std::sync::Arc;

use sereno_kernel::CloudBuilder;
use sereno_store::Store;

pub fn register(cloud: CloudBuilder, store: &Arc<dyn Store>, server_key: [u8; 32]) -> CloudBuilder {
    let _ = (store, server_key);
    cloud.service(sereno_apigateway::service()).service(sereno_dynamodb::service())
}
