//! FilterLogEvents.

use serde_json::{Value, json};

use crate::{GROUP, group, house, messages};

#[tokio::test]
async fn many_streams_in_one_order() {
    let house = house().await;
    for name in ["b", "other"] {
        house.stream(name).await;
    }
    for n in 0..40 {
        let stream = ["a", "b", "other"][usize::try_from(n).unwrap() % 3];
        house.put(stream, &[(n, &format!("m{n}")), (n, &format!("n{n}"))]).await;
    }
    let all = house.ok("FilterLogEvents", group(json!({}))).await;
    let times: Vec<i64> = all["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["timestamp"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted() && times.len() == 80);
    assert_eq!(all["searchedLogStreams"], json!([]));
    for from_head in [true, false] {
        let mut pages: Vec<Value> = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut input = group(json!({"limit": 7, "startFromHead": from_head}));
            if !next.is_null() {
                input["nextToken"] = next;
            }
            let page = house.ok("FilterLogEvents", input).await;
            pages.extend(page["events"].as_array().unwrap().clone());
            next = page["nextToken"].clone();
            if next.is_null() {
                break;
            }
        }
        if !from_head {
            pages.reverse();
        }
        assert_eq!(Value::from(pages), all["events"]);
    }
}

#[tokio::test]
async fn only_some_streams() {
    let house = house().await;
    house.stream("ab").await;
    house.put("a", &[(0, "1")]).await;
    house.put("ab", &[(1, "2")]).await;
    let filter = |more| house.ok("FilterLogEvents", group(more));
    assert_eq!(messages(&filter(json!({"logStreamNames": ["ab"]})).await), ["2"]);
    assert_eq!(messages(&filter(json!({"logStreamNamePrefix": "a"})).await), ["1", "2"]);
    assert_eq!(messages(&filter(json!({"logStreamNamePrefix": "ab"})).await), ["2"]);
    let now = house.now();
    assert_eq!(messages(&filter(json!({"endTime": now})).await), ["1"]);
    assert_eq!(messages(&filter(json!({"startTime": now + 1})).await), ["2"]);
    let found = house.err("FilterLogEvents", group(json!({"logStreamNames": ["none"]}))).await;
    assert_eq!(found.0, "ResourceNotFoundException");
}

#[tokio::test]
async fn only_what_matches() {
    let house = house().await;
    let texts = ["hello", "world", "hello world", r#"{"level": "error", "code": 500}"#];
    let events: Vec<(i64, &str)> = (0..).zip(texts).collect();
    house.put("a", &events).await;
    let filter = |pattern: &str| {
        house.ok("FilterLogEvents", json!({"logGroupName": GROUP, "filterPattern": pattern}))
    };
    assert_eq!(messages(&filter("hello").await), ["hello", "hello world"]);
    assert_eq!(messages(&filter("hello -world").await), ["hello"]);
    assert_eq!(messages(&filter("{ $.code >= 500 }").await), [texts[3]]);
    assert_eq!(messages(&filter("[first = hello, second]").await), ["hello world"]);
    let input = group(json!({"filterPattern": "{ $.a"}));
    assert_eq!(house.err("FilterLogEvents", input).await.1, "Invalid filter pattern");
}

#[tokio::test]
async fn a_pattern_on_samples() {
    let house = house().await;
    let input = json!({
        "filterPattern": "[ip, user, status = 4*]",
        "logEventMessages": ["1.2.3.4 frank 404", "1.2.3.4 frank 200"],
    });
    assert_eq!(
        house.ok("TestMetricFilter", input).await,
        json!({"matches": [{
            "eventNumber": 1, "eventMessage": "1.2.3.4 frank 404",
            "extractedValues": {"$ip": "1.2.3.4", "$user": "frank", "$status": "404"},
        }]})
    );
}
