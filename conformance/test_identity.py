"""Who is let in: unsigned, wrongly signed, expired and unknown are refused with AWS's codes in each family's words."""

import datetime
import http.client

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from server import Server

# (service, request, codes for: unsigned, wrong signature, expired, unknown key), with their status
FAMILIES = {
    "dynamodb": (
        ("POST", "/", {"x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0"}, b"{}"),
        (400, "MissingAuthenticationTokenException"),
        (400, "InvalidSignatureException"),
        (400, "InvalidSignatureException"),
        (400, "UnrecognizedClientException"),
    ),
    "sts": (
        ("POST", "/", {"content-type": "application/x-www-form-urlencoded"}, b"Action=GetCallerIdentity&Version=2011-06-15"),
        (403, "MissingAuthenticationToken"),
        (403, "SignatureDoesNotMatch"),
        (403, "SignatureDoesNotMatch"),
        (403, "InvalidClientTokenId"),
    ),
    "lambda": (
        ("GET", "/2015-03-31/functions", {}, b""),
        (403, "MissingAuthenticationTokenException"),
        (403, "InvalidSignatureException"),
        (403, "InvalidSignatureException"),
        (403, "UnrecognizedClientException"),
    ),
    "s3": (
        ("GET", "/", {}, b""),
        (403, "AccessDenied"),
        (403, "SignatureDoesNotMatch"),
        (403, "RequestTimeTooSkewed"),
        (403, "InvalidAccessKeyId"),
    ),
}


def send(port, service, request, keys=("test", "test"), minutes_ago=0, signed=True, spoil=False):
    method, path, headers, body = request
    aws = botocore.awsrequest.AWSRequest(method=method, url=f"http://127.0.0.1:{port}{path}", headers=headers, data=body)
    if signed:
        auth = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
        then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes_ago)
        signer = auth(botocore.credentials.Credentials(*keys), service, "us-east-1")
        original = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda *_, **__: then.replace(tzinfo=None)
        try:
            signer.add_auth(aws)
        finally:
            botocore.auth.get_current_datetime = original
    prepared = aws.prepare()
    headers = dict(prepared.headers)
    if spoil:
        headers["Authorization"] = headers["Authorization"][:-4] + "0000"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    answer = response.read().decode()
    connection.close()
    return response.status, answer + str(response.headers)


@pytest.mark.parametrize("service", FAMILIES)
def test_refusals(server, service):
    request, unsigned, wrong, expired, unknown = FAMILIES[service]
    cases = {
        "right": ((200, ""), {}),
        "unsigned": (unsigned, {"signed": False}),
        "wrong": (wrong, {"spoil": True}),
        "wrong secret": (wrong, {"keys": ("test", "guess")}),
        "expired": (expired, {"minutes_ago": 16}),
        "early": (expired, {"minutes_ago": -16}),
        "unknown": (unknown, {"keys": ("AKIAIOSFODNN7EXAMPLE", "test")}),
    }
    for name, ((status, code), how) in cases.items():
        got, answer = send(server.port, service, request, **how)
        assert got == status and code in answer, f"{service} {name}: {got} {answer}"


def test_a_changed_body_is_refused(server):
    (method, path, headers, _), *_ = FAMILIES["dynamodb"]
    aws = botocore.awsrequest.AWSRequest(
        method=method, url=f"http://127.0.0.1:{server.port}{path}", headers=headers, data=b'{"Limit":1}'
    )
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "dynamodb", "us-east-1").add_auth(aws)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, body=b'{"Limit":2}', headers=dict(aws.prepare().headers))
    response = connection.getresponse()
    assert response.status == 400 and b"InvalidSignatureException" in response.read()


def test_twelve_digits_are_another_account(client, unique):
    other = client("sts", keys=("111122223333", "test", None)).get_caller_identity()
    assert other["Account"] == "111122223333"
    assert other["Arn"] == "arn:aws:iam::111122223333:root"
    name = unique("table")
    create = dict(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("dynamodb").create_table(**create)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client("dynamodb", keys=("111122223333", "test", None)).describe_table(TableName=name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client("dynamodb", region="eu-west-3").describe_table(TableName=name)


def test_another_address_than_loopback_refuses_development_keys(client):
    with Server("--listen", "0.0.0.0:0") as public:
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            client("sts", url=public.endpoint).get_caller_identity()
        lines = [line.split("=")[1].strip() for line in public.log().splitlines() if "aws_" in line]
        root = client("sts", url=public.endpoint, keys=(lines[0], lines[1], None)).get_caller_identity()
        assert root["Arn"].endswith(":root")
        kept = (public.data / "root-credentials").stat()
        assert kept.st_mode & 0o077 == 0
    refused = Server("--listen", "0.0.0.0:0", "--development", "on")
    with pytest.raises(RuntimeError, match="would let everyone in"):
        refused.start()
    refused.remove()
