"""Lambda's layers, function URLs and streamed responses through boto3 and plain HTTP: functions that really run."""

import base64
import http.client
import json
import time
import urllib.parse

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from conftest import REGION
from test_lambda import archive, call, eventually, lambda_, make, refused, role  # noqa: F401  (fixtures)

STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
    if (event.requestContext) {
        stream = awslambda.HttpResponseStream.from(stream, { statusCode: 203, headers: { 'x-own': 'yes' } });
    }
    stream.write('one,');
    await new Promise((resolve) => setTimeout(resolve, 300));
    stream.write('two');
    stream.end();
});
"""


def layer(lambda_, unique, files):
    content = {"ZipFile": archive(files)}
    return lambda_.publish_layer_version(LayerName=unique("layer"), Content=content)["LayerVersionArn"]


def test_layers_are_one_tree_in_order(make, lambda_, unique, call):
    first = layer(lambda_, unique, {"python/shared.py": "name = 'first'", "data/both": "1", "data/one": "1"})
    second = layer(lambda_, unique, {"python/shared.py": "name = 'second'", "data/both": "2"})
    source = (
        "import os, shared\n"
        "def handler(event, context):\n"
        "    both, one = open('/opt/data/both').read(), open('/opt/data/one').read()\n"
        "    return [shared.name, both, one, '/opt/bin' in os.environ['PATH']]\n"
    )
    name = make(source, Layers=[first, second])
    assert call(name) == ["second", "2", "1", True]
    lambda_.update_function_configuration(FunctionName=name, Layers=[first])
    lambda_.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert call(name) == ["first", "1", "1", True]
    # What is deleted stays with those who have it.
    arn, version = first.rsplit(":", 1)
    lambda_.delete_layer_version(LayerName=arn, VersionNumber=int(version))
    lambda_.update_function_configuration(FunctionName=name, Timeout=7)
    assert call(name) == ["first", "1", "1", True]


def test_layers_of_nodejs(make, lambda_, unique, call):
    arn = layer(lambda_, unique, {"nodejs/node_modules/shared/index.js": "module.exports = 'from the layer';"})
    source = "const shared = require('shared');\nexports.handler = async () => shared;\n"
    assert call(make(source, "nodejs22.x", Layers=[arn])) == "from the layer"


def test_a_layer_that_would_leave_its_folder(lambda_, unique):
    content = {"ZipFile": archive({"../outside": "x"})}
    refused("InvalidParameterValueException", lambda_.publish_layer_version, LayerName=unique(), Content=content)


# ---------------------------------------------------------------- URLs


def open_url(lambda_, name, **more):
    url = lambda_.create_function_url_config(FunctionName=name, AuthType="NONE", **more)["FunctionUrl"]
    for statement, action, extra in [
        ("url", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("function", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ]:
        lambda_.add_permission(
            FunctionName=name, StatementId=statement, Action=action, Principal="*", **extra
        )
    return url


def send(url, method="GET", body=None, headers=None, host=None):
    """→ status, headers, body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(host or parts.netloc, timeout=30)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    own = {"Host": parts.netloc} if host else {}
    connection.request(method, path, body, {**own, **(headers or {})})
    answer = connection.getresponse()
    return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()


def test_a_url_calls_its_function(make, lambda_):
    name = make()
    url = open_url(lambda_, name)
    status, headers, body = send(url + "a/b?x=1", "POST", b'{"n": 1}', {"Content-Type": "application/json"})
    event = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert (event["rawPath"], event["rawQueryString"], event["body"]) == ("/a/b", "x=1", '{"n": 1}')
    assert event["requestContext"]["http"]["method"] == "POST"
    # By its own host, as on AWS.
    url_id = event["requestContext"]["apiId"]
    own = f"http://{url_id}.lambda-url.{REGION}.on.aws/here"
    status, _, body = send(own, host=urllib.parse.urlsplit(url).netloc)
    assert (status, json.loads(body)["rawPath"]) == (200, "/here")
    assert json.loads(body)["requestContext"]["domainName"] == f"{url_id}.lambda-url.{REGION}.on.aws"


def test_urls_are_closed_until_opened(make, lambda_):
    name = make()
    url = lambda_.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    status, headers, body = send(url)
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert b"troubleshooting Function URL" in body


def test_signed_urls(make, lambda_):
    name = make()
    url = lambda_.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
    assert send(url)[0] == 403

    def signed(secret):
        session = boto3.Session("test", secret, region_name=REGION)
        request = AWSRequest("POST", url, data=b"hello", headers={"Content-Type": "text/plain"})
        SigV4Auth(session.get_credentials(), "lambda", REGION).add_auth(request)
        return send(url, "POST", b"hello", dict(request.headers))

    status, _, body = signed("test")
    assert (status, json.loads(body)["body"]) == (200, "hello")
    assert json.loads(body)["requestContext"]["authorizer"]["iam"]["userArn"].endswith(":root")
    assert signed("wrong")[0] == 403


def test_responses_of_a_url(make, lambda_):
    source = """
import base64
def handler(event, context):
    if event["rawPath"] == "/fail":
        raise ValueError("no")
    if event["rawPath"] == "/binary":
        body = base64.b64encode(bytes([0, 255])).decode()
        return {"statusCode": 200, "body": body, "isBase64Encoded": True,
                "headers": {"Content-Type": "image/x"}, "cookies": ["a=1", "b=2"]}
    return "just text"
"""
    url = open_url(lambda_, make(source), Cors={"AllowOrigins": ["*"], "AllowMethods": ["GET"]})
    assert send(url)[2] == b"just text"
    assert send(url + "fail")[::2] == (502, b"Internal Server Error")
    status, headers, body = send(url + "binary")
    assert (status, headers["content-type"], body) == (200, "image/x", b"\x00\xff")
    asked = {"Origin": "http://a.example", "Access-Control-Request-Method": "GET"}
    status, headers, _ = send(url, "OPTIONS", headers=asked)
    assert (status, headers["access-control-allow-origin"]) == (200, "*")


# ---------------------------------------------------------------- streaming


def test_invoke_with_response_stream(make, lambda_):
    name = make(STREAM, "nodejs22.x")
    answer = lambda_.invoke_with_response_stream(FunctionName=name, LogType="Tail")
    begun, chunks, end = time.time(), [], None
    for event in answer["EventStream"]:
        if "PayloadChunk" in event:
            chunks.append((time.time() - begun, event["PayloadChunk"]["Payload"]))
        else:
            end = event["InvokeComplete"]
    assert b"".join(chunk for _, chunk in chunks) == b"one,two"
    # They come as they are written, not together at the end.
    assert chunks[-1][0] - chunks[0][0] > 0.2
    assert "ErrorCode" not in end and b"REPORT" in base64.b64decode(end["LogResult"])


def test_functions_that_do_not_stream_answer_in_one_piece(make, lambda_):
    answer = lambda_.invoke_with_response_stream(FunctionName=make(), Payload=b'{"a": 1}')
    events = list(answer["EventStream"])
    assert json.loads(events[0]["PayloadChunk"]["Payload"]) == {"a": 1}
    failing = make("def handler(event, context):\n    raise ValueError('no')\n")
    events = list(lambda_.invoke_with_response_stream(FunctionName=failing)["EventStream"])
    assert events[-1]["InvokeComplete"]["ErrorCode"] == "Unhandled"
    assert "ValueError" in events[-1]["InvokeComplete"]["ErrorDetails"]


def test_a_streaming_url(make, lambda_):
    url = open_url(lambda_, make(STREAM, "nodejs22.x"), InvokeMode="RESPONSE_STREAM")
    status, headers, body = send(url)
    assert (status, headers["x-own"], body) == (203, "yes", b"one,two")
    assert headers.get("transfer-encoding") == "chunked"


# ---------------------------------------------------------------- templates

TEMPLATE = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Shared": {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {"Content": {"S3Bucket": None, "S3Key": "layer.zip"}},
        },
        "Hello": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "InlineCode": "import shared\ndef handler(event, context):\n    return shared.name\n",
                "Handler": "index.handler",
                "Runtime": "python3.12",
                "Layers": [{"Ref": "Shared"}],
                "AutoPublishAlias": "live",
                "FunctionUrlConfig": {"AuthType": "NONE"},
            },
        },
    },
    "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["HelloUrl", "FunctionUrl"]}}},
}


@pytest.fixture
def stack(client, unique):
    cloudformation, s3 = client("cloudformation"), client("s3")
    bucket, name = unique("bucket"), unique("stack")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="layer.zip", Body=archive({"python/shared.py": "name = 'hi'"}))
    template = json.loads(json.dumps(TEMPLATE))
    template["Resources"]["Shared"]["Properties"]["Content"]["S3Bucket"] = bucket
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    yield cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def test_a_serverless_function_with_url_alias_and_layer(stack, lambda_):
    (output,) = stack["Outputs"]
    status, _, body = send(output["OutputValue"])
    assert (status, body) == (200, b"hi")
    found = [f for f in lambda_.list_functions()["Functions"] if f["FunctionName"].startswith(stack["StackName"])]
    name = found[0]["FunctionName"]
    assert lambda_.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "1"
    urls = lambda_.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert urls[0]["FunctionArn"].endswith(f":{name}:live")


def test_provisioned_concurrency(make, lambda_):
    source = "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n"
    name = make(source)
    lambda_.publish_version(FunctionName=name)
    wanted = {"FunctionName": name, "Qualifier": "1"}
    lambda_.put_provisioned_concurrency_config(**wanted, ProvisionedConcurrentExecutions=2)
    found = eventually(
        lambda: (c := lambda_.get_provisioned_concurrency_config(**wanted))["Status"] != "IN_PROGRESS" and c, 20
    )
    assert (found["Status"], found.get("StatusReason")) == ("READY", None)
    assert found["AvailableProvisionedConcurrentExecutions"] == 2
    answer = lambda_.invoke(**wanted)["Payload"].read()
    assert json.loads(answer) == "provisioned-concurrency"
    lambda_.delete_provisioned_concurrency_config(**wanted)
