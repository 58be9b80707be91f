//! Queries on a few events.

use super::*;

const NOW: i64 = 1_480_586_400_000;

/// Rows as `name=value` texts; the messages' times are a minute apart, the first is the newest.
fn run(query: &str, messages: &[&str]) -> Vec<String> {
    let mut pipeline = Pipeline::new(parse(query).unwrap(), 10_000, NOW);
    for (message, age) in messages.iter().zip(0..) {
        let event = Event {
            message: (*message).to_owned(),
            time_ms: NOW - age * 60_000,
            pointer: "p".to_owned(),
            ..Event::default()
        };
        if pipeline.push(event).unwrap() == Flow::Enough {
            break;
        }
    }
    let shown = |row: &Row| {
        let fields = row.iter().filter(|(name, _)| name != "@ptr");
        fields.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    pipeline.end().unwrap().iter().map(shown).collect()
}

#[test]
fn fields_filters_and_limits() {
    let messages = ["ERROR one", "INFO two", "ERROR three"];
    assert_eq!(run("", &messages[..1]), ["@timestamp=2016-12-01 10:00:00.000 @message=ERROR one"]);
    assert_eq!(
        run("fields @message | filter @message like /ERR/", &messages),
        ["@message=ERROR one", "@message=ERROR three"]
    );
    assert_eq!(run("fields @message | limit 1", &messages), ["@message=ERROR one"]);
    let query = "fields @message, strlen(@message) as size | filter size < 9 and not (size = 1)";
    assert_eq!(run(query, &messages), ["@message=INFO two size=8"]);
    assert_eq!(run("filter @message in ['INFO two'] | display @message", &messages).len(), 1);
    assert_eq!(run("display @message | filter @message not like 'ERROR'", &messages).len(), 1);
}

#[test]
fn fields_of_json_and_expressions() {
    let messages = [r#"{"user": {"name": "a"}, "ms": 12, "ok": true}"#, r#"{"ms": 7.5}"#, "none"];
    let query = "fields user.name, ms * 2 + 1 as twice, ok | filter ispresent(ms)";
    assert_eq!(run(query, &messages), ["user.name=a twice=25 ok=1", "twice=16"]);
    let query = "fields coalesce(user.name, 'nobody') as who | filter ms > 7 | sort ms asc";
    assert_eq!(run(query, &messages), ["who=nobody", "who=a"]);
    assert_eq!(run("fields `ms` | filter ok = 1", &messages), ["ms=12"]);
    assert_eq!(
        run("fields 2 ^ 3 ^ 0 - -1 # a comment\n| limit 1", &messages),
        ["2 ^ 3 ^ 0 - -1=3"]
    );
}

#[test]
fn totals() {
    let messages = [r#"{"k":"a","n":1}"#, r#"{"k":"b","n":2}"#, r#"{"k":"a","n":6}"#];
    assert_eq!(run("stats count(*) as c by k | sort c desc", &messages), ["k=a c=2", "k=b c=1"]);
    assert_eq!(
        run("stats sum(n)/count(n) as mean, avg(n), max(n), min(n)", &messages),
        ["mean=3 avg(n)=3 max(n)=6 min(n)=1"]
    );
    assert_eq!(
        run("stats pct(n, 50), stddev(n), count_distinct(k)", &messages),
        ["pct(n, 50)=2 stddev(n)=2.1602 count_distinct(k)=2"]
    );
    assert_eq!(
        run("stats count(*) by bin(2m)", &messages),
        [
            "bin(2m)=2016-12-01 10:00:00.000 count(*)=1",
            "bin(2m)=2016-12-01 09:58:00.000 count(*)=2"
        ]
    );
    assert_eq!(
        run("stats earliest(n), latest(n) by k | filter k = 'a'", &messages),
        ["k=a earliest(n)=6 latest(n)=1"]
    );
    assert_eq!(run("stats count(*) as c by k | stats max(c) as most", &messages), ["most=2"]);
}

#[test]
fn parses_messages() {
    let messages = ["user=ann, took 12 ms", "user=bob, took 3 ms", "else"];
    let query = r#"parse @message "user=*, took * ms" as @user, took | stats sum(took) by @user"#;
    assert_eq!(run(query, &messages[..2]), ["@user=ann sum(took)=12", "@user=bob sum(took)=3"]);
    let query = r"parse @message /user=(?<who>\w+), took (?<ms>\d+)/ | filter ms > 5 | display who";
    assert_eq!(run(query, &messages), ["who=ann"]);
    assert_eq!(run(r#"parse "took *" as rest | display rest"#, &messages)[0], "rest=12 ms");
}

#[test]
fn each_once() {
    let messages = [r#"{"k":"a","n":1}"#, r#"{"k":"b","n":2}"#, r#"{"k":"a","n":6}"#];
    assert_eq!(run("fields n | dedup k", &messages), ["n=1", "n=2"]);
    assert_eq!(run("fields n | sort n asc | dedup k | limit 1", &messages), ["n=1"]);
}

#[test]
fn says_where_a_query_is_wrong() {
    let wrong = |query: &str| parse(query).unwrap_err();
    assert_eq!(wrong("fields @message | nonsense 1").at, 18);
    assert_eq!(
        wrong("fields @message | filter = 1").message,
        "unexpected symbol found = at line 1 and position 26"
    );
    for query in [
        "fields",
        "limit 0",
        "limit x",
        "filter a like b",
        "filter a = (1",
        "stats x by y",
        "parse @message 'a *' as b, c",
        "fields nofunction(a)",
        "filter count(*) > 1",
        "stats sum(sum(a))",
        "fields 'open",
        "filter a like /(/",
        "sort @timestamp desc asc",
        "pattern @message",
    ] {
        assert!(parse(query).is_err(), "{query}");
    }
    assert!(parse(&format!("filter {}1", "(".repeat(10_000))).is_err());
}
