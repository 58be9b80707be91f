//! `AWS::CloudFormation::WaitCondition`: complete when enough reports have come.

use std::time::Duration;

use serde_json::{Map, Value};
use sereno_kernel::{Ctx, Error, ResourceState};
use sereno_store::Key;
use sereno_template::resolve::text_of;

use super::stack_uuid;
use crate::callback;
use crate::engine::{Deed, Order};
use crate::errors;
use crate::state::SIGNALS;

const TIMEOUT_S_MAX: u64 = 43_200;

/// How many reports, from where, for how long.
struct Wait {
    count: usize,
    timeout: Duration,
    source: Source,
}

enum Source {
    Handle(String),
    /// `SignalResource`, by `stack/resource`.
    Signals(String),
}

/// A report: its unique id, whether it is a success, its data or reason.
struct Report {
    unique: String,
    success: bool,
    text: String,
}

pub async fn run(order: &Order) -> Result<ResourceState, Error> {
    let request = &order.request;
    if order.deed == Deed::Delete {
        return Ok(ResourceState::default());
    }
    let physical_id = format!("{}/{}", request.stack_id, request.logical_id);
    order.tell_early(&physical_id);
    let wait = read(order)?;
    let until = order.ctx.now().plus(wait.timeout);
    loop {
        let changed = order.ctx.store().watch(&[wait.watch_key(&order.ctx)]);
        let reports = wait.reports(&order.ctx).await?;
        if let Some(failure) = reports.iter().find(|it| !it.success) {
            return Err(errors::validation(format!(
                "WaitCondition received failed message: '{}' for uniqueId: {}",
                failure.text, failure.unique
            )));
        }
        if reports.len() >= wait.count {
            let data: Map<String, Value> =
                reports.into_iter().map(|it| (it.unique, it.text.into())).collect();
            let data = Value::Object(data).to_string();
            return Ok(ResourceState::new(physical_id).attribute("Data", data));
        }
        if order.ctx.now() >= until {
            return Err(errors::validation(format!(
                "WaitCondition timed out. Received {} conditions when expecting {}",
                reports.len(),
                wait.count
            )));
        }
        tokio::select! {
            () = changed => {}
            () = order.ctx.cloud().clock().sleep_until(until) => {}
        }
    }
}

fn read(order: &Order) -> Result<Wait, Error> {
    let request = &order.request;
    let properties = &request.properties;
    let number = |value: Option<&Value>| -> Option<u64> { text_of(value?)?.trim().parse().ok() };
    if let Some(policy) = properties.get("CreationPolicy") {
        let signal = &policy["ResourceSignal"];
        let timeout = match signal["Timeout"].as_str() {
            None => Duration::from_secs(300),
            Some(text) => iso_duration(text).ok_or_else(|| {
                errors::validation("Timeout of ResourceSignal is not an ISO 8601 duration.")
            })?,
        };
        let count = number(signal.get("Count")).unwrap_or(1);
        let source =
            Source::Signals(format!("{}/{}", stack_uuid(&request.stack_id), request.logical_id));
        return Ok(Wait { count: usize::try_from(count).unwrap_or(usize::MAX), timeout, source });
    }
    let handle = properties.get("Handle").and_then(Value::as_str);
    let handle = handle.ok_or_else(|| errors::validation("Property Handle cannot be empty."))?;
    let timeout =
        number(properties.get("Timeout")).filter(|timeout| *timeout <= TIMEOUT_S_MAX).ok_or_else(
            || errors::validation("Property Timeout must be a number of seconds up to 43200."),
        )?;
    let count = number(properties.get("Count")).unwrap_or(1);
    Ok(Wait {
        count: usize::try_from(count).unwrap_or(usize::MAX),
        timeout: Duration::from_secs(timeout),
        source: Source::Handle(callback::token_of(handle).to_owned()),
    })
}

impl Wait {
    fn watch_key(&self, ctx: &Ctx) -> Key {
        match &self.source {
            Source::Handle(token) => callback::watch_key(token),
            Source::Signals(resource) => SIGNALS.partition_key(ctx.scope(), &(resource.as_str(),)),
        }
    }

    async fn reports(&self, ctx: &Ctx) -> Result<Vec<Report>, Error> {
        match &self.source {
            Source::Handle(token) => {
                let all = callback::answers(ctx, token).await?;
                Ok(all.into_iter().map(|(unique, answer)| report(unique, &answer.body)).collect())
            }
            Source::Signals(resource) => {
                let all = SIGNALS.list(ctx.scope(), (resource.as_str(),)).read(ctx.store()).await?;
                let report =
                    |((_, unique), signal): ((String, String), crate::state::SignalRecord)| {
                        Report {
                            unique,
                            success: signal.success,
                            text: "Resource signal".to_owned(),
                        }
                    };
                Ok(all.into_iter().map(report).collect())
            }
        }
    }
}

fn report(unique: String, body: &str) -> Report {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let success = value["Status"].as_str() == Some("SUCCESS");
    let name = if success { "Data" } else { "Reason" };
    let text = value[name].as_str().unwrap_or_default().to_owned();
    Report { unique, success, text }
}

/// `PT1H30M15S`.
fn iso_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0;
    let mut number = String::new();
    for c in text.strip_prefix("PT")?.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            'H' => 3600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        seconds += std::mem::take(&mut number).parse::<u64>().ok()?.checked_mul(unit)?;
    }
    (number.is_empty() && seconds <= TIMEOUT_S_MAX).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(iso_duration("PT1H30M15S"), Some(Duration::from_secs(5415)));
        assert_eq!(iso_duration("PT5M"), Some(Duration::from_secs(300)));
        for bad in ["5M", "PT5", "PT5X", "PT99H"] {
            assert_eq!(iso_duration(bad), None, "{bad}");
        }
    }
}
