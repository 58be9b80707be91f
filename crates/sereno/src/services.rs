//! Which services this cloud has: one line each.

use std::sync::Arc;

use sereno_kernel::CloudBuilder;
use sereno_store::Store;

pub fn register(cloud: CloudBuilder, store: &Arc<dyn Store>, server_key: [u8; 32]) -> CloudBuilder {
    let identities = Arc::new(sereno_iam::Directory::new(Arc::clone(store), server_key));
    cloud
        .identities(Arc::<sereno_iam::Directory>::clone(&identities))
        .audit(identities)
        .service(sereno_apigateway::service())
        .service(sereno_cloudformation::service())
        .service(sereno_dynamodb::service())
        .service(sereno_dynamodb::streams_service())
        .service(sereno_iam::service())
        .service(sereno_lambda::service())
        .service(sereno_logs::service())
        .service(sereno_s3::service())
        .service(sereno_sts::service())
}
