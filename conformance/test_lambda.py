"""Lambda through boto3: functions that really run."""

import base64
import io
import json
import time
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
ECHO = "def handler(event, context):\n    return event\n"
NODE_ECHO = "exports.handler = async (event) => event;\n"


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, text in files.items():
            mode = 0o755 if name == "bootstrap" else 0o644
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100000 | mode) << 16
            out.writestr(info, text)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def role(client):
    """A role with the basic execution policy: logs, and nothing else."""
    iam = client("iam")
    name = f"lambda-role-{time.time_ns()}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.attach_role_policy(
        RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )
    return arn


@pytest.fixture(scope="module")
def lambda_(client):
    return client("lambda")


@pytest.fixture
def make(lambda_, role, unique):
    """make("def handler...") → the name of a new function."""
    made = []

    def create(source=ECHO, runtime="python3.12", files=None, handler="index.handler", **more):
        name = unique("f")
        extension = "js" if runtime.startswith("nodejs") else "py"
        files = files or {f"index.{extension}": source}
        lambda_.create_function(
            FunctionName=name, Runtime=runtime, Role=more.pop("Role", role), Handler=handler,
            Code={"ZipFile": archive(files)}, **more,
        )
        made.append(name)
        return name

    yield create
    for name in made:
        try:
            lambda_.delete_function(FunctionName=name)
        except ClientError:
            pass


@pytest.fixture
def call(lambda_):
    """call(name, event) → the decoded result; the function must not fail."""

    def run(name, event=None, **more):
        answer = lambda_.invoke(FunctionName=name, Payload=json.dumps(event), **more)
        payload = answer["Payload"].read()
        assert "FunctionError" not in answer, payload
        return json.loads(payload)

    return run


def refused(code, action, **arguments):
    with pytest.raises(ClientError) as caught:
        action(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response["Error"]["Message"]


def eventually(check, seconds=10):
    end = time.time() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.time() < end, "it did not come"
        time.sleep(0.1)


# ---------------------------------------------------------------- running


@pytest.mark.parametrize("runtime,source", [("python3.12", ECHO), ("nodejs22.x", NODE_ECHO)])
def test_a_function_answers_what_it_got(make, call, runtime, source):
    name = make(source, runtime)
    for event in [None, 1, "text", [1, {"a": "ü"}], {"nested": {"list": [True, None, 1.5]}}]:
        assert call(name, event) == event


def test_no_payload_is_an_empty_event(make, lambda_):
    name = make()
    assert lambda_.invoke(FunctionName=name)["Payload"].read() == b"{}"


def test_answer_has_status_version_and_log(make, lambda_):
    name = make("def handler(event, context):\n    print('seen', event)\n")
    answer = lambda_.invoke(FunctionName=name, Payload=b'"x"', LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert answer["Payload"].read() == b"null"
    log = base64.b64decode(answer["LogResult"]).decode()
    lines = log.splitlines()
    request = answer["ResponseMetadata"]["RequestId"]
    assert lines[0] == f"START RequestId: {request} Version: $LATEST"
    assert lines[1] == "seen x"
    assert lines[2] == f"END RequestId: {request}"
    assert lines[3].startswith(f"REPORT RequestId: {request}\tDuration: ")


def test_context_of_python(make, call, lambda_):
    name = make(
        "def handler(event, context):\n"
        "    return {n: getattr(context, n) for n in ('function_name', 'function_version', 'invoked_function_arn',\n"
        "        'memory_limit_in_mb', 'log_group_name', 'log_stream_name', 'aws_request_id')} | {\n"
        "        'left': context.get_remaining_time_in_millis(), 'custom': context.client_context.custom}\n",
        MemorySize=192, Timeout=9,
    )
    context = base64.b64encode(json.dumps({"custom": {"a": "b"}}).encode()).decode()
    got = call(name, {}, ClientContext=context)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert got["function_name"] == name and got["invoked_function_arn"] == arn
    assert got["memory_limit_in_mb"] == "192" and 0 < got["left"] <= 9000
    assert got["log_group_name"] == f"/aws/lambda/{name}" and "[$LATEST]" in got["log_stream_name"]
    assert got["custom"] == {"a": "b"}


def test_environment_and_credentials_are_the_role_s(make, call, role, server):
    name = make(
        "import os\ndef handler(event, context):\n    return {n: os.environ.get(n) for n in event}\n",
        Environment={"Variables": {"STAGE": "test"}},
    )
    names = ["STAGE", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "_HANDLER", "AWS_EXECUTION_ENV", "TZ", "AWS_ENDPOINT_URL"]
    got = call(name, names)
    assert got["STAGE"] == "test" and got["AWS_REGION"] == "us-east-1"
    assert got["AWS_LAMBDA_FUNCTION_NAME"] == name and got["_HANDLER"] == "index.handler"
    assert got["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.12" and got["TZ"] == ":UTC"
    assert got["AWS_ENDPOINT_URL"] in server.endpoints


def test_a_function_may_do_what_its_role_may(make, call, client, unique):
    iam, dynamodb = client("iam"), client("dynamodb")
    role_name, table = unique("reader"), unique("table")
    role = iam.create_role(RoleName=role_name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=role_name, PolicyArn="arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess")
    dynamodb.create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    dynamodb.put_item(TableName=table, Item={"id": {"S": "1"}})
    source = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    table = boto3.resource('dynamodb').Table(event['table'])\n"
        "    try:\n"
        "        if event.get('write'): table.put_item(Item={'id': '2'})\n"
        "        return table.get_item(Key={'id': '1'})['Item']\n"
        "    except Exception as error:\n"
        "        return str(error)\n"
    )
    name = make(source, "python3.11", Role=role, Timeout=20, MemorySize=512)
    assert call(name, {"table": table}) == {"id": "1"}
    denied = call(name, {"table": table, "write": True})
    assert "AccessDeniedException" in denied and "dynamodb:PutItem" in denied


def test_errors_are_the_function_s(make, lambda_):
    name = make("def handler(event, context):\n    raise ValueError('no ' + event)\n")
    answer = lambda_.invoke(FunctionName=name, Payload=b'"good"')
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "ValueError" and error["errorMessage"] == "no good"
    assert error["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert error["stackTrace"] == ["  File \"/var/task/index.py\", line 2, in handler\n    raise ValueError('no ' + event)\n"]


def test_timeout_and_exit(make, lambda_, call):
    name = make("import os, time\ndef handler(event, context):\n    time.sleep(event) if event else os._exit(7)\n", Timeout=1)
    error = json.loads(lambda_.invoke(FunctionName=name, Payload=b"30")["Payload"].read())
    assert error["errorType"] == "Sandbox.Timedout" and error["errorMessage"].endswith("Task timed out after 1.00 seconds")
    error = json.loads(lambda_.invoke(FunctionName=name, Payload=b"0")["Payload"].read())
    assert error["errorType"] == "Runtime.ExitError" and error["errorMessage"].endswith("exit status 7")
    assert call(name, 0.01) is None


def test_instances_are_used_again_and_keep_tmp(make, call):
    name = make(
        "import os\ncount = 0\ndef handler(event, context):\n    global count\n    count += 1\n"
        "    open('/tmp/log', 'a').write('x')\n    return [count, os.path.getsize('/tmp/log')]\n"
    )
    assert [call(name) for _ in range(3)] == [[1, 1], [2, 2], [3, 3]]


def test_a_custom_runtime(make, call):
    bootstrap = (
        "#!/bin/sh\nset -eu\n"
        "API=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation\n"
        "while true; do\n"
        "  HEADERS=$(mktemp)\n"
        '  EVENT=$(curl -sS -D "$HEADERS" "$API/next")\n'
        "  ID=$(grep -i lambda-runtime-aws-request-id \"$HEADERS\" | tr -d '[:space:]' | cut -d: -f2)\n"
        '  curl -sS -X POST "$API/$ID/response" -d "{\\"got\\": $EVENT}" > /dev/null\n'
        "done\n"
    )
    name = make(runtime="provided.al2023", files={"bootstrap": bootstrap}, handler="none", Timeout=10)
    assert call(name, [1]) == {"got": [1]}
    assert call(name, "two") == {"got": "two"}


def test_requests_that_are_no_good(make, lambda_):
    name = make()
    message = refused("InvalidRequestContentException", lambda_.invoke, FunctionName=name, Payload=b"\x99\xeb")
    assert message.startswith(
        "Could not parse request body into json: Could not parse payload into json: Unexpected character "
        "((CTRL-CHAR, code 153)): expected a valid value"
    )
    message = refused("ResourceNotFoundException", lambda_.invoke, FunctionName="nothing-here")
    assert message == "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nothing-here:$LATEST"
    big = json.dumps("x" * 6_291_456).encode()
    message = refused("RequestTooLargeException", lambda_.invoke, FunctionName=name, Payload=big)
    assert message == "6291458 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)"


def test_dry_run(make, lambda_):
    name = make("def handler(event, context):\n    raise Exception('it ran')\n")
    assert lambda_.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_responses_up_to_six_megabytes(make, lambda_, call):
    name = make("def handler(event, context):\n    return 'x' * event\n", MemorySize=512, Timeout=20)
    assert len(call(name, 6_000_000)) == 6_000_000
    answer = lambda_.invoke(FunctionName=name, Payload=b"7000000")
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read()) == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


# ---------------------------------------------------------------- log


def messages(client, name):
    logs = client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except ClientError:
        return []
    return [event["message"] for event in events]


def test_the_log_is_in_cloudwatch(make, call, client):
    name = make(
        "import logging\nlogging.getLogger().setLevel('INFO')\n"
        "def handler(event, context):\n    print('printed')\n    logging.info('logged')\n"
    )
    call(name)
    found = eventually(lambda: [m for m in messages(client, name) if m.startswith("REPORT")] and messages(client, name))
    assert found[0].startswith("INIT_START Runtime Version: python:")
    start = next(i for i, m in enumerate(found) if m.startswith("START RequestId: "))
    assert found[start + 1] == "printed\n"
    assert found[start + 2].startswith("[INFO]\t") and found[start + 2].endswith("\tlogged\n")
    assert found[start + 3].startswith("END RequestId: ")


def test_a_role_without_logs_has_no_log(make, call, client, unique):
    iam = client("iam")
    role = iam.create_role(RoleName=unique("mute"), AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    name = make("def handler(event, context):\n    print('unheard')\n", Role=role)
    call(name)
    time.sleep(0.5)
    assert messages(client, name) == []


# ---------------------------------------------------------------- events


def test_events_are_handled(make, lambda_, client):
    name = make("def handler(event, context):\n    print('event', event, context.aws_request_id)\n")
    answer = lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=b'"e1"')
    assert answer["StatusCode"] == 202 and answer["Payload"].read() == b""
    request = answer["ResponseMetadata"]["RequestId"]
    eventually(lambda: f"event e1 {request}\n" in messages(client, name))


# ---------------------------------------------------------------- versions and aliases


def test_versions_are_immutable(make, lambda_, call):
    name = make("def handler(event, context):\n    return 1\n")
    first = lambda_.publish_version(FunctionName=name)
    assert first["Version"] == "1" and first["FunctionArn"].endswith(f":{name}:1")
    assert lambda_.publish_version(FunctionName=name)["Version"] == "1", "nothing has changed"
    lambda_.update_function_code(FunctionName=name, ZipFile=archive({"index.py": "def handler(e, c):\n    return 2\n"}))
    assert call(name) == 2 and call(name, Qualifier="1") == 1
    second = lambda_.publish_version(FunctionName=name)
    assert second["Version"] == "2" and second["CodeSha256"] != first["CodeSha256"]
    answer = lambda_.invoke(FunctionName=f"{name}:1")
    assert answer["ExecutedVersion"] == "1"
    versions = lambda_.list_versions_by_function(FunctionName=name)["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "1", "2"]


def test_aliases_move_and_weigh(make, lambda_, call):
    name = make("def handler(event, context):\n    return 1\n")
    lambda_.publish_version(FunctionName=name)
    lambda_.update_function_code(FunctionName=name, ZipFile=archive({"index.py": "def handler(e, c):\n    return 2\n"}))
    lambda_.publish_version(FunctionName=name)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert call(name, Qualifier="live") == 1
    lambda_.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert call(name, Qualifier="live") == 2
    lambda_.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}})
    results = {call(name, Qualifier="live") for _ in range(40)}
    assert results == {1, 2}
    arn = lambda_.get_alias(FunctionName=name, Name="live")["AliasArn"]
    assert call(arn) in (1, 2)


def test_the_function_sees_the_arn_it_was_called_by(make, lambda_, call):
    name = make("def handler(event, context):\n    return context.invoked_function_arn\n")
    lambda_.publish_version(FunctionName=name)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert call(name) == arn
    assert call(name, Qualifier="live") == f"{arn}:live"
    assert call(name, Qualifier="1") == f"{arn}:1"


def test_new_code_and_configuration_count_at_once(make, lambda_, call):
    name = make("import os\ndef handler(event, context):\n    return os.environ.get('STAGE')\n")
    assert call(name) is None
    for value in ["1", "2", "3"]:
        lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {"STAGE": value}})
        assert call(name) == value


# ---------------------------------------------------------------- concurrency


def test_reserved_concurrency_holds(make, lambda_):
    name = make("import time\ndef handler(event, context):\n    time.sleep(event)\n", Timeout=10)
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        lambda_.invoke(FunctionName=name, Payload=b"0")
    answer = caught.value.response
    assert answer["Error"]["Code"] == "TooManyRequestsException" and answer["Error"]["Message"] == "Rate Exceeded."
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    lambda_.delete_function_concurrency(FunctionName=name)
    assert lambda_.invoke(FunctionName=name, Payload=b"0")["StatusCode"] == 200


def test_many_at_once(make, client):
    from concurrent.futures import ThreadPoolExecutor

    name = make("import time\ndef handler(event, context):\n    time.sleep(0.2)\n    return event\n", Timeout=30)
    lambda_ = client("lambda")
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(lambda n: lambda_.invoke(FunctionName=name, Payload=str(n))["Payload"].read(), range(20))
        assert [int(a) for a in answers] == list(range(20))


# ---------------------------------------------------------------- code


def test_code_from_s3_and_back(lambda_, role, client, unique, call, make):
    s3, bucket, name = client("s3"), unique("code"), unique("f")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="f.zip", Body=archive({"index.py": ECHO}))
    made = lambda_.create_function(
        FunctionName=name, Runtime="python3.12", Role=role, Handler="index.handler",
        Code={"S3Bucket": bucket, "S3Key": "f.zip"},
    )
    assert call(name, 5) == 5
    location = lambda_.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location) as package:
        assert zipfile.ZipFile(io.BytesIO(package.read())).namelist() == ["index.py"]
    assert made["CodeSize"] > 0 and len(base64.b64decode(made["CodeSha256"])) == 32
    lambda_.delete_function(FunctionName=name)
    message = refused(
        "InvalidParameterValueException", lambda_.create_function, FunctionName=name, Runtime="python3.12",
        Role=role, Handler="i.h", Code={"S3Bucket": bucket, "S3Key": "missing.zip"},
    )
    assert message == (
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
    )


def test_archives_that_would_leave_their_folder(lambda_, role, unique):
    for name in ["../evil.py", "/etc/evil.py"]:
        message = refused(
            "InvalidParameterValueException", lambda_.create_function, FunctionName=unique("f"), Role=role,
            Runtime="python3.12", Handler="index.handler", Code={"ZipFile": archive({name: "x", "index.py": ECHO})},
        )
        assert message == "Could not unzip uploaded file. Please check your file, then try to upload again."


def test_a_role_that_lambda_cannot_assume(lambda_, client, unique):
    iam = client("iam")
    trust = json.dumps(TRUST).replace("lambda.amazonaws.com", "ec2.amazonaws.com")
    arn = iam.create_role(RoleName=unique("no"), AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    message = refused(
        "InvalidParameterValueException", lambda_.create_function, FunctionName=unique("f"), Role=arn,
        Runtime="python3.12", Handler="index.handler", Code={"ZipFile": archive({"index.py": ECHO})},
    )
    assert message == "The role defined for the function cannot be assumed by Lambda."


# ---------------------------------------------------------------- permissions


def test_another_account_needs_the_function_s_policy(make, lambda_, client):
    name = make()
    arn = lambda_.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    other = client("lambda", keys=("111122223333", "test", None))
    message = refused("AccessDeniedException", other.invoke, FunctionName=arn)
    assert "lambda:InvokeFunction" in message
    lambda_.add_permission(FunctionName=name, StatementId="other", Action="lambda:InvokeFunction", Principal="111122223333")
    assert other.invoke(FunctionName=arn, Payload=b"3")["Payload"].read() == b"3"
    lambda_.remove_permission(FunctionName=name, StatementId="other")
    refused("AccessDeniedException", other.invoke, FunctionName=arn)
