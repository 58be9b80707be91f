//! The platform's own log lines, as text or as JSON, and its words for what went wrong.
//! https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html

use serde_json::{Value, json};
use sereno_base::Timestamp;

use crate::helper::End;
use crate::journal::now_ms;

/// How the platform writes.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub json: bool,
    /// With JSON only: below WARN the usual lines are written, at WARN only what went wrong.
    pub quiet: bool,
}

impl Style {
    pub fn new(json: bool, system_level: &str) -> Style {
        Style { json, quiet: json && system_level == "WARN" }
    }

    fn event(self, kind: &str, record: Value) -> Option<String> {
        if self.quiet {
            return None;
        }
        let time = Timestamp::from_millis(now_ms()).iso8601_millis();
        Some(json!({"time": time, "type": kind, "record": record}).to_string())
    }

    pub fn init_start(self, version: &str, arn: &str) -> Option<String> {
        if self.json {
            let record = json!({
                "initializationType": "on-demand", "phase": "init",
                "runtimeVersion": version, "runtimeVersionArn": arn,
            });
            return self.event("platform.initStart", record);
        }
        Some(format!("INIT_START Runtime Version: {version}\tRuntime Version ARN: {arn}\n"))
    }

    pub fn init_report(self, init_us: u64, status: &str, error_type: &str) -> Option<String> {
        let ms = milliseconds(init_us);
        if self.json {
            let record = json!({
                "initializationType": "on-demand", "phase": "init", "status": status,
                "errorType": error_type, "metrics": {"durationMs": init_us as f64 / 1000.0},
            });
            return self.event("platform.initReport", record);
        }
        let kind = if error_type.is_empty() {
            String::new()
        } else {
            format!("\tError Type: {error_type}")
        };
        Some(format!("INIT_REPORT Init Duration: {ms} ms\tPhase: init\tStatus: {status}{kind}\n"))
    }

    pub fn start(self, request_id: &str, version: &str) -> Option<String> {
        if self.json {
            return self
                .event("platform.start", json!({"requestId": request_id, "version": version}));
        }
        Some(format!("START RequestId: {request_id} Version: {version}\n"))
    }

    /// https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-extension
    pub fn extension(self, name: &str, events: &[&str]) -> Option<String> {
        if self.json {
            let record = json!({"name": name, "state": "Ready", "events": events});
            return self.event("platform.extension", record);
        }
        let events = events.join(", ");
        Some(format!("EXTENSION\tName: {name}\tState: Ready\tEvents: [{events}]\n"))
    }

    pub fn end(self, request_id: &str) -> Option<String> {
        // As JSON, `platform.report` says it all.
        (!self.json).then(|| format!("END RequestId: {request_id}\n"))
    }

    pub fn report(self, figures: &Figures<'_>) -> Option<String> {
        if self.json { self.event("platform.report", figures.json()) } else { Some(figures.text()) }
    }

    pub fn timed_out(self, request_id: &str, timeout_ms: u64) -> String {
        let time = Timestamp::from_millis(now_ms()).iso8601_millis();
        let seconds = seconds(timeout_ms);
        if self.json {
            let message = format!("{time} {request_id} Task timed out after {seconds} seconds");
            return json!({"timestamp": time, "level": "ERROR", "requestId": request_id, "message": message})
                .to_string();
        }
        format!("{time} {request_id} Task timed out after {seconds} seconds\n\n")
    }
}

/// What the REPORT line tells.
pub struct Figures<'a> {
    pub request_id: &'a str,
    pub duration_us: u64,
    pub billed_ms: u64,
    pub memory_mb: u32,
    pub memory_used_mb: u32,
    pub init_us: Option<u64>,
    /// "success", "error", "timeout".
    pub status: &'a str,
    pub error_type: &'a str,
    /// `Root=...;...`
    pub trace_id: &'a str,
}

impl Figures<'_> {
    fn text(&self) -> String {
        let mut text = format!(
            "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            self.request_id,
            milliseconds(self.duration_us),
            self.billed_ms,
            self.memory_mb,
            self.memory_used_mb,
        );
        if let Some(init_us) = self.init_us {
            text.push_str(&format!("Init Duration: {} ms\t", milliseconds(init_us)));
        }
        if self.status != "success" {
            text.push_str(&format!("Status: {}", self.status));
            if !self.error_type.is_empty() {
                text.push_str(&format!("\tError Type: {}", self.error_type));
            }
        }
        if self.trace_id.contains("Sampled=1") {
            let root = self.trace_id.split(';').find_map(|part| part.strip_prefix("Root="));
            text.push_str(&format!(
                "\nXRAY TraceId: {}\tSampled: true\t",
                root.unwrap_or_default()
            ));
        }
        text.push('\n');
        text
    }

    pub fn json(&self) -> Value {
        let mut metrics = json!({
            "durationMs": self.duration_us as f64 / 1000.0,
            "billedDurationMs": self.billed_ms,
            "memorySizeMB": self.memory_mb,
            "maxMemoryUsedMB": self.memory_used_mb,
        });
        if let Some(init_us) = self.init_us {
            metrics["initDurationMs"] = json!(init_us as f64 / 1000.0);
        }
        let mut record =
            json!({"requestId": self.request_id, "metrics": metrics, "status": self.status});
        if !self.error_type.is_empty() {
            record["errorType"] = json!(self.error_type);
        }
        record
    }
}

/// "1.23"
fn milliseconds(us: u64) -> String {
    format!("{:.2}", us as f64 / 1000.0)
}

fn seconds(ms: u64) -> String {
    format!("{:.2}", ms as f64 / 1000.0)
}

/// What the caller gets when the platform ended the invocation.
/// recorded: test_lambda.py::TestLambdaErrors::test_lambda_runtime_exit, test_lambda_invoke_timed_out...
pub struct Failure {
    pub error_type: &'static str,
    pub message: String,
}

impl Failure {
    pub fn timed_out(timeout_ms: u64) -> Failure {
        let message = format!("Task timed out after {} seconds", seconds(timeout_ms));
        Failure { error_type: "Sandbox.Timedout", message }
    }

    pub fn exited(end: End) -> Failure {
        let message = match (end.code, end.signal) {
            (Some(code), None) if end.extension => format!("exit code {code}"),
            (_, Some(signal)) => {
                format!("Runtime exited with error: signal: {}", signal_name(signal))
            }
            (Some(code), None) if code != 0 => {
                format!("Runtime exited with error: exit status {code}")
            }
            _ => "Runtime exited without providing a reason".to_owned(),
        };
        let error_type = match end {
            End { out_of_memory: true, .. } => "Runtime.OutOfMemory",
            End { extension: true, .. } => "Extension.Crash",
            _ => "Runtime.ExitError",
        };
        Failure { error_type, message }
    }

    pub fn payload(&self, request_id: &str) -> String {
        let message = format!("RequestId: {request_id} Error: {}", self.message);
        json!({"errorType": self.error_type, "errorMessage": message}).to_string()
    }

    pub fn log_line(&self, request_id: &str) -> String {
        format!("RequestId: {request_id} Error: {}\n{}\n", self.message, self.error_type)
    }
}

/// As Go prints them, in which AWS's supervisor is written.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGHUP => "hangup",
        libc::SIGILL => "illegal instruction",
        libc::SIGINT => "interrupt",
        libc::SIGKILL => "killed",
        libc::SIGPIPE => "broken pipe",
        libc::SIGQUIT => "quit",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGSYS => "bad system call",
        libc::SIGTERM => "terminated",
        libc::SIGTRAP => "trace/breakpoint trap",
        _ => "unknown signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aws_s() {
        let style = Style::new(false, "");
        assert_eq!(style.start("r", "$LATEST").unwrap(), "START RequestId: r Version: $LATEST\n");
        let mut figures = Figures {
            request_id: "r",
            duration_us: 3_010,
            billed_ms: 4,
            memory_mb: 128,
            memory_used_mb: 36,
            init_us: Some(110_100),
            status: "success",
            error_type: "",
            trace_id: "",
        };
        // recorded: test_lambda.py REPORT lines
        assert_eq!(
            style.report(&figures).unwrap(),
            "REPORT RequestId: r\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t\n"
        );
        figures.init_us = None;
        figures.status = "timeout";
        assert!(style.report(&figures).unwrap().ends_with("36 MB\tStatus: timeout\n"));
        assert!(Style::new(true, "WARN").report(&figures).is_none());
    }

    #[test]
    fn failures_are_worded_as_aws_does() {
        let exit = |code, signal| Failure::exited(End { code, signal, ..End::default() }).message;
        assert_eq!(exit(Some(1), None), "Runtime exited with error: exit status 1");
        assert_eq!(exit(Some(0), None), "Runtime exited without providing a reason");
        assert_eq!(exit(None, Some(9)), "Runtime exited with error: signal: killed");
        assert_eq!(
            Failure::timed_out(1000).payload("r"),
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r Error: Task timed out after 1.00 seconds"}"#
        );
    }
}
