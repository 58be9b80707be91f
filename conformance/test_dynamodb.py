"""DynamoDB and its streams through boto3 and the AWS CLI. Sentences are AWS's own, recorded by public suites that run
against AWS (dynalite, Alternator, LocalStack, paritysuite)."""

import concurrent.futures
import time
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def dynamodb(client):
    return client("dynamodb")


@pytest.fixture(scope="module")
def resource(endpoint):
    return boto3.resource(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def definition(name, **more):
    return {
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "N"},
        ],
        "KeySchema": [
            {"AttributeName": "p", "KeyType": "HASH"},
            {"AttributeName": "s", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }


@pytest.fixture
def table(resource, unique):
    """A fresh table with the keys p (S) and s (N)."""
    made = []

    def make(**more):
        table = resource.create_table(**definition(unique("table"), **more))
        table.wait_until_exists()
        made.append(table)
        return table

    yield make
    for one in made:
        try:
            one.delete()
        except one.meta.client.exceptions.ResourceNotFoundException:
            pass


def code(error):
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_a_table_lives_and_dies(dynamodb, unique):
    name = unique("table")
    made = dynamodb.create_table(**definition(name))["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    described = dynamodb.describe_table(TableName=name)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["TableArn"] == f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}"
    assert name in [
        one for page in dynamodb.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2})
        for one in page["TableNames"]
    ]
    with pytest.raises(dynamodb.exceptions.ResourceInUseException) as error:
        dynamodb.create_table(**definition(name))
    assert code(error)[1] == f"Table already exists: {name}"
    dynamodb.delete_table(TableName=name)
    dynamodb.get_waiter("table_not_exists").wait(TableName=name)
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.describe_table(TableName=name)


def test_every_type_comes_back(table):
    whole = {
        "p": "a", "s": 1, "text": "wörd", "empty": "", "number": Decimal("-1.5E+30"), "bytes": b"\x00\xff",
        "yes": True, "no": False, "nothing": None, "list": [1, "two", [Decimal("3.5")]], "map": {"a": {"b": {}}},
        "words": {"x", "y"}, "numbers": {1, Decimal("2.5")}, "blobs": {b"1", b"2"},
    }
    t = table()
    t.put_item(Item=whole)
    got = t.get_item(Key={"p": "a", "s": 1}, ConsistentRead=True)["Item"]
    got["bytes"] = bytes(got["bytes"])
    got["blobs"] = {bytes(one) for one in got["blobs"]}
    assert got == whole


def test_updates_and_conditions(table):
    t = table()
    key = {"p": "a", "s": 1}
    new = t.update_item(
        Key=key,
        UpdateExpression="SET #l = list_append(if_not_exists(#l, :none), :one), n = :n REMOVE gone ADD c :n, words :w",
        ExpressionAttributeNames={"#l": "list"},
        ExpressionAttributeValues={":none": [], ":one": ["x"], ":n": 5, ":w": {"a", "b"}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert new == {**key, "list": ["x"], "n": 5, "c": 5, "words": {"a", "b"}}
    new = t.update_item(
        Key=key, UpdateExpression="SET #l[3] = :y, n = n - :n DELETE words :w",
        ConditionExpression="size(#l) = :one AND begins_with(#l[0], :x) AND c BETWEEN :one AND :n",
        ExpressionAttributeNames={"#l": "list"},
        ExpressionAttributeValues={":one": 1, ":n": 5, ":w": {"a"}, ":x": "x", ":y": "y"}, ReturnValues="UPDATED_NEW",
    )["Attributes"]
    assert new["n"] == 0 and new["words"] == {"b"}
    assert t.get_item(Key=key)["Item"]["list"] == ["x", "y"]
    with pytest.raises(t.meta.client.exceptions.ConditionalCheckFailedException) as error:
        t.put_item(Item=key, ConditionExpression=Attr("p").not_exists(), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert error.value.response["Item"]["n"] == {"N": "0"}
    assert code(error)[1] == "The conditional request failed"


@pytest.mark.parametrize(
    "expression, values, sentence",
    [
        ("SET a", None, 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "a"'),
        ("SET size = :v", {":v": 1}, "Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: size"),
        ("SET a = :v, a.b = :v", {":v": 1}, "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"),
        ("SET a = :w", {":v": 1}, "Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :w"),
        ("SET a = :v", {":v": 1, ":w": 1}, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"),
        ("SET p = :v", {":v": "x"}, "One or more parameter values were invalid: Cannot update attribute p. This attribute is part of the key"),
        ("SET a.b = :v", {":v": 1}, "The document path provided in the update expression is invalid for update"),
    ],
)
def test_sentences_of_bad_updates(table, expression, values, sentence):
    t = table()
    t.put_item(Item={"p": "a", "s": 1})
    more = {"ExpressionAttributeValues": values} if values else {}
    with pytest.raises(ClientError) as error:
        t.update_item(Key={"p": "a", "s": 1}, UpdateExpression=expression, **more)
    assert code(error) == ("ValidationException", sentence)


def test_queries_and_scans_page(table):
    t = table()
    with t.batch_writer() as batch:
        for n in range(250):
            batch.put_item(Item={"p": f"p{n % 2}", "s": n, "odd": n % 3})
    paginator = t.meta.client.get_paginator("query")
    pages = list(
        paginator.paginate(
            TableName=t.name, KeyConditionExpression=Key("p").eq("p1") & Key("s").between(50, 150),
            FilterExpression=Attr("odd").eq(1), ScanIndexForward=False, PaginationConfig={"PageSize": 7},
        )
    )
    found = [item["s"] for page in pages for item in page["Items"]]
    assert found == [n for n in range(150, 49, -1) if n % 2 == 1 and n % 3 == 1]
    assert sum(page["ScannedCount"] for page in pages) == 50
    segments = [
        item["s"]
        for segment in range(4)
        for page in t.meta.client.get_paginator("scan").paginate(TableName=t.name, Segment=segment, TotalSegments=4)
        for item in page["Items"]
    ]
    assert sorted(segments) == list(range(250))
    assert t.scan(Select="COUNT")["Count"] == 250


def test_batches(table):
    t = table()
    client = t.meta.client
    request = {t.name: [{"PutRequest": {"Item": {"p": "a", "s": n}}} for n in range(26)]}
    with pytest.raises(ClientError) as error:
        client.batch_write_item(RequestItems=request)
    assert code(error)[0] == "ValidationException"
    request[t.name].pop()
    assert client.batch_write_item(RequestItems=request)["UnprocessedItems"] == {}
    got = client.batch_get_item(RequestItems={t.name: {"Keys": [{"p": "a", "s": n} for n in range(20, 30)]}})
    assert sorted(item["s"] for item in got["Responses"][t.name]) == [20, 21, 22, 23, 24]


def test_transactions(table):
    t = table()
    client = t.meta.client
    t.put_item(Item={"p": "a", "s": 1, "n": 1})
    with pytest.raises(client.exceptions.TransactionCanceledException) as error:
        client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": t.name, "Item": {"p": "b", "s": 1}}},
                {"Update": {
                    "TableName": t.name, "Key": {"p": "a", "s": 1}, "UpdateExpression": "ADD n :one",
                    "ConditionExpression": "n > :one", "ExpressionAttributeValues": {":one": 1},
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }},
            ]
        )
    assert code(error)[1] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    )
    none, failed = error.value.response["CancellationReasons"]
    assert none == {"Code": "None"}
    assert failed == {
        "Code": "ConditionalCheckFailed", "Message": "The conditional request failed",
        "Item": {"p": {"S": "a"}, "s": {"N": "1"}, "n": {"N": "1"}},
    }
    assert "Item" not in t.get_item(Key={"p": "b", "s": 1})
    for _ in range(2):
        client.transact_write_items(
            ClientRequestToken="once",
            TransactItems=[{"Update": {
                "TableName": t.name, "Key": {"p": "a", "s": 1}, "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": {":one": 1},
            }}],
        )
    got = client.transact_get_items(
        TransactItems=[{"Get": {"TableName": t.name, "Key": {"p": p, "s": 1}}} for p in ("a", "b")]
    )["Responses"]
    assert got[0]["Item"]["n"] == 2 and "Item" not in got[1]


def test_counters_of_many_clients_add_up(table, client):
    t = table()

    def work(_):
        own = client("dynamodb")
        for _ in range(20):
            own.update_item(
                TableName=t.name, Key={"p": {"S": "a"}, "s": {"N": "1"}}, UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert t.get_item(Key={"p": "a", "s": 1})["Item"]["n"] == 160


def test_a_global_index_is_added_filled_and_dropped(table):
    t = table()
    client = t.meta.client
    with t.batch_writer() as batch:
        for n in range(100):
            batch.put_item(Item={"p": "a", "s": n, **({"g": "x"} if n % 2 else {})})
    client.update_table(
        TableName=t.name, AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": {
            "IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }}],
    )

    def index():
        return (client.describe_table(TableName=t.name)["Table"].get("GlobalSecondaryIndexes") or [None])[0]

    eventually(lambda: index()["IndexStatus"] == "ACTIVE")
    t.put_item(Item={"p": "b", "s": 1, "g": "x"})
    found = t.query(IndexName="by-g", KeyConditionExpression=Key("g").eq("x"))
    assert found["Count"] == 51 and set(found["Items"][0]) == {"p", "s", "g"}
    client.update_table(TableName=t.name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
    eventually(lambda: index() is None)


def test_local_indexes_and_collections(table):
    t = table(
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "N"},
            {"AttributeName": "at", "AttributeType": "S"},
        ],
        LocalSecondaryIndexes=[{
            "IndexName": "by-at",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
        }],
    )
    put = t.put_item(Item={"p": "a", "s": 1, "at": "2", "x": 1, "y": 1}, ReturnItemCollectionMetrics="SIZE")
    assert put["ItemCollectionMetrics"]["ItemCollectionKey"] == {"p": "a"}
    t.put_item(Item={"p": "a", "s": 2, "at": "1"})
    query = {"IndexName": "by-at", "KeyConditionExpression": Key("p").eq("a"), "ConsistentRead": True}
    assert [item["s"] for item in t.query(**query)["Items"]] == [2, 1]
    assert "y" not in t.query(**query)["Items"][1]
    assert t.query(**query, Select="ALL_ATTRIBUTES")["Items"][1]["y"] == 1


def eventually(done, seconds=30):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.1)


def test_a_stream_tells_every_change(table, client):
    t = table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    streams = client("dynamodbstreams")
    arn = t.latest_stream_arn
    assert arn in [one["StreamArn"] for one in streams.list_streams(TableName=t.name)["Streams"]]
    t.put_item(Item={"p": "a", "s": 1, "v": 1})
    t.update_item(Key={"p": "a", "s": 1}, UpdateExpression="SET v = :v", ExpressionAttributeValues={":v": 2})
    t.delete_item(Key={"p": "a", "s": 1})
    records = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            records += page["Records"]
            iterator = page["Records"] and page.get("NextShardIterator")
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    modified = records[1]["dynamodb"]
    assert (modified["OldImage"]["v"], modified["NewImage"]["v"]) == ({"N": "1"}, {"N": "2"})
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    assert numbers == sorted(numbers) and all(len(number) >= 21 for number in numbers)


def test_items_expire(table):
    t = table()
    client = t.meta.client
    specification = {"AttributeName": "until", "Enabled": True}
    answer = client.update_time_to_live(TableName=t.name, TimeToLiveSpecification=specification)
    assert answer["TimeToLiveSpecification"] == specification
    now = int(time.time())
    t.put_item(Item={"p": "a", "s": 1, "until": now - 5})
    t.put_item(Item={"p": "a", "s": 2, "until": now + 3600})
    t.put_item(Item={"p": "a", "s": 3})
    eventually(lambda: t.scan(Select="COUNT")["Count"] == 2)
    status = client.describe_time_to_live(TableName=t.name)["TimeToLiveDescription"]
    assert status == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}


def test_tags_and_policies(table, dynamodb):
    t = table(Tags=[{"Key": "team", "Value": "blue"}])
    dynamodb.tag_resource(ResourceArn=t.table_arn, Tags=[{"Key": "cost", "Value": "1"}])
    tags = dynamodb.list_tags_of_resource(ResourceArn=t.table_arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "blue", "cost": "1"}
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"dynamodb:GetItem",'
        f'"Resource":"{t.table_arn}"}}]}}'
    )
    revision = dynamodb.put_resource_policy(ResourceArn=t.table_arn, Policy=policy)["RevisionId"]
    assert dynamodb.get_resource_policy(ResourceArn=t.table_arn)["RevisionId"] == revision
    with pytest.raises(ClientError) as error:
        t.get_item(Key={"p": "a", "s": 1})
    assert code(error)[0] == "AccessDeniedException"
    dynamodb.delete_resource_policy(ResourceArn=t.table_arn)
    t.get_item(Key={"p": "a", "s": 1})


def test_the_legacy_parameters(table):
    t = table()
    client = t.meta.client
    with pytest.raises(ClientError) as error:
        client.put_item(
            TableName=t.name, Item={"p": "a", "s": 1}, Expected={"p": {"Value": "a"}}, ConditionExpression="p = p"
        )
    assert code(error)[1].startswith("Can not use both expression and non-expression parameters in the same request")
    client.update_item(
        TableName=t.name, Key={"p": "a", "s": 1}, AttributeUpdates={"n": {"Action": "ADD", "Value": 3}},
        Expected={"n": {"Exists": False}},
    )
    found = client.query(
        TableName=t.name,
        KeyConditions={"p": {"ComparisonOperator": "EQ", "AttributeValueList": ["a"]}},
        QueryFilter={"n": {"ComparisonOperator": "IN", "AttributeValueList": [3, 4]}},
    )
    assert found["Count"] == 1


def test_accounts_and_regions_are_apart(client, unique):
    name = unique("table")
    here, there = client("dynamodb"), client("dynamodb", region="eu-west-3")
    here.create_table(**definition(name))
    with pytest.raises(there.exceptions.ResourceNotFoundException):
        there.describe_table(TableName=name)
    here.delete_table(TableName=name)


def test_the_command_line(aws, unique):
    name = unique("table")
    aws(
        "dynamodb", "create-table", "--table-name", name, "--billing-mode", "PAY_PER_REQUEST",
        "--attribute-definitions", "AttributeName=id,AttributeType=S", "--key-schema", "AttributeName=id,KeyType=HASH",
    )
    aws("dynamodb", "wait", "table-exists", "--table-name", name)
    aws("dynamodb", "put-item", "--table-name", name, "--item", '{"id": {"S": "a"}, "n": {"N": "1"}}')
    found = aws("dynamodb", "scan", "--table-name", name)
    assert found["Items"] == [{"id": {"S": "a"}, "n": {"N": "1"}}]
    aws("dynamodb", "delete-table", "--table-name", name)


def test_a_table_of_a_stack(client, unique):
    cloudformation, dynamodb = client("cloudformation"), client("dynamodb")
    name = unique("stack")
    template = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}%s]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
      StreamSpecification: {StreamViewType: NEW_IMAGE}
%s
Outputs:
  Name: {Value: !Ref Table}
  Arn: {Value: !GetAtt Table.Arn}
  Stream: {Value: !GetAtt Table.StreamArn}
"""
    cloudformation.create_stack(StackName=name, TemplateBody=template % ("", ""))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    outputs = {
        one["OutputKey"]: one["OutputValue"]
        for one in cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    }
    table = dynamodb.describe_table(TableName=outputs["Name"])["Table"]
    assert (table["TableArn"], table["LatestStreamArn"]) == (outputs["Arn"], outputs["Stream"])
    dynamodb.put_item(TableName=outputs["Name"], Item={"id": {"S": "a"}, "g": {"S": "b"}})
    indexed = """
      GlobalSecondaryIndexes:
        - {IndexName: by-g, KeySchema: [{AttributeName: g, KeyType: HASH}], Projection: {ProjectionType: ALL}}
      TimeToLiveSpecification: {AttributeName: until, Enabled: true}
"""
    cloudformation.update_stack(
        StackName=name, TemplateBody=template % (", {AttributeName: g, AttributeType: S}", indexed)
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    changed = dynamodb.describe_table(TableName=outputs["Name"])["Table"]
    assert changed["TableId"] == table["TableId"]
    assert changed["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
    assert dynamodb.scan(TableName=outputs["Name"], IndexName="by-g")["Count"] == 1
    ttl = dynamodb.describe_time_to_live(TableName=outputs["Name"])["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "until"
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.describe_table(TableName=outputs["Name"])
