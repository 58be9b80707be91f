//! Logs Insights.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{GROUP, House, STREAM, group, house};

impl House {
    async fn start(&self, query: &str, more: Value) -> String {
        let now = self.now() / 1000;
        let mut input = json!({"startTime": now - 600, "endTime": now + 600, "queryString": query});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.ok("StartQuery", input).await;
        answer["queryId"].as_str().unwrap().to_owned()
    }

    async fn result(&self, id: &str) -> Value {
        for _ in 0..500 {
            let answer = self.ok("GetQueryResults", json!({"queryId": id})).await;
            if answer["status"] == "Complete" {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the query does not end");
    }
}

fn values<'a>(answer: &'a Value, field: &str) -> Vec<&'a str> {
    let rows = answer["results"].as_array().unwrap().iter();
    let cell = |row: &'a Value| row.as_array().unwrap().iter().find(|cell| cell["field"] == field);
    rows.map(|row| cell(row).unwrap()["value"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn newest_first_from_all_streams_and_groups() {
    let house = house().await;
    house.cloud.start_tasks().await;
    house.stream("b").await;
    house.put(STREAM, &[(0, "one"), (2, "three")]).await;
    house.put("b", &[(1, "two")]).await;
    house.ok("CreateLogGroup", json!({"logGroupName": "other"})).await;
    let other = json!({"logGroupName": "other", "logStreamName": "s"});
    house.ok("CreateLogStream", other.clone()).await;
    let mut put = other;
    put["logEvents"] = json!([{"timestamp": house.now() + 3, "message": "four"}]);
    house.ok("PutLogEvents", put).await;
    let query = "fields @message, @logStream, @log";
    let id = house.start(query, json!({"logGroupNames": [GROUP, "other"]})).await;
    let answer = house.result(&id).await;
    assert_eq!(values(&answer, "@message"), ["four", "three", "two", "one"]);
    assert_eq!(values(&answer, "@logStream"), ["s", "a", "b", "a"]);
    assert_eq!(values(&answer, "@log")[0], "000000000000:other");
    assert_eq!(answer["statistics"]["recordsMatched"], 4.0);
    let pointer = values(&answer, "@ptr")[2];
    let record = house.ok("GetLogRecord", json!({"logRecordPointer": pointer})).await;
    assert_eq!(record["logRecord"]["@message"], "two");
    assert_eq!(record["logRecord"]["@timestamp"], (house.now() + 1).to_string());
}

#[tokio::test]
async fn pages_and_ends() {
    let house = house().await;
    house.cloud.start_tasks().await;
    let texts: Vec<String> = (0..30).map(|n| format!("{{\"n\": {n}}}")).collect();
    let events: Vec<(i64, &str)> = (0..).zip(texts.iter().map(String::as_str)).collect();
    house.put(STREAM, &events).await;
    let id = house.start("display n | sort n asc", group(json!({"limit": 25}))).await;
    assert_eq!(values(&house.result(&id).await, "n").len(), 25);
    let page = house.ok("GetQueryResults", json!({"queryId": id, "maxItems": 20})).await;
    assert_eq!(values(&page, "n")[19], "19");
    let next = json!({"queryId": id, "maxItems": 20, "nextToken": page["nextToken"]});
    let page = house.ok("GetQueryResults", next).await;
    assert_eq!(values(&page, "n"), ["20", "21", "22", "23", "24"]);
    assert!(page.get("nextToken").is_none());
    let found = house.err("StopQuery", json!({"queryId": id})).await;
    assert_eq!(found.0, "InvalidParameterException");
    // Results are kept for a week.
    house.cloud.advance(Duration::from_hours(8 * 24));
    for _ in 0..500 {
        if house.call("GetQueryResults", json!({"queryId": id})).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the result is still there");
}

#[tokio::test]
async fn queries_as_aws_shows_them() {
    let house = house().await;
    let id = house.start("fields @message", group(json!({}))).await;
    let now = house.now() / 1000;
    let source = format!("SOURCE \"{GROUP}\" START={}000 END={}999", now - 600, now + 600);
    let described = |more| house.ok("DescribeQueries", more);
    assert_eq!(
        described(group(json!({}))).await,
        json!({"queries": [{
            "createTime": house.now(), "logGroupName": GROUP, "queryId": id,
            "queryLanguage": "CWLI", "queryString": format!("{source} | fields @message"),
            "status": "Scheduled",
        }]})
    );
    assert_eq!(described(json!({"status": "Complete"})).await, json!({"queries": []}));
    assert_eq!(house.ok("StopQuery", json!({"queryId": id})).await, json!({"success": true}));
    house.cloud.start_tasks().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = house.ok("GetQueryResults", json!({"queryId": id})).await;
    assert_eq!((&answer["status"], &answer["results"]), (&json!("Cancelled"), &json!([])));
}

#[tokio::test]
async fn refuses_what_is_no_query() {
    let house = house().await;
    let input = |more: Value| {
        let mut input = json!({"startTime": 1, "endTime": 2, "queryString": "fields @message"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let found = house.err("StartQuery", input(json!({"logGroupName": "none"}))).await;
    let message = "Log group 'none' does not exist for account ID '000000000000'";
    assert_eq!(found, ("ResourceNotFoundException".into(), message.into()));
    let wrong = group(input(json!({"queryString": "nonsense"})));
    assert_eq!(house.err("StartQuery", wrong).await.0, "MalformedQueryException");
    assert_eq!(house.err("StartQuery", input(json!({}))).await.0, "InvalidParameterException");
    let found = house.err("GetQueryResults", json!({"queryId": "none"})).await;
    assert_eq!(found.0, "ResourceNotFoundException");
    let found = house.err("GetLogRecord", json!({"logRecordPointer": "none"})).await;
    assert_eq!(found.0, "InvalidParameterException");
}
