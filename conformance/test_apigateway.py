"""API Gateway REST APIs through boto3 and plain HTTP: the control plane, and deployed APIs with every kind of backend."""

import base64
import io
import json
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION
from server import Server


def trust(service):
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
            ],
        }
    )


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def fetch(url, method="GET", body=None, headers=None):
    headers = dict(headers or {})
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Answer(response)
    except urllib.error.HTTPError as error:
        return Answer(error)


@pytest.fixture(scope="session")
def gateway(client):
    return client("apigateway")


@pytest.fixture(scope="session")
def role(client):
    """Makes a role that a service may assume, with one statement of permissions."""

    def make(name, service, actions=None, resource="*"):
        iam = client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))["Role"]["Arn"]
        if actions:
            statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
            document = {"Version": "2012-10-17", "Statement": [statement]}
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        return arn

    return make


@pytest.fixture
def function(client, role, unique):
    def make(source, permit=True):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", source)
        lambda_ = client("lambda")
        name = unique("fn")
        arn = lambda_.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role(unique("role"), "lambda.amazonaws.com"),
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
        )["FunctionArn"]
        lambda_.get_waiter("function_active_v2").wait(FunctionName=name)
        if permit:
            lambda_.add_permission(
                FunctionName=name,
                StatementId="api",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
            )
        return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"

    return make


class Api:
    """An API under construction; `deploy` gives the URL of a stage."""

    def __init__(self, gateway, endpoint, **settings):
        self.gateway, self.endpoint = gateway, endpoint
        made = gateway.create_rest_api(name="conformance", **settings)
        self.id, self.root = made["id"], made["rootResourceId"]

    def resource(self, path, parent=None):
        for part in path.strip("/").split("/"):
            parent = self.gateway.create_resource(
                restApiId=self.id, parentId=parent or self.root, pathPart=part
            )["id"]
        return parent

    def method(self, resource, verb="GET", kind="MOCK", integration=None, auth="NONE", **settings):
        place = {"restApiId": self.id, "resourceId": resource, "httpMethod": verb}
        self.gateway.put_method(authorizationType=auth, **place, **settings)
        more = dict(integration or {})
        if kind == "MOCK":
            more.setdefault("requestTemplates", {"application/json": '{"statusCode": 200}'})
        self.gateway.put_integration(type=kind, **place, **more)
        return place

    def respond(self, place, status="200", **settings):
        declared = {name: False for name in settings.get("responseParameters", {})}
        self.gateway.put_method_response(**place, statusCode=status, responseParameters=declared)
        self.gateway.put_integration_response(**place, statusCode=status, **settings)

    def deploy(self, stage="prod", **settings):
        self.gateway.create_deployment(restApiId=self.id, stageName=stage, **settings)
        return self.url(stage)

    def url(self, stage="prod"):
        return f"{self.endpoint}/restapis/{self.id}/{stage}/_user_request_"


@pytest.fixture
def api(gateway, endpoint):
    return lambda **settings: Api(gateway, endpoint, **settings)


def code(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_what_does_not_exist(gateway):
    assert code(gateway.get_rest_api, restApiId="nothere") == (
        "NotFoundException",
        f"Invalid API identifier specified {ACCOUNT}:nothere",
    )


def test_a_mock_answers_cors(api):
    made = api()
    place = made.method(made.resource("pets"), "OPTIONS")
    made.respond(
        place,
        responseParameters={
            "method.response.header.Access-Control-Allow-Origin": "'*'",
            "method.response.header.Access-Control-Allow-Methods": "'GET,OPTIONS'",
        },
    )
    url = made.deploy()
    answer = fetch(f"{url}/pets", "OPTIONS", headers={"Origin": "http://x"})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET,OPTIONS"
    assert answer.headers["x-amzn-requestid"] and answer.headers["x-amz-apigw-id"]
    missing = fetch(f"{url}/nowhere")
    assert missing.status == 403
    assert missing.json() == {"message": "Missing Authentication Token"}
    assert missing.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert fetch(made.url("other")).json() == {"message": "Forbidden"}


def test_a_host_name_and_a_path_lead_to_the_same_stage(api, endpoint):
    made = api()
    made.respond(made.method(made.root), responseTemplates={"application/json": "$context.path"})
    made.deploy()
    by_path = fetch(f"{endpoint}/_aws/execute-api/{made.id}/prod/")
    host = f"{made.id}.execute-api.{REGION}.amazonaws.com"
    by_host = fetch(f"{endpoint}/prod/", headers={"Host": host})
    assert by_path.status == by_host.status == 200
    assert by_path.body == by_host.body == b"/prod/"


def test_templates_and_stage_variables(api, gateway):
    made = api()
    template = "#set($a = $input.params('x'))$a $stageVariables.mood $context.stage $input.json('$.b')"
    # The response sees the backend's body; the request's template is what a mock is told.
    place = made.method(made.resource("{x}"), "POST")
    made.respond(place, responseTemplates={"application/json": template})
    url = made.deploy(variables={"mood": "fine"})
    assert fetch(f"{url}/one", "POST", b"{}").body == b'one fine prod ""'
    gateway.update_stage(
        restApiId=made.id,
        stageName="prod",
        patchOperations=[{"op": "replace", "path": "/variables/mood", "value": "better"}],
    )
    assert fetch(f"{url}/one", "POST", b"{}").body == b'one better prod ""'


def test_a_deployment_does_not_change(api, gateway):
    made = api()
    place = made.method(made.root)
    made.respond(place, responseTemplates={"application/json": "first"})
    url = made.deploy()
    gateway.put_integration_response(
        **place, statusCode="200", responseTemplates={"application/json": "second"}
    )
    assert fetch(f"{url}/").body == b"first"
    made.deploy()
    assert fetch(f"{url}/").body == b"second"


def test_a_proxy_gets_the_whole_request(api, function):
    made = api()
    uri = function("import json\ndef handler(e, c):\n    return {'statusCode': 201, 'headers': {'x-own': 'yes'}, 'body': json.dumps(e)}\n")
    made.method(
        made.resource("a/{proxy+}"), "ANY", "AWS_PROXY", {"uri": uri, "integrationHttpMethod": "POST"}
    )
    url = made.deploy(variables={"v": "1"})
    answer = fetch(f"{url}/a/b/c%20d?q=1&q=2&e=", "PUT", b"hello", {"X-Custom": "7", "Content-Type": "text/plain"})
    assert answer.status == 201 and answer.headers["x-own"] == "yes"
    event = answer.json()
    assert event["resource"] == "/a/{proxy+}"
    assert event["path"] == "/a/b/c%20d" or event["path"] == "/a/b/c d"
    assert event["httpMethod"] == "PUT"
    assert event["queryStringParameters"] == {"q": "2", "e": ""}
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "e": [""]}
    assert event["headers"]["X-Custom"] == "7"
    assert event["multiValueHeaders"]["X-Custom"] == ["7"]
    assert event["stageVariables"] == {"v": "1"}
    assert (event["body"], event["isBase64Encoded"]) == ("hello", False)
    context = event["requestContext"]
    assert context["apiId"] == made.id and context["stage"] == "prod"
    assert context["accountId"] == ACCOUNT and context["httpMethod"] == "PUT"
    assert context["identity"]["sourceIp"] and context["requestTimeEpoch"] > 0
    empty = fetch(f"{url}/a/x").json()
    assert empty["body"] is None and empty["queryStringParameters"] is None


def test_a_proxy_that_may_not_or_does_not_answer(api, function):
    made = api()
    post = {"integrationHttpMethod": "POST"}
    refused = function("def handler(e, c): return {}\n", permit=False)
    made.method(made.resource("refused"), "GET", "AWS_PROXY", {"uri": refused, **post})
    malformed = function("def handler(e, c): return 'hello'\n")
    made.method(made.resource("malformed"), "GET", "AWS_PROXY", {"uri": malformed, **post})
    url = made.deploy()
    for path, status in [("refused", 500), ("malformed", 502)]:
        answer = fetch(f"{url}/{path}")
        assert (answer.status, answer.json()) == (status, {"message": "Internal server error"})


def test_a_function_behind_templates(api, function):
    made = api()
    uri = function("def handler(e, c):\n    if e['n'] < 0: raise Exception('negative')\n    return {'double': e['n'] * 2}\n")
    place = made.method(
        made.root,
        "POST",
        "AWS",
        {
            "uri": uri,
            "integrationHttpMethod": "POST",
            "requestTemplates": {"application/json": '{"n": $input.json(\'$.value\')}'},
        },
    )
    made.respond(place, responseTemplates={"application/json": '{"result": $input.path(\'$.double\')}'})
    made.respond(place, "400", selectionPattern="nega.*", responseTemplates={"application/json": '{"why": $input.json(\'$.errorMessage\')}'})
    url = made.deploy()
    answer = fetch(f"{url}/", "POST", b'{"value": 4}', {"Content-Type": "application/json"})
    assert (answer.status, answer.json()) == (200, {"result": 8})
    answer = fetch(f"{url}/", "POST", b'{"value": -4}', {"Content-Type": "application/json"})
    assert (answer.status, answer.json()) == (400, {"why": "negative"})


def test_a_table_without_a_function(api, client, role, unique):
    table = unique("table")
    client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("dynamodb").get_waiter("table_exists").wait(TableName=table)
    credentials = role(unique("role"), "apigateway.amazonaws.com", "dynamodb:*")
    made = api()
    template = '{"TableName": "%s", "Item": {"id": {"S": "$input.params(\'id\')"}}}' % table
    put = made.method(
        made.resource("{id}"),
        "PUT",
        "AWS",
        {
            "uri": f"arn:aws:apigateway:{REGION}:dynamodb:action/PutItem",
            "integrationHttpMethod": "POST",
            "credentials": credentials,
            "requestTemplates": {"application/json": template},
        },
    )
    made.respond(put)
    url = made.deploy()
    assert fetch(f"{url}/seven", "PUT", b"{}").status == 200
    assert client("dynamodb").get_item(TableName=table, Key={"id": {"S": "seven"}})["Item"]


class Echo(BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": self.rfile.read(length).decode(),
        }
        body = json.dumps(seen).encode()
        self.send_response(418 if "teapot" in self.path else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-backend", "echo")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_web_server(api, web):
    made = api()
    resource = made.resource("{proxy+}")
    made.method(
        resource,
        "ANY",
        "HTTP_PROXY",
        {
            "uri": web + "/base/{proxy}",
            "integrationHttpMethod": "ANY",
            "requestParameters": {
                "integration.request.path.proxy": "method.request.path.proxy",
                "integration.request.header.X-Extra": "'set'",
            },
        },
        requestParameters={"method.request.path.proxy": True},
    )
    url = made.deploy()
    answer = fetch(f"{url}/x/y?a=1", "POST", b"payload", {"Content-Type": "text/plain"})
    seen = answer.json()
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/base/x/y?a=1", "payload")
    assert seen["headers"]["x-extra"] == "set"
    assert answer.headers["x-backend"] == "echo"
    assert fetch(f"{url}/teapot").status == 418


def test_a_secure_web_server(client, tmp_path, monkeypatch):
    """A server that trusts the backend's certificate calls it; one that does not says nothing to it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    backend = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    backend.socket = context.wrap_socket(backend.socket, server_side=True)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    uri = f"https://127.0.0.1:{backend.server_port}/hello"
    try:
        for trusted, status in [(certificate, 200), (None, 500)]:
            if trusted:
                monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
            else:
                monkeypatch.delenv("SSL_CERT_FILE")
            server = Server()
            try:
                server.start()
                made = Api(client("apigateway", url=server.endpoint), server.endpoint)
                made.method(made.root, "GET", "HTTP_PROXY", {"uri": uri, "integrationHttpMethod": "GET"})
                answer = fetch(made.deploy())
                assert answer.status == status
                assert (answer.json().get("path") == "/hello") == bool(trusted)
            finally:
                server.remove()
    finally:
        backend.shutdown()


def test_keys_plans_and_quotas(api, gateway, unique):
    made = api()
    made.respond(made.method(made.root, apiKeyRequired=True))
    url = made.deploy()
    assert fetch(f"{url}/").json() == {"message": "Forbidden"}
    key = gateway.create_api_key(name=unique("key"), enabled=True)
    plan = gateway.create_usage_plan(
        name=unique("plan"),
        apiStages=[{"apiId": made.id, "stage": "prod"}],
        quota={"limit": 2, "period": "DAY"},
    )
    assert fetch(f"{url}/", headers={"x-api-key": key["value"]}).status == 403
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    statuses = [fetch(f"{url}/", headers={"x-api-key": key["value"]}).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    usage = gateway.get_usage(usagePlanId=plan["id"], startDate=today, endDate=today)
    assert usage["items"][key["id"]] == [[2, 0]]


def signed(url, keys, method="GET", service="execute-api"):
    request = AWSRequest(method=method, url=url)
    SigV4Auth(Credentials(*keys), service, REGION).add_auth(request)
    return fetch(url, method, headers=dict(request.headers.items()))


def test_iam(api, client, unique):
    made = api()
    made.respond(
        made.method(made.root, auth="AWS_IAM"),
        responseTemplates={"application/json": "$context.identity.userArn"},
    )
    url = made.deploy() + "/"
    assert fetch(url).json() == {"message": "Missing Authentication Token"}
    assert signed(url, ("test", "test")).body.decode() == f"arn:aws:iam::{ACCOUNT}:root"
    wrong = signed(url, ("test", "wrong"))
    assert wrong.status == 403 and wrong.headers["x-amzn-errortype"] == "InvalidSignatureException"
    elsewhere = signed(url, ("test", "test"), service="s3")
    assert elsewhere.status == 403 and "execute-api" in elsewhere.json()["message"]
    iam = client("iam")
    user = unique("user")
    arn = iam.create_user(UserName=user)["User"]["Arn"]
    key = iam.create_access_key(UserName=user)["AccessKey"]
    keys = (key["AccessKeyId"], key["SecretAccessKey"])
    denied = signed(url, keys)
    assert denied.status == 403
    assert denied.json()["Message"].startswith(
        f"User: {arn} is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:{REGION}:********0000:{made.id}/prod/GET/"
    )
    resource = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{made.id}/prod/GET/*"
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(document))
    assert signed(url, keys).body.decode() == arn


def test_a_resource_policy(api):
    def policy(source):
        return json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": "execute-api:Invoke",
                        "Resource": "execute-api:/*",
                        "Condition": {"IpAddress": {"aws:SourceIp": source}},
                    }
                ],
            }
        )

    for source, status in [("127.0.0.0/8", 200), ("192.0.2.0/24", 403)]:
        made = api(policy=policy(source))
        made.respond(made.method(made.root))
        answer = fetch(f"{made.deploy()}/")
        assert answer.status == status
    assert "is not authorized to perform: execute-api:Invoke" in answer.json()["Message"]


AUTHORIZER = """
def handler(e, c):
    token = e['authorizationToken']
    if token == 'nobody': raise Exception('Unauthorized')
    effect = 'Allow' if token == 'friend' else 'Deny'
    statement = {'Effect': effect, 'Action': 'execute-api:Invoke', 'Resource': e['methodArn']}
    return {'principalId': token, 'context': {'n': 7},
            'policyDocument': {'Version': '2012-10-17', 'Statement': [statement]}}
"""


def test_a_token_authorizer(api, function, gateway):
    made = api()
    authorizer = gateway.create_authorizer(
        restApiId=made.id,
        name="tokens",
        type="TOKEN",
        authorizerUri=function(AUTHORIZER),
        identitySource="method.request.header.Authorization",
    )["id"]
    made.respond(
        made.method(made.root, auth="CUSTOM", authorizerId=authorizer),
        responseTemplates={
            "application/json": "$context.authorizer.principalId $context.authorizer.n"
        },
    )
    url = made.deploy() + "/"
    tell = lambda token: fetch(url, headers={"Authorization": token})
    assert tell("friend").body == b"friend 7"
    denied = tell("foe")
    assert denied.status == 403
    assert denied.json()["Message"].startswith("User is not authorized to access this resource")
    for answer in [tell("nobody"), fetch(url)]:
        assert (answer.status, answer.json()) == (401, {"message": "Unauthorized"})


def test_validation(api, gateway):
    made = api()
    gateway.create_model(
        restApiId=made.id,
        name="Pet",
        contentType="application/json",
        schema=json.dumps({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}),
    )
    validator = gateway.create_request_validator(
        restApiId=made.id, name="all", validateRequestBody=True, validateRequestParameters=True
    )["id"]
    made.respond(
        made.method(
            made.root,
            "POST",
            requestValidatorId=validator,
            requestModels={"application/json": "Pet"},
            requestParameters={"method.request.querystring.q": True},
        )
    )
    gateway.put_gateway_response(
        restApiId=made.id,
        responseType="BAD_REQUEST_BODY",
        responseTemplates={"application/json": '{"why": "$context.error.validationErrorString"}'},
        responseParameters={"gatewayresponse.header.x-why": "'body'"},
    )
    url = made.deploy()
    post = lambda query, body: fetch(f"{url}/{query}", "POST", body, {"Content-Type": "application/json"})
    assert post("?q=1", b'{"name": "x"}').status == 200
    missing = post("", b'{"name": "x"}')
    assert (missing.status, missing.json()) == (400, {"message": "Missing required request parameters: [q]"})
    broken = post("?q=1", b'{"name": 1}')
    assert broken.status == 400 and broken.headers["x-why"] == "body"
    assert b"does not match any allowed primitive type" in broken.body


def test_binary_answers(api, function):
    picture = base64.b64encode(b"\x89PNG\x00\xff").decode()
    uri = function(f"def handler(e, c): return {{'isBase64Encoded': True, 'headers': {{'Content-Type': 'image/png'}}, 'body': '{picture}'}}\n")
    made = api(binaryMediaTypes=["image/png"])
    made.method(made.root, "GET", "AWS_PROXY", {"uri": uri, "integrationHttpMethod": "POST"})
    url = made.deploy() + "/"
    assert fetch(url, headers={"Accept": "image/png"}).body == b"\x89PNG\x00\xff"
    assert fetch(url, headers={"Accept": "text/html"}).body == picture.encode()


def test_throttling(api, gateway):
    made = api()
    made.respond(made.method(made.root))
    url = made.deploy()
    gateway.update_stage(
        restApiId=made.id,
        stageName="prod",
        patchOperations=[
            {"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "2"},
            {"op": "replace", "path": "/*/*/throttling/rateLimit", "value": "0.01"},
        ],
    )
    answers = [fetch(f"{url}/") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"message": "Too Many Requests"}


def test_an_import_and_a_test_call(gateway, endpoint):
    document = {
        "openapi": "3.0.1",
        "info": {"title": "pets", "version": "1"},
        "paths": {
            "/pets/{id}": {
                "get": {
                    "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                    "responses": {"200": {"description": "ok"}},
                    "x-amazon-apigateway-integration": {
                        "type": "mock",
                        "requestTemplates": {"application/json": '{"statusCode": 200}'},
                        "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": '{"id": "$input.params(\'id\')"}'}}},
                    },
                }
            }
        },
    }
    made = gateway.import_rest_api(body=json.dumps(document).encode())
    gateway.create_deployment(restApiId=made["id"], stageName="prod")
    url = f"{endpoint}/restapis/{made['id']}/prod/_user_request_"
    assert fetch(f"{url}/pets/7").json() == {"id": "7"}
    resources = gateway.get_resources(restApiId=made["id"])["items"]
    resource = next(item for item in resources if item["path"] == "/pets/{id}")
    tested = gateway.test_invoke_method(
        restApiId=made["id"], resourceId=resource["id"], httpMethod="GET", pathWithQueryString="/pets/8"
    )
    assert tested["status"] == 200 and json.loads(tested["body"]) == {"id": "8"}
    assert "Method completed with status: 200" in tested["log"]


def test_a_role_that_one_may_not_pass(api, gateway, client, role, unique):
    credentials = role(unique("role"), "apigateway.amazonaws.com", "dynamodb:*")
    iam = client("iam")
    user = unique("user")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    statement = {"Effect": "Allow", "Action": "apigateway:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(document))
    theirs = client("apigateway", keys=(key["AccessKeyId"], key["SecretAccessKey"], None))
    made = api()
    place = made.method(made.root)
    settings = {
        "type": "AWS",
        "integrationHttpMethod": "POST",
        "uri": f"arn:aws:apigateway:{REGION}:dynamodb:action/Scan",
    }
    theirs.put_integration(**place, **settings)
    denied, message = code(theirs.put_integration, **place, **settings, credentials=credentials)
    assert denied.startswith("AccessDenied") and "iam:PassRole" in message
    other = "arn:aws:iam::123456789012:role/theirs"
    _, message = code(gateway.put_integration, **place, **settings, credentials=other)
    assert message == "Cross-account pass role is not allowed."


def test_security_of_a_whole_definition(gateway):
    document = {
        "swagger": "2.0",
        "info": {"title": "secured", "version": "1"},
        "securityDefinitions": {
            "sigv4": {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
        },
        "security": [{"sigv4": []}],
        "paths": {
            "/a": {
                "get": {"x-amazon-apigateway-integration": {"type": "mock"}},
                "put": {"x-amazon-apigateway-integration": {"type": "mock"}, "security": []},
            }
        },
    }
    made = gateway.import_rest_api(body=json.dumps(document).encode())
    resources = gateway.get_resources(restApiId=made["id"], embed=["methods"])["items"]
    methods = next(item for item in resources if item["path"] == "/a")["resourceMethods"]
    assert methods["GET"]["authorizationType"] == "AWS_IAM"
    assert methods["PUT"]["authorizationType"] == "NONE"


def test_an_empty_policy_is_none(api):
    made = api(policy="")
    assert "policy" not in made.gateway.get_rest_api(restApiId=made.id)


def test_templates_that_are_null(api, client):
    """Recorded on AWS: a template may be null, an empty one is shown as null, and both let the body through."""
    # boto3 itself would refuse them; the AWS CLI's and other SDKs' JSON has them.
    gateway = client("apigateway", config=Config(parameter_validation=False))
    made = api()
    place = made.method(made.root, "POST")
    gateway.put_method_response(**place, statusCode="200")
    for template in (None, ""):
        shown = gateway.put_integration_response(
            **place, statusCode="200", responseTemplates={"application/json": template}
        )
        assert shown["responseTemplates"] == {"application/json": None}
    shown = gateway.put_integration(
        **place, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}', "text/plain": None}
    )
    assert shown["requestTemplates"] == {"application/json": '{"statusCode": 200}', "text/plain": None}


def test_documentation(api, gateway):
    made = api()
    part = gateway.create_documentation_part(
        restApiId=made.id, location={"type": "API"}, properties='{"description": "first"}'
    )
    again = {"restApiId": made.id, "location": {"type": "API"}, "properties": "{}"}
    assert code(gateway.create_documentation_part, **again)[0] == "ConflictException"
    bad = {"restApiId": made.id, "location": {"type": "RESOURCE"}, "properties": "[]"}
    assert code(gateway.create_documentation_part, **bad)[0] == "BadRequestException"
    of_root = gateway.create_documentation_part(restApiId=made.id, location={"type": "RESOURCE"}, properties="{}")
    assert of_root["location"] == {"type": "RESOURCE", "path": "/"}
    change = [{"op": "replace", "path": "/properties", "value": '{"description": "second"}'}]
    place = {"restApiId": made.id, "documentationPartId": part["id"]}
    assert gateway.update_documentation_part(**place, patchOperations=change)["properties"] == change[0]["value"]
    found = gateway.get_documentation_parts(restApiId=made.id)["items"]
    assert [one["location"]["type"] for one in found] == ["API", "RESOURCE"]
    assert len(gateway.get_documentation_parts(restApiId=made.id, type="RESOURCE")["items"]) == 1
    version = gateway.create_documentation_version(restApiId=made.id, documentationVersion="1")
    assert version["version"] == "1" and version["createdDate"]
    assert code(gateway.create_documentation_version, restApiId=made.id, documentationVersion="1")[0] == "ConflictException"
    gateway.delete_documentation_part(**place)
    assert code(gateway.get_documentation_part, **place) == (
        "NotFoundException",
        "Invalid Documentation part identifier specified",
    )
    made.method(made.root)
    made.deploy()
    at = {"restApiId": made.id, "stageName": "prod"}
    stage = [{"op": "replace", "path": "/documentationVersion", "value": "1"}]
    gateway.update_stage(**at, patchOperations=stage)
    exported = gateway.get_export(**at, exportType="oas30", parameters={"extensions": "documentation"})
    parts = json.loads(exported["body"].read())["x-amazon-apigateway-documentation"]["documentationParts"]
    # The version keeps what was there when it was made.
    assert {"location": {"type": "API"}, "properties": {"description": "second"}} in parts


def test_an_export_is_an_import(api, gateway):
    """What one API exports, another one can be made of."""
    made = api()
    gateway.create_model(
        restApiId=made.id,
        name="Pet",
        contentType="application/json",
        schema='{"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}',
    )
    place = made.method(
        made.resource("pets/{id}"),
        "POST",
        requestParameters={"method.request.path.id": True, "method.request.querystring.q": False},
        requestModels={"application/json": "Pet"},
        apiKeyRequired=True,
    )
    made.respond(place, responseTemplates={"application/json": "{}"})
    made.deploy()
    at = {"restApiId": made.id, "stageName": "prod"}
    for kind in ("swagger", "oas30"):
        plain = gateway.get_export(**at, exportType=kind)
        assert plain["contentType"] == "application/octet-stream"
        assert plain["contentDisposition"].startswith(f'attachment; filename="{kind}_')
        assert b"x-amazon-apigateway-integration" not in plain["body"].read()
        for accepts in ("application/json", "application/yaml"):
            body = gateway.get_export(
                **at, exportType=kind, parameters={"extensions": "apigateway"}, accepts=accepts
            )["body"].read()
            other = gateway.import_rest_api(body=body)["id"]
            resources = gateway.get_resources(restApiId=other, embed=["methods"])["items"]
            method = next(r for r in resources if r["path"] == "/pets/{id}")["resourceMethods"]["POST"]
            assert method["requestModels"] == {"application/json": "Pet"}
            assert method["requestParameters"]["method.request.path.id"] is True
            assert method["apiKeyRequired"] is True
            assert method["methodIntegration"]["type"] == "MOCK"
            assert method["methodIntegration"]["integrationResponses"]["200"]["statusCode"] == "200"
            gateway.delete_rest_api(restApiId=other)
    for wrong in ({"exportType": "word"}, {"exportType": "swagger", "parameters": {"extensions": "nothing"}}):
        assert code(gateway.get_export, **at, **wrong)[0] == "BadRequestException"
    missing = {"restApiId": made.id, "stageName": "nowhere", "exportType": "swagger"}
    assert code(gateway.get_export, **missing) == ("NotFoundException", "Invalid stage identifier specified")
