//! A batch on its way through the function: run, partial success, halves, retries, age, and at last the report of what
//! was given up.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sereno_base::Timestamp;
use sereno_kernel::Result;
use sereno_kernel::sandbox::{FunctionError, InvokeReply};

use crate::destination::{self, Report, Target};
use crate::invoke::{self, Invocation};
use crate::lane::Lane;
use crate::mapping_rules::NO_LIMIT;
use crate::names::{function_arn, resolve};
use crate::poller;
use crate::source::StreamRecord;

/// Doubles with each try. Recorded: eight tries within the first minute
/// (test_lambda_integration_kinesis.py::test_kinesis_maximum_record_age_exceeded).
const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(500);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
const OK: &str = "OK";
pub const CALL_FAILED: &str = "PROBLEM: Function call failed";

/// Records that are tried together.
struct Part {
    records: Vec<StreamRecord>,
    /// Runs that failed as a whole.
    tries: u32,
    /// Times it could not be run at all since.
    hindrances: u32,
    /// Of the last run.
    request_id: String,
    answer: Option<Value>,
}

impl Part {
    fn new(records: Vec<StreamRecord>, tries: u32) -> Part {
        Part { records, tries, hindrances: 0, request_id: String::new(), answer: None }
    }

    fn pause(&self) -> Duration {
        let tries = self.tries.max(1) - 1 + self.hindrances;
        RETRY_PAUSE_FIRST.saturating_mul(1 << tries.min(16)).min(RETRY_PAUSE_MAX)
    }
}

/// How a run of a batch ended.
#[derive(Debug, PartialEq)]
enum Verdict {
    Done,
    /// The records before this one are done.
    From(usize),
    Failed,
}

/// Why records are given up.
#[derive(Clone, Copy)]
enum Loss {
    Age,
    Retries,
}

impl Lane<'_> {
    /// Has a batch processed, in parts if need be. `false`: the mapping changed meanwhile, and the rest is read again.
    pub async fn process(&mut self, records: Vec<StreamRecord>) -> Result<bool> {
        let mut parts = VecDeque::from([Part::new(records, 0)]);
        while let Some(mut part) = parts.pop_front() {
            self.drop_aged(&mut part).await?;
            if part.records.is_empty() {
                continue;
            }
            let Some(reply) = self.run_part(&mut part).await? else {
                part.hindrances = part.hindrances.saturating_add(1);
                if !self.wait(part.pause()).await? {
                    return Ok(false);
                }
                parts.push_front(part);
                continue;
            };
            match self.judge(&part.records, &reply) {
                Verdict::Done => self.done(&part.records, &reply).await?,
                Verdict::From(first) if first > 0 => {
                    // What was done is done; the rest begins anew, with all its tries.
                    let rest = part.records.split_off(first);
                    self.done(&part.records, &reply).await?;
                    parts.push_front(Part::new(rest, 0));
                }
                Verdict::From(_) | Verdict::Failed => {
                    poller::note(self.ctx, &self.mapping.uuid, CALL_FAILED).await?;
                    if !self.failed(part, &mut parts).await? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Splits, waits or gives up. `false`: the mapping changed.
    async fn failed(&mut self, mut part: Part, parts: &mut VecDeque<Part>) -> Result<bool> {
        if self.mapping.bisect && part.records.len() > 1 {
            // Splitting does not count as a try.
            let second = part.records.split_off(part.records.len() / 2);
            parts.push_front(Part::new(second, part.tries));
            parts.push_front(Part::new(part.records, part.tries));
            return self.wait(RETRY_PAUSE_FIRST).await;
        }
        part.tries = part.tries.saturating_add(1);
        let retries_max = self.mapping.retries_max;
        if retries_max != NO_LIMIT && i64::from(part.tries) > retries_max {
            self.give_up(&part, Loss::Retries).await?;
            return Ok(true);
        }
        let goes_on = self.wait(part.pause()).await?;
        parts.push_front(part);
        Ok(goes_on)
    }

    /// Gives up the records at the front that are too old.
    async fn drop_aged(&mut self, part: &mut Part) -> Result<()> {
        let age_s_max = self.mapping.age_s_max;
        let Ok(age_s_max) = u64::try_from(age_s_max) else { return Ok(()) };
        let horizon = self.ctx.now().minus(Duration::from_secs(age_s_max));
        let young = part.records.iter().position(|record| record.created >= horizon);
        let young = young.unwrap_or(part.records.len());
        if young == 0 {
            return Ok(());
        }
        let rest = part.records.split_off(young);
        let aged = std::mem::replace(&mut part.records, rest);
        let lost =
            Part { records: aged, request_id: part.request_id.clone(), answer: None, ..*part };
        self.give_up(&lost, Loss::Age).await
    }

    /// `None`: the batch did not reach the function.
    async fn run_part(&mut self, part: &mut Part) -> Result<Option<InvokeReply>> {
        let found = resolve(
            self.ctx,
            self.ctx.store(),
            &poller::function_name(self.mapping),
            invoke::chance(self.ctx),
        )
        .await;
        let Ok(found) = found else {
            poller::note(self.ctx, &self.mapping.uuid, CALL_FAILED).await?;
            return Ok(None);
        };
        let event = Bytes::from(self.event(&part.records, false));
        let mut invocation = Invocation::new(self.ctx, &self.mapping.function, event);
        invocation.request_id = self.ctx.random_uuid();
        part.request_id.clone_from(&invocation.request_id);
        let Ok(reply) = invoke::try_run(self.ctx, &found, invocation).await? else {
            poller::note(self.ctx, &self.mapping.uuid, CALL_FAILED).await?;
            return Ok(None);
        };
        part.answer = Some(json!({
            "statusCode": 200,
            "executedVersion": found.function.version,
            "functionError": error_name(&reply),
        }));
        Ok(Some(reply))
    }

    fn judge(&self, records: &[StreamRecord], reply: &InvokeReply) -> Verdict {
        if reply.error.is_some() {
            return Verdict::Failed;
        }
        let answer: Value = serde_json::from_slice(&reply.payload).unwrap_or_default();
        // A function that keeps a window's state must answer it.
        if self.mapping.tumbling_s > 0 && !answer["state"].is_object() {
            return Verdict::Failed;
        }
        if self.mapping.report_failures { partial(records, &answer) } else { Verdict::Done }
    }

    async fn done(&mut self, records: &[StreamRecord], reply: &InvokeReply) -> Result<()> {
        self.keep_state(reply);
        if let Some(last) = records.last() {
            self.move_to(last.sequence_number.clone()).await?;
        }
        poller::note(self.ctx, &self.mapping.uuid, OK).await
    }

    /// Reports the loss, and goes on behind it.
    async fn give_up(&mut self, part: &Part, loss: Loss) -> Result<()> {
        if !self.mapping.on_failure.is_empty()
            && let Some(target) = Target::parse(&self.mapping.on_failure)
        {
            let report = self.report(part, loss, &target);
            let role = self.role().await?;
            let sent = destination::send(&role, &target, &self.mapping.on_failure, &report).await;
            if let Err(error) = sent {
                eprintln!("lambda: mapping {} cannot report a loss: {error}", self.mapping.uuid);
                // Nothing is passed over unreported while another try may help.
                if destination::is_passing(&error) {
                    return Err(error);
                }
            }
        }
        match part.records.last() {
            Some(last) => self.move_to(last.sequence_number.clone()).await,
            None => Ok(()),
        }
    }

    /// Recorded: test_lambda_integration_dynamodbstreams.py, and for age test_lambda_integration_kinesis.py.
    fn report(&self, part: &Part, loss: Loss, target: &Target) -> Report<'static> {
        let (ctx, mapping) = (self.ctx, self.mapping);
        let arn = function_arn(ctx, &mapping.function, mapping.qualifier.as_deref());
        let condition = match loss {
            Loss::Age => "RecordAgeExceeded",
            Loss::Retries => "RetryAttemptsExhausted",
        };
        let request_id =
            if part.request_id.is_empty() { ctx.random_uuid() } else { part.request_id.clone() };
        let ends = part.records.first().zip(part.records.last());
        let number = |record: &StreamRecord| record.sequence_number.clone();
        let mut body = json!({
            "requestContext": {
                "requestId": request_id,
                "functionArn": arn,
                "condition": condition,
                "approximateInvokeCount": part.tries.max(1),
            },
        });
        if let (Loss::Retries, Some(answer)) = (loss, &part.answer) {
            body["responseContext"] = answer.clone();
        }
        body["version"] = json!("1.0");
        body["timestamp"] = json!(ctx.now().iso8601_millis());
        body[self.source.batch_info()] = json!({
            "shardId": self.shard,
            "startSequenceNumber": ends.map(|(first, _)| number(first)),
            "endSequenceNumber": ends.map(|(_, last)| number(last)),
            "approximateArrivalOfFirstRecord": ends.map(|(first, _)| arrival(first.created)),
            "approximateArrivalOfLastRecord": ends.map(|(_, last)| arrival(last.created)),
            "batchSize": part.records.len(),
            "streamArn": mapping.source_arn,
        });
        if matches!(target, Target::Bucket { .. }) {
            body["payload"] = json!(self.event(&part.records, false));
        }
        Report {
            body: body.to_string(),
            folder: format!("aws/lambda/{}/{}", mapping.uuid, self.shard),
            function_arn: "",
            success: false,
            at: ctx.now(),
        }
    }

    /// `false`: the mapping changed.
    pub async fn wait(&self, pause: Duration) -> Result<bool> {
        let until = self.ctx.now().plus(pause);
        loop {
            let changed = self.ctx.store().watch(&[self.mapping_key()]);
            if self.is_stale().await? {
                return Ok(false);
            }
            if self.ctx.now() >= until {
                return Ok(true);
            }
            tokio::select! {
                () = changed => {}
                () = self.ctx.cloud().clock().sleep_until(until) => {}
            }
        }
    }
}

fn arrival(at: Timestamp) -> String {
    at.iso8601()
}

fn error_name(reply: &InvokeReply) -> Option<&'static str> {
    reply.error.map(|error| match error {
        FunctionError::Handled => "Handled",
        FunctionError::Unhandled => "Unhandled",
    })
}

/// Which records the function says have failed: the first of them and all behind it are tried again.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
fn partial(records: &[StreamRecord], answer: &Value) -> Verdict {
    let failures = match &answer["batchItemFailures"] {
        Value::Null => return Verdict::Done,
        Value::Array(failures) => failures,
        _ => return Verdict::Failed,
    };
    let mut first = records.len();
    for failure in failures {
        let named = failure["itemIdentifier"].as_str();
        let place = named.and_then(|name| records.iter().position(|r| r.sequence_number == name));
        // Recorded: an identifier that is empty, null, missing or unknown fails the whole batch.
        let Some(place) = place else { return Verdict::Failed };
        first = first.min(place);
    }
    if first == records.len() { Verdict::Done } else { Verdict::From(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<StreamRecord> {
        let record = |number: &str| StreamRecord {
            sequence_number: number.to_owned(),
            key_hash: 0,
            created: Timestamp::from_secs(0),
            event: Value::Null,
        };
        vec![record("1"), record("2"), record("3")]
    }

    #[test]
    fn partial_answers() {
        let of = |answer: Value| partial(&records(), &answer);
        for done in [
            json!(null),
            json!({}),
            json!([]),
            json!({"batchItemFailures": []}),
            json!({"batchItemFailures": null}),
            json!(""),
        ] {
            assert_eq!(of(done.clone()), Verdict::Done, "{done}");
        }
        for failed in [json!(123), json!(""), json!(null), json!("9")] {
            let answer = json!({"batchItemFailures": [{"itemIdentifier": failed}]});
            assert_eq!(of(answer.clone()), Verdict::Failed, "{answer}");
        }
        assert_eq!(of(json!({"batchItemFailures": [{"foo": 1}]})), Verdict::Failed);
        let two = json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]});
        assert_eq!(of(two), Verdict::From(1));
    }

    #[test]
    fn eight_tries_in_the_first_minute() {
        let mut part = Part::new(Vec::new(), 0);
        let mut at = Duration::ZERO;
        let mut tries = 0;
        while at <= Duration::from_secs(60) {
            tries += 1;
            part.tries += 1;
            at += part.pause();
        }
        // The eighth try begins after 63.5 s; AWS counts it as well.
        assert_eq!(tries, 7);
    }
}
