//! The backends: what `uri` of an integration leads to.

mod aws;
mod event;
mod function;
mod http;
mod mock;

pub use event::authorizer_event;
pub use function::{Fault, invoke};

use std::time::Duration;

use super::call::Call;
use super::compiled::IntegrationPlan;
use super::failure::Failure;
use super::reply::Reply;
use super::request::Outgoing;

const TIMEOUT_MS_DEFAULT: u64 = 29_000;

/// Asks the backend.
pub async fn ask(
    call: &Call,
    plan: &IntegrationPlan,
    outgoing: &Outgoing,
) -> Result<Reply, Failure> {
    let asking = async {
        match plan.record.kind.as_str() {
            "MOCK" => mock::ask(outgoing),
            "AWS_PROXY" => function::proxy(call, plan, outgoing).await,
            "AWS" => aws::ask(call, plan, outgoing).await,
            "HTTP" | "HTTP_PROXY" => http::ask(call, outgoing).await,
            "" => Err(Failure::internal("No integration defined for method")),
            other => Err(Failure::internal(format!("no such kind of integration: {other}"))),
        }
    };
    let timeout_ms = u64::try_from(plan.record.timeout_ms).ok().filter(|ms| *ms > 0);
    let timeout = Duration::from_millis(timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT));
    match tokio::time::timeout(timeout, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::timed_out().log("Execution failed due to a timeout error")),
    }
}
