//! What happened, one event per call: the hook for CloudTrail, live views and the server's log.

use sereno_base::{AccountId, Region, RequestId, Timestamp};

use crate::Caller;

/// One finished call, allowed or not.
#[derive(Clone, Debug)]
pub struct AuditEvent<'a> {
    pub time: Timestamp,
    pub request_id: RequestId,
    pub account: AccountId,
    pub region: Region,
    pub caller: &'a Caller,
    /// `dynamodb`
    pub service: &'static str,
    /// `PutItem`
    pub operation: &'static str,
    pub source_ip: &'a str,
    pub user_agent: &'a str,
    /// The error's code; `None` if it succeeded.
    pub error_code: Option<&'a str>,
    pub duration_us: u64,
}

/// Takes events. Called on the request's path: must not block.
pub trait AuditSink: Send + Sync + 'static {
    fn record(&self, event: &AuditEvent<'_>);
}
