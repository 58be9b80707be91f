"""Events through boto3: asynchronous invocation, DynamoDB streams, a crash, a stack of SAM's."""

import io
import json
import subprocess
import time
import urllib.request
import zipfile

import boto3
import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION, needs
from server import Server

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
# Each event becomes one line of the function's log.
LOUD = "import json\ndef handler(event, context):\n    print('EVENT ' + json.dumps(event))\n    return event\n"
FAILING = "def handler(event, context):\n    raise Exception('on purpose')\n"


def archive(source):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("index.py", source)
    return buffer.getvalue()


def eventually(check, seconds=20):
    end = time.time() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.time() < end, "it did not come"
        time.sleep(0.05)


def refused(code, action, **arguments):
    with pytest.raises(ClientError) as caught:
        action(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response["Error"]["Message"]


class House:
    """Clients of one server, and shorthands."""

    def __init__(self, endpoint):
        def make(service):
            return boto3.client(
                service, endpoint_url=endpoint, region_name=REGION,
                aws_access_key_id="test", aws_secret_access_key="test",
            )

        self.endpoint = endpoint
        self.lambda_, self.dynamodb, self.s3 = make("lambda"), make("dynamodb"), make("s3")
        self.logs, self.iam, self.cloudformation = make("logs"), make("iam"), make("cloudformation")

    def role(self, name, *actions):
        document = json.dumps(TRUST)
        arn = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        statement = {"Effect": "Allow", "Action": ["logs:*", *actions], "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return arn

    def function(self, name, source, role):
        made = self.lambda_.create_function(
            FunctionName=name, Runtime="python3.12", Role=role, Handler="index.handler",
            Code={"ZipFile": archive(source)}, Timeout=10,
        )
        return made["FunctionArn"]

    def table(self, name):
        made = self.dynamodb.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        return made["TableDescription"]["LatestStreamArn"]

    def put(self, table, id, value=0):
        self.dynamodb.put_item(TableName=table, Item={"id": {"S": id}, "v": {"N": str(value)}})

    def enabled(self, uuid):
        eventually(lambda: self.lambda_.get_event_source_mapping(UUID=uuid)["State"] == "Enabled")

    def events(self, function):
        """What a loud function has seen."""
        found, more = [], {}
        while True:
            try:
                page = self.logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", **more)
            except self.logs.exceptions.ResourceNotFoundException:
                return []
            found += [e["message"] for e in page["events"]]
            if "nextToken" not in page:
                return [json.loads(m[6:]) for m in found if m.startswith("EVENT ")]
            more = {"nextToken": page["nextToken"]}

    def changes(self, function):
        """(id, v) of all records that a loud function has seen, in order."""
        seen = []
        for event in self.events(function):
            for record in event.get("Records", []):
                image = record["dynamodb"]["NewImage"]
                seen.append((image["id"]["S"], int(image["v"]["N"])))
        return seen

    def objects(self, bucket):
        listed = self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        read = lambda key: json.load(self.s3.get_object(Bucket=bucket, Key=key)["Body"])
        return {entry["Key"]: read(entry["Key"]) for entry in listed}

    def advance(self, seconds):
        body = json.dumps({"advance_s": seconds}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/_sereno/clock", body)).read()


@pytest.fixture(scope="module")
def house():
    """A server of its own: these tests move its clock."""
    with Server() as server:
        yield House(server.endpoint)
        assert "panicked" not in server.log(), server.log()[-4000:]


# ---------------------------------------------------------------- asynchronous invocation


def test_an_event_is_tried_three_times_and_then_reported(house, unique):
    role = house.role(unique("r"), "s3:*")
    name, bucket = unique("f"), unique("b")
    house.function(name, FAILING, role)
    house.s3.create_bucket(Bucket=bucket)
    config = house.lambda_.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}}
    )
    assert config["FunctionArn"].endswith(f":function:{name}:$LATEST")
    assert config["DestinationConfig"]["OnSuccess"] == {}
    house.lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"n": 1.10}')
    runs = lambda: [
        e for e in house.logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        if e["message"].startswith("START ")
    ]
    group = lambda: house.logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    eventually(group)
    for count, pause in [(1, 60), (2, 120), (3, 0)]:
        eventually(lambda: len(runs()) == count)
        assert pause == 0 or house.objects(bucket) == {}
        time.sleep(0.2)
        house.advance(pause)
    (key, record), = eventually(lambda: house.objects(bucket)).items()
    assert key.startswith(f"aws/lambda/async/{name}/")
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"] == {"n": 1.1}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorMessage"] == "on purpose"


def test_success_is_told_to_another_function(house, unique):
    role = house.role(unique("r"), "lambda:InvokeFunction")
    told, name = unique("told"), unique("f")
    target = house.function(told, LOUD, role)
    house.function(name, "def handler(event, context):\n    return {'hello': 'world'}\n", role)
    house.lambda_.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": target}}
    )
    house.lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=b'["a"]')
    record, = eventually(lambda: house.events(told))
    assert record["version"] == "1.0"
    assert record["requestContext"]["condition"] == "Success"
    assert (record["requestPayload"], record["responsePayload"]) == (["a"], {"hello": "world"})


def test_what_cannot_be_reported_to_is_refused(house, unique):
    role = house.role(unique("r"))
    name = unique("f")
    arn = house.function(name, LOUD, role)
    put = house.lambda_.put_function_event_invoke_config
    destination = lambda arn: {"OnFailure": {"Destination": arn}}
    said = refused("InvalidParameterValueException", put, FunctionName=name)
    assert said == "You must specify at least one of error handling or destination setting."
    said = refused(
        "InvalidParameterValueException", put, FunctionName=name, DestinationConfig=destination(arn)
    )
    assert said == "You can't specify the function as a destination for itself."
    house.s3.create_bucket(Bucket=(bucket := unique("b")))
    said = refused(
        "InvalidParameterValueException", put, FunctionName=name,
        DestinationConfig=destination(f"arn:aws:s3:::{bucket}"),
    )
    assert "does not have permissions to call ListBucket on" in said
    refused("ResourceNotFoundException", house.lambda_.get_function_event_invoke_config, FunctionName=name)
    # Queues are not served yet: that is said, and nothing is lost in silence.
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    refused("NotImplemented", put, FunctionName=name, DestinationConfig=destination(queue))
    update = house.lambda_.update_function_configuration
    refused("NotImplemented", update, FunctionName=name, DeadLetterConfig={"TargetArn": queue})


def test_a_function_that_calls_itself_is_stopped(house, unique):
    """The SDK hands the trace on, as the handler does here; the seventeenth run does not happen."""
    role = house.role(unique("r"), "lambda:InvokeFunction")
    name = unique("f")
    house.function(name, LOUD, role)
    trace = None

    def add(request, **_):
        if trace:
            request.headers.add_header("X-Amzn-Trace-Id", trace)

    client = boto3.client(
        "lambda", endpoint_url=house.endpoint, region_name=REGION,
        aws_access_key_id="test", aws_secret_access_key="test",
    )
    client.meta.events.register("before-sign.lambda.*", add)
    source = "import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n"
    house.lambda_.update_function_code(FunctionName=name, ZipFile=archive(source))
    for run in range(16):
        trace = json.loads(client.invoke(FunctionName=name)["Payload"].read())
        assert trace.endswith(f":{run}"), trace
    refused("RecursiveInvocationException", client.invoke, FunctionName=name)
    house.lambda_.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
    assert house.lambda_.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Allow"
    assert client.invoke(FunctionName=name)["StatusCode"] == 200


# ---------------------------------------------------------------- event source mappings


@pytest.fixture
def mapped(house, unique):
    """mapped(source, **settings) → (function, table, uuid of the mapping)"""
    made = []

    def make(source=LOUD, actions=("dynamodb:*",), **settings):
        function, table = unique("f"), unique("t")
        house.function(function, source, house.role(unique("r"), *actions))
        mapping = house.lambda_.create_event_source_mapping(
            FunctionName=function, EventSourceArn=house.table(table),
            **{"StartingPosition": "TRIM_HORIZON", **settings},
        )
        assert (mapping["State"], mapping["LastProcessingResult"]) == ("Creating", "No records processed")
        made.append(mapping["UUID"])
        house.enabled(mapping["UUID"])
        return function, table, mapping["UUID"]

    yield make
    for uuid in made:
        try:
            house.lambda_.delete_event_source_mapping(UUID=uuid)
        except ClientError:
            pass


def test_records_arrive_in_order_and_once(house, mapped):
    function, table, uuid = mapped(BatchSize=7)
    expected = [(f"i{n % 10}", n) for n in range(100)]
    for id, value in expected:
        house.put(table, id, value)
    eventually(lambda: len(house.changes(function)) >= 100)
    assert house.changes(function) == expected
    batches = [len(event["Records"]) for event in house.events(function)]
    assert max(batches) <= 7
    record = house.events(function)[0]["Records"][0]
    assert (record["eventName"], record["eventSource"]) == ("INSERT", "aws:dynamodb")
    assert f":table/{table}/stream/" in record["eventSourceARN"]
    assert house.lambda_.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] == "OK"


def test_filters_and_the_mappings_own_life(house, mapped):
    pattern = json.dumps({"dynamodb": {"NewImage": {"v": {"N": [{"anything-but": ["1"]}]}}}})
    function, table, uuid = mapped(FilterCriteria={"Filters": [{"Pattern": pattern}]})
    house.put(table, "a", 1)
    house.put(table, "b", 2)
    eventually(lambda: house.changes(function) == [("b", 2)])
    off = house.lambda_.update_event_source_mapping(UUID=uuid, Enabled=False)
    assert off["State"] == "Disabling"
    eventually(lambda: house.lambda_.get_event_source_mapping(UUID=uuid)["State"] == "Disabled")
    house.put(table, "c", 3)
    time.sleep(0.5)
    assert house.changes(function) == [("b", 2)]
    house.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True, FilterCriteria={"Filters": []})
    eventually(lambda: house.changes(function) == [("b", 2), ("c", 3)])
    shown = house.lambda_.get_event_source_mapping(UUID=uuid)
    assert "FilterCriteria" not in shown and shown["FunctionResponseTypes"] == []
    listed = house.lambda_.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    assert [one["UUID"] for one in listed] == [uuid]
    assert house.lambda_.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    eventually(lambda: not house.lambda_.list_event_source_mappings(FunctionName=function)["EventSourceMappings"])
    refused("ResourceNotFoundException", house.lambda_.get_event_source_mapping, UUID=uuid)


def test_a_bad_record_is_found_reported_and_passed_over(house, mapped, unique):
    house.s3.create_bucket(Bucket=(bucket := unique("b")))
    source = (
        "import json\ndef handler(event, context):\n    ids = [r['dynamodb']['Keys']['id']['S'] for r in event['Records']]\n"
        "    if 'bad' in ids:\n        raise Exception('on purpose')\n    print('EVENT ' + json.dumps(event))\n"
    )
    function, table, uuid = mapped(
        source, ("dynamodb:*", "s3:*"), MaximumRetryAttempts=1, BisectBatchOnFunctionError=True,
        MaximumBatchingWindowInSeconds=1,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
    )
    for id in ["a", "b", "bad", "c"]:
        house.put(table, id)
    (key, record), = eventually(lambda: house.objects(bucket)).items()
    assert key.startswith(f"aws/lambda/{uuid}/shardId-")
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["DDBStreamBatchInfo"]["batchSize"] == 1
    assert json.loads(record["payload"])["Records"][0]["dynamodb"]["Keys"] == {"id": {"S": "bad"}}
    eventually(lambda: [id for id, _ in house.changes(function)] == ["a", "b", "c"])


def test_partial_success(house, mapped):
    source = (
        "import json, os\ndef handler(event, context):\n    print('EVENT ' + json.dumps(event))\n"
        "    failed = [r['dynamodb']['SequenceNumber'] for r in event['Records'] if r['dynamodb']['Keys']['id']['S'] == 'bad']\n"
        "    return {'batchItemFailures': [{'itemIdentifier': n} for n in failed]}\n"
    )
    function, table, _ = mapped(
        source, MaximumRetryAttempts=1, MaximumBatchingWindowInSeconds=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    for id in ["a", "bad", "c"]:
        house.put(table, id)
    seen = lambda: [[r["dynamodb"]["Keys"]["id"]["S"] for r in e["Records"]] for e in house.events(function)]
    # Two tries of what begins with the bad record, after the good before it was kept; then the bad one is given up with
    # what came with it.
    eventually(lambda: sum(batch[0] == "bad" for batch in seen()) == 2)
    assert sum("a" in batch for batch in seen()) == 1


def test_what_is_refused(house, mapped, unique):
    function, table, uuid = mapped()
    stream = house.lambda_.get_event_source_mapping(UUID=uuid)["EventSourceArn"]
    create = house.lambda_.create_event_source_mapping
    both = {"FunctionName": function, "EventSourceArn": stream}
    said = refused("ResourceConflictException", create, **both, StartingPosition="LATEST")
    assert said == (
        f'The event source arn (" {stream} ") and function (" {function} ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}"
    )
    said = refused("InvalidParameterValueException", create, **both, StartingPosition="AT_TIMESTAMP")
    assert said == f"Unsupported starting position for arn type: {stream}"
    said = refused("ValidationException", create, **both, StartingPosition="invalid")
    assert said.endswith("enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]")
    said = refused("InvalidParameterValueException", create, FunctionName="nobody")
    assert said == "Unrecognized event source."
    for pattern in ["single-string", '[{"eventName": ["INSERT"=123}]']:
        said = refused(
            "InvalidParameterValueException", create, **both, StartingPosition="LATEST",
            FilterCriteria={"Filters": [{"Pattern": pattern}]},
        )
        assert said == "Invalid filter pattern definition."
    poor = unique("poor")
    house.function(poor, LOUD, house.role(unique("r")))
    said = refused(
        "InvalidParameterValueException", create, FunctionName=poor, EventSourceArn=stream, StartingPosition="LATEST"
    )
    assert said.startswith(f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords")


def test_no_change_is_lost_when_the_server_is_killed(unique):
    """Killed again and again while items are written: every change arrives, and each item's in order."""
    server = Server()
    try:
        house = House(server.start().endpoint)
        loud, failing, table, bucket = unique("loud"), unique("failing"), unique("t"), unique("b")
        role = house.role(unique("r"), "dynamodb:*", "s3:*")
        house.function(loud, LOUD, role)
        house.function(failing, FAILING, role)
        house.s3.create_bucket(Bucket=bucket)
        both = {"EventSourceArn": house.table(table), "StartingPosition": "TRIM_HORIZON", "BatchSize": 5}
        create = house.lambda_.create_event_source_mapping
        house.enabled(create(**both, FunctionName=loud, ParallelizationFactor=3)["UUID"])
        # What this one is given lies in the bucket, which forgets nothing: the log's last lines may die with the server.
        create(
            **both, FunctionName=failing, MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
        )
        written = []
        for round in range(6):
            for n in range(20):
                item = (f"i{n % 7}", len(written))
                house.put(table, *item)
                written.append(item)
            time.sleep(0.05 * round)
            server.kill()
            server.start()

        def kept():
            found = set()
            for record in house.objects(bucket).values():
                for change in json.loads(record["payload"])["Records"]:
                    image = change["dynamodb"]["NewImage"]
                    found.add((image["id"]["S"], int(image["v"]["N"])))
            return found

        eventually(lambda: kept() == set(written), 60)
        eventually(lambda: set(written[-20:]) <= set(house.changes(loud)), 60)
        seen = house.changes(loud)
        assert set(seen) <= set(written)
        for n in range(7):
            values = [value for id, value in seen if id == f"i{n}"]
            first = sorted(set(values), key=values.index)
            assert first == sorted(first), f"item {n} out of order: {values}"
    finally:
        server.remove()


def test_no_event_is_lost_when_the_server_is_killed(unique):
    server = Server()
    try:
        house = House(server.start().endpoint)
        name, bucket = unique("f"), unique("b")
        house.function(name, FAILING, house.role(unique("r"), "s3:*"))
        house.s3.create_bucket(Bucket=bucket)
        house.lambda_.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
        )
        accepted = []
        for round in range(6):
            for _ in range(15):
                house.lambda_.invoke(
                    FunctionName=name, InvocationType="Event", Payload=json.dumps({"n": len(accepted)})
                )
                accepted.append(len(accepted))
            time.sleep(0.05 * round)
            server.kill()
            server.start()
        told = lambda: [record["requestPayload"]["n"] for record in house.objects(bucket).values()]
        eventually(lambda: set(told()) == set(accepted), 60)
    finally:
        server.remove()


# ---------------------------------------------------------------- deployed

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Batch: {Type: Number, Default: 5}
Resources:
  Items:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  Told:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: index.handler, CodeUri: code/}
  Reader:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      CodeUri: code/
      Policies: [AmazonDynamoDBFullAccess]
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        MaximumEventAgeInSeconds: 120
        DestinationConfig:
          OnSuccess: {Type: Lambda, Destination: !GetAtt Told.Arn}
      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Items.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: !Ref Batch
            FilterCriteria: {Filters: [{Pattern: '{"eventName": ["INSERT"]}'}]}
Outputs:
  Items: {Value: !Ref Items}
  Reader: {Value: !Ref Reader}
  Told: {Value: !Ref Told}
"""


@needs("sam")
def test_a_stack_of_sams(house, unique, environment, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "index.py").write_text(LOUD)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    stack = unique("stack")

    def sam(*arguments):
        own = {**environment, "AWS_ENDPOINT_URL": house.endpoint}
        done = subprocess.run(["sam", *arguments], env=own, cwd=tmp_path, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    deploy = ["deploy", "--stack-name", stack, "--capabilities", "CAPABILITY_IAM", "--resolve-s3",
              "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--template", "template.yaml"]
    sam(*deploy)
    described = house.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}
    mapping, = house.lambda_.list_event_source_mappings(FunctionName=outputs["Reader"])["EventSourceMappings"]
    assert mapping["BatchSize"] == 5
    house.enabled(mapping["UUID"])
    house.put(outputs["Items"], "a", 1)
    house.put(outputs["Items"], "a", 2)
    house.put(outputs["Items"], "b", 1)
    eventually(lambda: house.changes(outputs["Reader"]) == [("a", 1), ("b", 1)])
    config = house.lambda_.get_function_event_invoke_config(FunctionName=outputs["Reader"])
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (1, 120)
    house.lambda_.invoke(FunctionName=outputs["Reader"], InvocationType="Event", Payload=b'{"x": 1}')
    record, = eventually(lambda: house.events(outputs["Told"]))
    assert record["requestPayload"] == {"x": 1}
    sam(*deploy, "--parameter-overrides", "Batch=9")
    changed = house.lambda_.get_event_source_mapping(UUID=mapping["UUID"])
    assert changed["BatchSize"] == 9
    sam("delete", "--stack-name", stack, "--no-prompts")
    eventually(lambda: not house.lambda_.list_event_source_mappings()["EventSourceMappings"] or all(
        one["UUID"] != mapping["UUID"] for one in house.lambda_.list_event_source_mappings()["EventSourceMappings"]
    ))
