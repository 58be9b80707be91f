//! A CloudFormation stack as the commands use it: create or update, watch it happen, read what came out.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::{Map, Value};
use sereno_wire::xml::Element;

use crate::client::{Answer, Client, Failure};

const VERSION: &str = "2010-05-15";
const POLL_EVERY: Duration = Duration::from_millis(100);
/// A template over this size cannot be sent in the request.
pub const INLINE_TEMPLATE_BYTES_MAX: usize = 51_200;

/// A stack by name.
pub struct Stack<'a> {
    pub client: &'a Client,
    pub name: &'a str,
}

/// What a template made: outputs and the addresses of its APIs.
pub struct Made {
    pub outputs: Vec<(String, String)>,
    pub resources: Vec<Resource>,
}

pub struct Resource {
    pub logical_id: String,
    pub physical_id: String,
    pub kind: String,
}

/// Text of a child, empty if there is none.
fn text<'e>(element: &'e Element, name: &str) -> &'e str {
    element.child(name).map_or("", |child| child.text.as_str())
}

/// The `member` elements of a list.
fn members<'e>(element: &'e Element, name: &str) -> &'e [Element] {
    element.child(name).map_or(&[], |list| &list.children)
}

impl Stack<'_> {
    async fn call(&self, action: &str, more: &[(String, String)]) -> Answer<Element> {
        let mut parameters = vec![("StackName".to_owned(), self.name.to_owned())];
        parameters.extend_from_slice(more);
        self.client.query("cloudformation", VERSION, action, &parameters).await
    }

    /// Its status; `None` if there is no such stack.
    pub async fn status(&self) -> Answer<Option<String>> {
        match self.call("DescribeStacks", &[]).await {
            Ok(answer) => {
                let stack = members(&answer, "Stacks").first();
                Ok(stack.map(|stack| text(stack, "StackStatus").to_owned()))
            }
            Err(failure) if failure.message.contains("does not exist") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Creates or updates it and shows what happens. `false`: there was nothing to change.
    pub async fn deploy(
        &self,
        template: (&str, String),
        parameters: &Map<String, Value>,
    ) -> Result<bool, String> {
        let mut status = self.status().await?;
        if matches!(status.as_deref(), Some("ROLLBACK_COMPLETE" | "ROLLBACK_FAILED")) {
            println!("  {} failed when it was created: starting over", self.name);
            self.call("DeleteStack", &[]).await?;
            self.follow(&HashSet::new()).await?;
            status = None;
        }
        let exists = status.is_some_and(|status| status != "REVIEW_IN_PROGRESS");
        let seen = if exists { self.event_ids().await? } else { HashSet::new() };
        let mut form = vec![(template.0.to_owned(), template.1)];
        for (index, capability) in
            ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"].iter().enumerate()
        {
            form.push((format!("Capabilities.member.{}", index + 1), (*capability).to_owned()));
        }
        for (index, (name, value)) in parameters.iter().enumerate() {
            let prefix = format!("Parameters.member.{}", index + 1);
            let value = value.as_str().unwrap_or_default().to_owned();
            form.push((format!("{prefix}.ParameterKey"), name.clone()));
            form.push((format!("{prefix}.ParameterValue"), value));
        }
        let action = if exists { "UpdateStack" } else { "CreateStack" };
        match self.call(action, &form).await {
            Ok(_) => {}
            Err(failure) if failure.message.contains("No updates are to be performed") => {
                return Ok(false);
            }
            Err(failure) => return Err(failure.to_string()),
        }
        match self.follow(&seen).await?.as_deref() {
            Some("CREATE_COMPLETE" | "UPDATE_COMPLETE") => Ok(true),
            status => Err(format!(
                "{} ended as {}: the first FAILED line above says why",
                self.name,
                status.unwrap_or("deleted")
            )),
        }
    }

    pub async fn delete(&self) -> Result<(), String> {
        let seen = self.event_ids().await?;
        self.call("DeleteStack", &[]).await?;
        match self.follow(&seen).await? {
            None => Ok(()),
            Some(status) if status == "DELETE_COMPLETE" => Ok(()),
            Some(status) => Err(format!("{} ended as {status}", self.name)),
        }
    }

    /// Prints events until the stack rests; answers its status.
    async fn follow(&self, seen: &HashSet<String>) -> Result<Option<String>, String> {
        let mut seen = seen.clone();
        loop {
            let status = self.status().await?;
            if let Ok(events) = self.events().await {
                for event in events.iter().rev() {
                    if seen.insert(text(event, "EventId").to_owned()) {
                        print_event(event);
                    }
                }
            }
            match status {
                Some(status) if status.ends_with("_IN_PROGRESS") => {
                    tokio::time::sleep(POLL_EVERY).await;
                }
                status => return Ok(status),
            }
        }
    }

    async fn events(&self) -> Answer<Vec<Element>> {
        let answer = self.call("DescribeStackEvents", &[]).await?;
        let list = answer.children.into_iter().find(|child| child.name == "StackEvents");
        Ok(list.map(|list| list.children).unwrap_or_default())
    }

    async fn event_ids(&self) -> Result<HashSet<String>, Failure> {
        let events = self.events().await?;
        Ok(events.iter().map(|event| text(event, "EventId").to_owned()).collect())
    }

    pub async fn made(&self) -> Result<Made, String> {
        let stacks = self.call("DescribeStacks", &[]).await?;
        let outputs = members(&stacks, "Stacks").first().map(|stack| members(stack, "Outputs"));
        let outputs = outputs.unwrap_or_default().iter().map(|output| {
            (text(output, "OutputKey").to_owned(), text(output, "OutputValue").to_owned())
        });
        let resources = self.call("DescribeStackResources", &[]).await?;
        let resources = members(&resources, "StackResources").iter().map(|resource| Resource {
            logical_id: text(resource, "LogicalResourceId").to_owned(),
            physical_id: text(resource, "PhysicalResourceId").to_owned(),
            kind: text(resource, "ResourceType").to_owned(),
        });
        Ok(Made { outputs: outputs.collect(), resources: resources.collect() })
    }
}

impl Made {
    /// The URL of each stage of each API.
    pub async fn urls(&self, client: &Client) -> Vec<String> {
        let mut urls = Vec::new();
        let apis = self.resources.iter().filter(|r| r.kind == "AWS::ApiGateway::RestApi");
        for api in apis {
            let path = format!("/restapis/{}/stages", api.physical_id);
            let method = sereno_wire::body::Method::GET;
            let Ok((_, body)) = client.send("apigateway", method, &path, &[], Vec::new()).await
            else {
                continue;
            };
            let stages: Value = serde_json::from_slice(&body).unwrap_or_default();
            let stages = stages["item"].as_array().cloned().unwrap_or_default();
            for stage in stages.iter().filter_map(|stage| stage["stageName"].as_str()) {
                urls.push(format!(
                    "{}/restapis/{}/{stage}/_user_request_",
                    client.endpoint(),
                    api.physical_id
                ));
            }
        }
        urls
    }
}

fn print_event(event: &Element) {
    let status = text(event, "ResourceStatus");
    let reason = text(event, "ResourceStatusReason");
    let colour = match status {
        status if status.contains("FAILED") || status.contains("ROLLBACK") => "31",
        status if status.ends_with("COMPLETE") => "32",
        _ => "2",
    };
    let mut out = std::io::stdout().lock();
    let shown = if out.is_terminal() {
        format!("\x1b[{colour}m{status:<24}\x1b[0m")
    } else {
        format!("{status:<24}")
    };
    // A closed pipe ends the printing, not the deployment.
    let _ = writeln!(
        out,
        "  {shown} {:<36} {}{}",
        text(event, "ResourceType"),
        text(event, "LogicalResourceId"),
        if reason.is_empty() { String::new() } else { format!("  {reason}") }
    );
}
