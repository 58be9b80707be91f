"""CloudWatch Logs through boto3 and the AWS CLI."""

import json
import shutil
import subprocess
import threading
import time

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION
from test_iam import allow, iam, keys, user  # noqa: F401 (fixtures)
from test_lambda import lambda_, make, role  # noqa: F401 (fixtures)


@pytest.fixture
def logs(client):
    return client("logs")


@pytest.fixture
def group(logs, unique):
    name = unique("/conformance/group")
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


@pytest.fixture
def stream(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="stream")
    return "stream"


def now():
    return int(time.time() * 1000)


def put(logs, group, stream, *messages, at=None):
    at = at or now()
    events = [{"timestamp": at + index, "message": message} for index, message in enumerate(messages)]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def refused(code, call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error.value.response["Error"]["Message"]


def test_a_group_as_aws_shows_it(logs, unique):
    name = unique("group")
    logs.create_log_group(logGroupName=name, tags={"env": "testing"})
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"
    assert found[0].pop("creationTime") > 0
    assert found == [
        {
            "arn": f"{arn}:*",
            "deletionProtectionEnabled": False,
            "logGroupArn": arn,
            "logGroupClass": "STANDARD",
            "logGroupName": name,
            "metricFilterCount": 0,
            "storedBytes": 0,
        }
    ]
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"env": "testing"}
    assert logs.list_tags_log_group(logGroupName=name)["tags"] == {"env": "testing"}
    logs.put_retention_policy(logGroupName=name, retentionInDays=7)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"] == 7
    logs.delete_log_group(logGroupName=name)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []


def test_errors_in_aws_words(logs, group, stream):
    said = refused("ResourceAlreadyExistsException", logs.create_log_group, logGroupName=group)
    assert said == "The specified log group already exists"
    said = refused("ResourceNotFoundException", logs.describe_log_streams, logGroupName="none")
    assert said == "The specified log group does not exist."
    said = refused(
        "ResourceNotFoundException",
        logs.put_log_events,
        logGroupName=group,
        logStreamName="none",
        logEvents=[{"timestamp": now(), "message": "test"}],
    )
    assert said == "The specified log stream does not exist."
    disordered = [{"message": "0", "timestamp": now()}, {"message": "1", "timestamp": now() - 60_000}]
    said = refused(
        "InvalidParameterException", logs.put_log_events, logGroupName=group, logStreamName=stream, logEvents=disordered
    )
    assert said == "Log events in a single PutLogEvents request must be in chronological order."
    said = refused("InvalidParameterException", logs.create_log_group, logGroupName="x" * 513)
    assert said == "Invalid LogGroup or LogStream, both must have length less than or equal to 512."
    said = refused("InvalidParameterException", logs.filter_log_events, logGroupName=group, nextToken="invalid-token")
    assert said == "The specified nextToken is invalid."


def test_events_come_back(logs, group, stream):
    answer = put(logs, group, stream, "🙀 - 参よ - 日本語", "world")
    assert answer["nextSequenceToken"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["🙀 - 参よ - 日本語", "world"]
    answer = put(logs, group, stream, "old", at=now() - 30 * 86_400_000)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}


def test_ten_thousand_events_page_by_page(logs, group, stream):
    at = now() - 20_000
    put(logs, group, stream, *(f"message number {number}" for number in range(10_000)), at=at)
    token, seen = {}, []
    while True:
        page = logs.get_log_events(
            logGroupName=group, logStreamName=stream, limit=4000, startFromHead=True, **token
        )
        seen += [event["message"] for event in page["events"]]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert seen == [f"message number {number}" for number in range(10_000)]
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern='"number 99"', PaginationConfig={"PageSize": 50}
    )
    found = [event["message"] for page in pages for event in page["events"]]
    assert found == [text for text in seen if "number 99" in text] and len(found) == 111


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("hello", ["hello world", "hello cruel"]),
        ("?goodbye ?cruel", ["goodbye world", "hello cruel"]),
        ('"hello cruel"', ["hello cruel"]),
        ("-hello -json", ["goodbye world"]),
        ('{ $.kind = "json" && $.code != 200 }', ['{"kind": "json", "code": 404}']),
        ("[first, second = world]", ["hello world", "goodbye world"]),
    ],
)
def test_filter_patterns(logs, group, stream, pattern, expected):
    put(logs, group, stream, "hello world", "goodbye world", "hello cruel", '{"kind": "json", "code": 404}')
    found = logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
    assert [event["message"] for event in found] == expected


def test_following_a_group(logs, group, stream):
    """What `aws logs tail --follow` does: the same question again, from the last event on."""
    put(logs, group, stream, "first", at=now() - 1000)
    seen, since = set(), now() - 60_000
    for expected in (["first"], [], ["second"], ["third"]):
        if expected and expected != ["first"]:
            put(logs, group, stream, *expected)
        events = logs.filter_log_events(logGroupName=group, interleaved=True, startTime=since)["events"]
        assert [event["message"] for event in events if event["eventId"] not in seen] == expected
        seen |= {event["eventId"] for event in events}
        since = max(event["timestamp"] for event in events)


def is_cli_2():
    return "aws-cli/2" in subprocess.run(["aws", "--version"], capture_output=True, text=True).stdout


@pytest.mark.skipif(shutil.which("aws") is None or not is_cli_2(), reason="only AWS CLI 2 has `logs tail`")
def test_the_cli_tails(aws, environment, logs, group, stream):
    put(logs, group, stream, "first line", at=now() - 1000)
    assert "first line" in aws("logs", "tail", group, "--format", "short")
    command = ["aws", "logs", "tail", group, "--follow", "--format", "short", "--since", "1m"]
    tail = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    killer = threading.Timer(60, tail.kill)
    killer.start()
    try:
        assert "first line" in tail.stdout.readline()
        put(logs, group, stream, "second line")
        assert "second line" in tail.stdout.readline()
    finally:
        killer.cancel()
        tail.kill()
        tail.wait()


def test_a_function_role_may_write_its_own_logs_only(client, iam, keys, user, group, stream):  # noqa: F811
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*"
    document = json.dumps(allow(["logs:CreateLogStream", "logs:PutLogEvents"], arn))
    iam.put_user_policy(UserName=user, PolicyName="logs", PolicyDocument=document)
    own = client("logs", keys=keys)
    own.create_log_stream(logGroupName=group, logStreamName="own")
    put(own, group, "own", "mine")
    said = refused("AccessDeniedException", own.get_log_events, logGroupName=group, logStreamName="own")
    assert "is not authorized to perform: logs:GetLogEvents on resource:" in said
    said = refused("AccessDeniedException", own.create_log_group, logGroupName="another")
    assert f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:another" in said


def test_a_stack_with_logs(client, logs, unique):
    name = unique("stack")
    template = {
        "Resources": {
            "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 731}},
            "Stream": {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": "Group"}}},
        },
        "Outputs": {
            "Arn": {"Value": {"Fn::GetAtt": ["Group", "Arn"]}},
            "Group": {"Value": {"Ref": "Group"}},
            "Stream": {"Value": {"Ref": "Stream"}},
        },
    }
    stacks = client("cloudformation")
    stacks.create_stack(StackName=name, TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    outputs = stacks.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    found = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    assert found["Arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{found['Group']}:*"
    assert logs.describe_log_groups(logGroupNamePrefix=found["Group"])["logGroups"][0]["retentionInDays"] == 731
    streams = logs.describe_log_streams(logGroupName=found["Group"])["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == [found["Stream"]]
    stacks.delete_stack(StackName=name)
    stacks.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert logs.describe_log_groups(logGroupNamePrefix=found["Group"])["logGroups"] == []


def query(logs, text, **more):
    at = int(time.time())
    query_id = logs.start_query(startTime=at - 600, endTime=at + 600, queryString=text, **more)["queryId"]
    for _ in range(100):
        answer = logs.get_query_results(queryId=query_id)
        if answer["status"] not in ("Scheduled", "Running"):
            return answer
        time.sleep(0.05)
    raise AssertionError(answer)


def rows(answer):
    return [{cell["field"]: cell["value"] for cell in row} for row in answer["results"]]


def test_insights(logs, group, stream):
    messages = [json.dumps({"user": f"u{number % 3}", "ms": number}) for number in range(30)]
    put(logs, group, stream, *messages, at=now() - 1000)
    found = rows(query(logs, "fields @timestamp, @message | sort @timestamp desc | limit 2", logGroupName=group))
    assert [row["@message"] for row in found] == [messages[29], messages[28]]
    assert logs.get_log_record(logRecordPointer=found[0]["@ptr"])["logRecord"]["user"] == "u2"
    answer = query(
        logs, "filter ms >= 3 | stats count(*) as calls, avg(ms), max(ms) by user | sort user", logGroupNames=[group]
    )
    assert rows(answer) == [
        {"user": f"u{number}", "calls": "9", "avg(ms)": f"{15 + number}", "max(ms)": f"{27 + number}"}
        for number in range(3)
    ]
    assert answer["statistics"]["recordsScanned"] == 30 and answer["statistics"]["recordsMatched"] == 27
    with pytest.raises(ClientError) as error:
        query(logs, "fields @message | filter = 1", logGroupName=group)
    assert error.value.response["Error"]["Code"] == "MalformedQueryException"
    assert error.value.response["queryCompileError"]["location"]["startCharOffset"] == 25


SUBSCRIBER = """
import base64, gzip, json
def handler(event, context):
    print("got " + gzip.decompress(base64.b64decode(event["awslogs"]["data"])).decode())
"""


def test_a_function_gets_what_comes_in(client, logs, make, lambda_, unique):  # noqa: F811
    # Groups of its own: a function that wrote into the group it is subscribed to would never end.
    group = unique("source")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    function = make(SUBSCRIBER)
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
    arguments = {"logGroupName": group, "filterName": "errors", "filterPattern": "ERROR", "destinationArn": arn}
    said = refused("InvalidParameterException", logs.put_subscription_filter, **arguments)
    assert said.startswith("Could not execute the lambda function.")
    lambda_.add_permission(
        FunctionName=function,
        StatementId="logs",
        Action="lambda:InvokeFunction",
        Principal=f"logs.{REGION}.amazonaws.com",
        SourceArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*",
        SourceAccount=ACCOUNT,
    )
    logs.put_subscription_filter(**arguments)
    put(logs, group, "s", "ERROR one", "INFO two")
    for _ in range(150):
        time.sleep(0.2)
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern="got")["events"]
        except logs.exceptions.ResourceNotFoundException:
            continue
        if found:
            break
    data = json.loads(found[0]["message"].removeprefix("got "))
    assert data["messageType"] == "DATA_MESSAGE" and data["subscriptionFilters"] == ["errors"]
    assert [event["message"] for event in data["logEvents"]] == ["ERROR one"]
    logs.delete_log_group(logGroupName=group)


def test_what_is_not_served_says_so(logs, group):
    with pytest.raises(ClientError) as error:
        logs.put_metric_filter(
            logGroupName=group,
            filterName="f",
            filterPattern="",
            metricTransformations=[{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
        )
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
