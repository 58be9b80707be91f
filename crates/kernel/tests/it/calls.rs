//! The one way in: loops of calls end, panics are contained, what is metered reaches the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sereno_api_sts::{GetCallerIdentity, GetCallerIdentityInput, GetCallerIdentityOutput, SERVICE};
use sereno_kernel::{Access, Ctx, Kind, Result, Service};
use sereno_store::{Counter, Table};
use sereno_testkit::TestCloud;

async fn call(ctx: &Ctx) -> Result<GetCallerIdentityOutput> {
    ctx.call::<GetCallerIdentity>(GetCallerIdentityInput::default()).await
}

#[tokio::test]
async fn a_loop_of_calls_ends() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = Service::new(&SERVICE).on::<GetCallerIdentity>(
        |_, _| Access::public(),
        move |ctx: Ctx, _: GetCallerIdentityInput| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { call(&ctx).await }
        },
    );
    let cloud = TestCloud::builder().service(service).build();
    assert_eq!(call(&cloud.ctx()).await.unwrap_err().kind(), Kind::Internal);
    assert_eq!(calls.load(Ordering::Relaxed), 16);
}

async fn panics(_: Ctx, _: GetCallerIdentityInput) -> Result<GetCallerIdentityOutput> {
    panic!("on purpose")
}

#[tokio::test]
async fn panics_are_internal_errors() {
    let in_handler =
        Service::new(&SERVICE).on::<GetCallerIdentity>(|_, _| Access::public(), panics);
    let in_access =
        Service::new(&SERVICE).on::<GetCallerIdentity>(|_, _| panic!("on purpose"), panics);
    for service in [in_handler, in_access] {
        let cloud = TestCloud::builder().service(service).build();
        let error = call(&cloud.ctx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(!error.message().contains("on purpose"));
        assert!(error.log_context().unwrap().contains("on purpose"));
    }
}

/// As `meter.rs` keeps it: hour, service, what.
const USAGE: Table<(u64, String, String), Counter> = Table::new("kernel", "usage").partition(0);

#[tokio::test]
async fn the_meter_is_flushed_and_never_overflows() {
    let cloud = TestCloud::builder().build();
    let ctx = cloud.ctx();
    let lines = async || USAGE.list(ctx.scope(), ()).limit(10).read(ctx.store()).await.unwrap();
    cloud.cloud().flush_meter().await.unwrap();
    assert!(lines().await.is_empty());
    ctx.meter("sts", "Things", i64::MAX);
    ctx.meter("sts", "Things", 1);
    cloud.cloud().flush_meter().await.unwrap();
    let hour = u64::try_from(ctx.now().secs() / 3600).unwrap();
    let key = (hour, "sts".to_owned(), "Things".to_owned());
    assert_eq!(lines().await, [(key, Counter(i64::MAX))]);
}
