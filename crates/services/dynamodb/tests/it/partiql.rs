//! PartiQL: statements alone, in batches and in transactions.

use serde_json::{Value, json};

use crate::house::{House, definition, house, item, plain, with};

async fn filled() -> House {
    let house = house();
    house.table("tab").await;
    for p in ["a", "b"] {
        for s in 1..=5 {
            house.put("tab", json!({"p": p, "s": s, "odd": s % 2 == 1, "m": {"deep": s}})).await;
        }
    }
    house
}

async fn run(house: &House, statement: &str) -> Value {
    house.ok("ExecuteStatement", json!({"Statement": statement})).await
}

async fn fails(house: &House, statement: &str) -> (String, String) {
    house.fails("ExecuteStatement", json!({"Statement": statement})).await
}

/// `a1 a2` of the items found, in order, over all pages.
async fn keys(house: &House, statement: &str, limit: Option<i64>) -> String {
    let mut input = json!({"Statement": statement});
    if let Some(limit) = limit {
        input["Limit"] = json!(limit);
    }
    let mut found = Vec::new();
    loop {
        let page = house.ok("ExecuteStatement", input.clone()).await;
        for item in page["Items"].as_array().unwrap() {
            let item = plain(item);
            found.push(format!("{}{}", item["p"].as_str().unwrap(), item["s"]));
        }
        match page.get("NextToken") {
            Some(token) => input["NextToken"] = token.clone(),
            None => return found.join(" "),
        }
    }
}

#[tokio::test]
async fn reads_find_what_they_say_page_by_page() {
    let house = filled().await;
    let cases = [
        ("SELECT * FROM tab WHERE p = 'a'", "a1 a2 a3 a4 a5"),
        ("SELECT * FROM tab WHERE p = 'a' AND s > 3", "a4 a5"),
        ("SELECT * FROM tab WHERE p = 'a' ORDER BY s DESC", "a5 a4 a3 a2 a1"),
        ("SELECT * FROM tab WHERE p = 'a' AND odd = true AND s BETWEEN 2 AND 5", "a3 a5"),
        ("SELECT * FROM tab WHERE p IN ['b', 'a'] AND s = 1 ORDER BY p", "a1 b1"),
        ("SELECT * FROM tab WHERE p = 'a' AND s < 2 OR p = 'b' AND s = 5", "a1 b5"),
        ("SELECT * FROM tab WHERE p = 'a' AND s < 3 OR p = 'a' AND NOT s = 3", "a1 a2 a4 a5"),
        ("SELECT * FROM tab WHERE p = 'c'", ""),
    ];
    for (statement, expected) in cases {
        for limit in [None, Some(1), Some(2)] {
            assert_eq!(keys(&house, statement, limit).await, expected, "{statement}");
        }
    }
    let mut all: Vec<String> =
        keys(&house, "SELECT * FROM tab", Some(3)).await.split(' ').map(str::to_owned).collect();
    all.sort();
    assert_eq!(all.join(" "), "a1 a2 a3 a4 a5 b1 b2 b3 b4 b5");
    let columns = run(&house, "SELECT m.deep, s FROM tab WHERE p = 'a' AND s = 2").await;
    assert_eq!(plain(&columns["Items"][0]), json!({"deep": 2, "s": 2}));
}

#[tokio::test]
async fn a_token_belongs_to_its_statement() {
    let house = filled().await;
    let page = json!({"Statement": "SELECT * FROM tab", "Limit": 1});
    let token = house.ok("ExecuteStatement", page).await["NextToken"].clone();
    for token in [token, json!("rubbish")] {
        let other = json!({"Statement": "SELECT * FROM tab WHERE s = 1", "NextToken": token});
        let (code, message) = house.fails("ExecuteStatement", other).await;
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("ValidationException", "NextToken does not match request")
        );
    }
}

#[tokio::test]
async fn writes_write_and_return() {
    let house = filled().await;
    let insert = "INSERT INTO tab VALUE {'p': 'n', 's': 1, 'x': <<1, 2>>}";
    assert_eq!(run(&house, insert).await, json!({"Items": []}));
    let (code, message) = fails(&house, insert).await;
    assert_eq!(code, "DuplicateItemException");
    assert_eq!(message, "Duplicate primary key exists in table");

    let update = "UPDATE tab SET n = 1 SET m.deep = m.deep + 1 WHERE p = 'a' AND s = 1";
    let returned = run(&house, &format!("{update} RETURNING MODIFIED NEW *")).await;
    assert_eq!(plain(&returned["Items"][0]), json!({"n": 1, "m": {"deep": 2}}));
    let old = run(&house, "DELETE FROM tab WHERE p = 'a' AND s = 1 RETURNING ALL OLD *").await;
    assert_eq!(old["Items"].as_array().unwrap().len(), 1);
    assert_eq!(run(&house, "DELETE FROM tab WHERE p = 'a' AND s = 1").await, json!({"Items": []}));

    for missing in [update, "UPDATE tab SET n = 1 WHERE p = 'a' AND s = 2 AND odd = true"] {
        assert_eq!(fails(&house, missing).await.0, "ConditionalCheckFailedException");
    }
    for statement in ["UPDATE tab SET n = 1 WHERE p = 'a'", "DELETE FROM tab", "FROM tab SET c = 1"]
    {
        assert_eq!(
            fails(&house, statement).await.1,
            "Where clause does not contain a mandatory equality on all key attributes"
        );
    }
    assert_eq!(
        fails(&house, "INSERT INTO tab VALUE {'p': 1, 's': 1}").await.1,
        "One or more parameter values were invalid: Type mismatch for key p expected: S actual: N"
    );
    let (code, message) = fails(&house, "SELECT * FROM nowhere").await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("ResourceNotFoundException", "Requested resource not found")
    );
}

#[tokio::test]
async fn indexes_are_read_by_name() {
    let house = house();
    let global = json!([{
        "IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"}
    }]);
    let mut table = with(definition("tab"), json!({"GlobalSecondaryIndexes": global}));
    let attributes = table["AttributeDefinitions"].as_array_mut().unwrap();
    attributes.push(json!({"AttributeName": "g", "AttributeType": "S"}));
    house.ok("CreateTable", table).await;
    house.put("tab", json!({"p": "a", "s": 1, "g": "x", "y": 1})).await;
    house.put("tab", json!({"p": "b", "s": 1, "g": "z"})).await;
    assert_eq!(keys(&house, "SELECT * FROM \"tab\".\"by-g\" WHERE g = 'x'", None).await, "a1");
    assert_eq!(keys(&house, "SELECT * FROM \"tab\".\"by-g\" WHERE p = 'b'", None).await, "b1");
    assert_eq!(
        fails(&house, "SELECT y FROM tab.\"by-g\" WHERE g = 'x'").await.1,
        "One or more parameter values were invalid: Global secondary index by-g does not project [y]"
    );
    assert_eq!(
        fails(&house, "SELECT * FROM tab.nowhere").await.1,
        "The table does not have the specified index"
    );
    let consistent = json!({"Statement": "SELECT * FROM tab.\"by-g\"", "ConsistentRead": true});
    assert_eq!(
        house.fails("ExecuteStatement", consistent).await.1,
        "Strongly consistent read is not supported on Global Secondary Indexes"
    );
}

#[tokio::test]
async fn each_statement_of_a_batch_stands_for_itself() {
    let house = filled().await;
    let statements = [
        "SELECT m.deep FROM tab WHERE p = 'a' AND s = 2",
        "SELECT * FROM tab WHERE p = 'a'",
        "SELECT * FROM tab WHERE p = 'a' AND s = 2 AND odd = true",
        "INSERT INTO tab VALUE {'p': 'a', 's': 1}",
        "UPDATE tab SET x = 1 WHERE p = 'a' AND s = 3",
        "SELEC",
        "SELECT * FROM nowhere WHERE p = 'a' AND s = 1",
    ];
    let statements: Vec<Value> = statements.iter().map(|one| json!({"Statement": one})).collect();
    let answer = house.ok("BatchExecuteStatement", json!({"Statements": statements})).await;
    let responses = answer["Responses"].as_array().unwrap();
    let code = |number: usize| responses[number]["Error"]["Code"].as_str().unwrap_or("none");
    assert_eq!(responses[0], json!({"TableName": "tab", "Item": {"deep": {"N": "2"}}}));
    let codes: Vec<&str> = (0..7).map(code).collect();
    assert_eq!(
        codes,
        [
            "none",
            "ValidationError",
            "ValidationError",
            "DuplicateItem",
            "none",
            "ValidationError",
            "ResourceNotFound"
        ]
    );
    assert_eq!(
        responses[1]["Error"]["Message"],
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    );
    assert_eq!(house.get("tab", json!({"p": "a", "s": 3})).await["x"], 1);
}

#[tokio::test]
async fn transactions_are_all_or_nothing() {
    let house = filled().await;
    let all = |statements: &[&str]| {
        let statements: Vec<Value> =
            statements.iter().map(|one| json!({"Statement": one})).collect();
        json!({"TransactStatements": statements})
    };
    let written = all(&[
        "INSERT INTO tab VALUE {'p': 'n', 's': 1}",
        "UPDATE tab SET x = 1 WHERE p = 'a' AND s = 1",
        "DELETE FROM tab WHERE p = 'a' AND s = 2",
        "EXISTS(SELECT * FROM tab WHERE p = 'a' AND s = 3 AND odd = true)",
    ]);
    assert_eq!(house.ok("ExecuteTransaction", written).await, json!({"Responses": []}));
    let failing = all(&[
        "INSERT INTO tab VALUE {'p': 'n', 's': 2}",
        "INSERT INTO tab VALUE {'p': 'n', 's': 1}",
    ]);
    let (code, message) = house.fails("ExecuteTransaction", failing).await;
    assert_eq!(code, "TransactionCanceledException");
    assert!(message.ends_with("[None, DuplicateItem]"), "{message}");
    assert!(house.get("tab", json!({"p": "n", "s": 2})).await.is_null());

    let reads = all(&[
        "SELECT * FROM tab WHERE p = 'a' AND s = 1",
        "SELECT * FROM tab WHERE p = 'a' AND s = 2",
    ]);
    let answer = house.ok("ExecuteTransaction", reads).await;
    assert_eq!(answer["Responses"][0]["Item"]["x"], json!({"N": "1"}));
    assert_eq!(answer["Responses"][1], json!({}));

    let refused = [
        (
            "SELECT * FROM tab WHERE p = 'a'",
            "Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the primary key in the where clause.",
        ),
        (
            "SELECT * FROM tab WHERE",
            "Validation failed in TransactStatements[0]: Statement wasn't well formed, can't be processed: Unexpected term",
        ),
        (
            "EXISTS(SELECT * FROM tab WHERE p = 'a' AND s = 3)",
            "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional condition",
        ),
    ];
    for (statement, sentence) in refused {
        assert_eq!(house.fails("ExecuteTransaction", all(&[statement])).await.1, sentence);
    }
}

#[tokio::test]
async fn parameters_take_their_places() {
    let house = filled().await;
    let insert = json!({
        "Statement": "INSERT INTO tab VALUE {'p': ?, 's': ?, 'l': [?, 2]}",
        "Parameters": [{"S": "n"}, {"N": "1"}, {"BOOL": true}]
    });
    house.ok("ExecuteStatement", insert).await;
    assert_eq!(house.get("tab", json!({"p": "n", "s": 1})).await["l"], json!([true, 2]));
    let select = json!({"Statement": "SELECT * FROM tab WHERE p = ?", "Parameters": [{"S": "n"}, {"S": "m"}]});
    let (_, message) = house.fails("ExecuteStatement", select).await;
    assert_eq!(message, "Number of parameters in request and statement don't match.");
    let key = item(&json!({"p": "n", "s": 1}));
    house.ok("DeleteItem", json!({"TableName": "tab", "Key": key})).await;
}
