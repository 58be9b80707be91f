"""STS through boto3: sessions begin, hold, and end."""

import json
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen

import boto3
import botocore.auth
import pytest
from botocore.config import Config

from conftest import ACCOUNT
from server import Server
from test_iam import allow, put, refused, table, table_arn, iam, keys, user  # noqa: F401 (fixtures)


def trust(principal, **condition):
    statement = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def session_keys(answer):
    found = answer["Credentials"]
    return (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


@pytest.fixture
def sts(client):
    return client("sts")


@pytest.fixture
def role(iam, unique):  # noqa: F811
    """A role that the account trusts."""
    name = unique("role")
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))["Role"]


def test_who_am_i(sts):
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_assume_role(client, sts, iam, role, table):  # noqa: F811
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="one")
    name = role["RoleName"]
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/one"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role['RoleId']}:one", "Arn": arn}
    assert set(answer) == {"Credentials", "AssumedRoleUser", "ResponseMetadata"}
    found = session_keys(answer)
    assert found[0].startswith("ASIA") and len(found[1]) == 40
    who = client("sts", keys=found).get_caller_identity()
    assert (who["Arn"], who["UserId"], who["Account"]) == (arn, f"{role['RoleId']}:one", ACCOUNT)

    dynamodb = client("dynamodb", keys=found)
    error = refused(lambda: put(dynamodb, table), "AccessDeniedException")
    assert error["Error"]["Message"].startswith(f"User: {arn} is not authorized to perform: dynamodb:PutItem")
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(allow("dynamodb:*")))
    put(dynamodb, table)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    refused(lambda: put(dynamodb, table), "AccessDeniedException")


def test_the_token_must_be_its_own(client, sts, role):
    first = session_keys(sts.assume_role(RoleArn=role["Arn"], RoleSessionName="one"))
    second = session_keys(sts.assume_role(RoleArn=role["Arn"], RoleSessionName="two"))
    message = "The security token included in the request is invalid."
    for bad in [
        (first[0], first[1], None),
        (first[0], first[1], second[2]),
        (first[0], first[1], first[2][:-8] + "AAAAAAA="),
        (first[0], first[1], "nonsense"),
        (second[0], first[1], first[2]),
    ]:
        refused(client("sts", keys=bad).get_caller_identity, "InvalidClientTokenId", message, 403)
    refused(client("sts", keys=(first[0], second[1], first[2])).get_caller_identity, "SignatureDoesNotMatch")
    client("sts", keys=first).get_caller_identity()


def test_the_roles_end_is_the_sessions(client, sts, iam, unique):  # noqa: F811
    name = unique("role")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))["Role"]["Arn"]
    mine = client("sts", keys=session_keys(sts.assume_role(RoleArn=arn, RoleSessionName="one")))
    mine.get_caller_identity()
    iam.delete_role(RoleName=name)
    refused(mine.get_caller_identity, "InvalidClientTokenId", status=403)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    refused(mine.get_caller_identity, "InvalidClientTokenId", status=403)


def test_trust_is_enforced(client, sts, iam, unique, user, keys, role):  # noqa: F811
    mine = client("sts", keys=keys)
    error = refused(mine.assume_role, "AccessDenied", status=403, RoleArn=role["Arn"], RoleSessionName="one")
    assert error["Error"]["Message"].startswith(
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: sts:AssumeRole on resource: {role['Arn']}"
    )
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(allow("sts:AssumeRole", role["Arn"])))
    mine.assume_role(RoleArn=role["Arn"], RoleSessionName="one")
    missing = f"arn:aws:iam::{ACCOUNT}:role/missing"
    refused(mine.assume_role, "AccessDenied", RoleArn=missing, RoleSessionName="one")

    # A role that trusts nobody but a service stays shut, whatever the user's policies say.
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(allow("*")))
    shut = iam.create_role(RoleName=unique("shut"), AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"}))
    refused(mine.assume_role, "AccessDenied", RoleArn=shut["Role"]["Arn"], RoleSessionName="one")
    # Who is named needs no policy of its own.
    iam.delete_user_policy(UserName=user, PolicyName="p")
    named = iam.create_role(
        RoleName=unique("named"), AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/{user}"})
    )
    mine.assume_role(RoleArn=named["Role"]["Arn"], RoleSessionName="one")


def test_external_id(client, sts, iam, unique):  # noqa: F811
    document = trust({"AWS": ACCOUNT}, StringEquals={"sts:ExternalId": "shibboleth"})
    arn = iam.create_role(RoleName=unique("role"), AssumeRolePolicyDocument=document)["Role"]["Arn"]
    refused(sts.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="one")
    refused(sts.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="one", ExternalId="other")
    sts.assume_role(RoleArn=arn, RoleSessionName="one", ExternalId="shibboleth")


def test_session_policies(client, sts, iam, role, table):  # noqa: F811
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=json.dumps(allow("dynamodb:*")))
    narrow = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="one", Policy=json.dumps(allow("dynamodb:List*")))
    assert narrow["PackedPolicySize"] >= 0
    dynamodb = client("dynamodb", keys=session_keys(narrow))
    dynamodb.list_tables()
    error = refused(lambda: put(dynamodb, table), "AccessDeniedException")
    assert error["Error"]["Message"].endswith("because no session policy allows the dynamodb:PutItem action")

    arns = [{"arn": "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"}]
    by_arn = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="two", PolicyArns=arns)
    dynamodb = client("dynamodb", keys=session_keys(by_arn))
    dynamodb.list_tables()
    refused(lambda: put(dynamodb, table), "AccessDeniedException")
    wide = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="three", Policy=json.dumps(allow("*")))
    put(client("dynamodb", keys=session_keys(wide)), table)
    refused(sts.assume_role, "MalformedPolicyDocument", RoleArn=role["Arn"], RoleSessionName="four", Policy="{}")


def test_durations(client, sts, iam, role):  # noqa: F811
    arn = role["Arn"]
    refused(sts.assume_role, "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 400,
            RoleArn=arn, RoleSessionName="one", DurationSeconds=7200)
    iam.update_role(RoleName=role["RoleName"], MaxSessionDuration=7200)
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="one", DurationSeconds=7200)
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=json.dumps(allow("sts:*")))
    chained = client("sts", keys=session_keys(answer))
    refused(chained.assume_role, "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            RoleArn=arn, RoleSessionName="two", DurationSeconds=7200)
    chained.assume_role(RoleArn=arn, RoleSessionName="two")


@pytest.mark.parametrize(
    "arn",
    ["nothing-valid-in-here", "arn::b:::something/test-role", "arn:a::::something/test-role",
     "arn:a:::something/test-role", "arn:a:a::aaaaaaaaaa:"],
)
def test_bad_arns(client, arn):
    sts = client("sts", config=Config(parameter_validation=False))
    refused(sts.assume_role, "ValidationError", f"{arn} is invalid", 400, RoleArn=arn, RoleSessionName="Session1")


def test_bad_session_name(sts, role):
    refused(sts.assume_role, "ValidationError",
            "1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
            RoleArn=role["Arn"], RoleSessionName="Session1:2")


def test_session_tags(client, sts, iam, unique, role, table):  # noqa: F811
    refused(sts.assume_role, "InvalidParameterValue",
            "The specified transitive tag key must be included in the requested tags.", 400,
            RoleArn=role["Arn"], RoleSessionName="one", TransitiveTagKeys=["x"])
    refused(sts.assume_role, "InvalidParameterValue",
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.", 400,
            RoleArn=role["Arn"], RoleSessionName="one", Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}])
    document = allow(["dynamodb:*", "sts:*"], Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=json.dumps(document))

    def assume(tags, by=sts, **more):
        answer = by.assume_role(RoleArn=role["Arn"], RoleSessionName="one", Tags=tags, **more)
        return session_keys(answer)

    red = [{"Key": "team", "Value": "red"}]
    put(client("dynamodb", keys=assume(red)), table)
    refused(lambda: put(client("dynamodb", keys=assume([{"Key": "team", "Value": "blue"}])), table), "AccessDeniedException")
    handed_on = client("sts", keys=assume(red, TransitiveTagKeys=["team"]))
    refused(lambda: assume(red, by=handed_on), "InvalidParameterValue",
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session.")
    put(client("dynamodb", keys=assume([], by=handed_on)), table)


def test_sessions_of_a_user(client, iam, user, keys, table):  # noqa: F811
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(allow("*")))
    mine = client("sts", keys=keys)
    session = session_keys(mine.get_session_token())
    assert client("sts", keys=session).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{user}"
    put(client("dynamodb", keys=session), table)
    refused(client("sts", keys=session).get_session_token, "AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
    refused(client("iam", keys=session).list_users, "InvalidClientTokenId", status=403)

    guest = mine.get_federation_token(Name="guest", Policy=json.dumps(allow("dynamodb:List*")))
    assert guest["FederatedUser"] == {
        "FederatedUserId": f"{ACCOUNT}:guest", "Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/guest"
    }
    dynamodb = client("dynamodb", keys=session_keys(guest))
    dynamodb.list_tables()
    refused(lambda: put(dynamodb, table), "AccessDeniedException")
    bare = client("dynamodb", keys=session_keys(mine.get_federation_token(Name="bare")))
    refused(bare.list_tables, "AccessDeniedException")


def test_federation_token_of_root(client, sts, table):  # noqa: F811
    answer = sts.get_federation_token(Name="guest", DurationSeconds=900, Policy=json.dumps(allow("dynamodb:*")))
    put(client("dynamodb", keys=session_keys(answer)), table)
    assert sts.get_federation_token(Name="bare", DurationSeconds=900)["PackedPolicySize"] == 0


def test_sessions_expire(monkeypatch):
    """On a server of its own, whose clock is moved; the client's follows."""
    with Server() as server:

        def connect(service, keys=("test", "test", None)):
            return boto3.client(
                service, endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id=keys[0],
                aws_secret_access_key=keys[1], aws_session_token=keys[2], config=Config(retries={"max_attempts": 0}),
            )

        arn = connect("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))["Role"]["Arn"]
        answer = connect("sts").assume_role(RoleArn=arn, RoleSessionName="one", DurationSeconds=900)
        left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
        assert timedelta(seconds=880) < left <= timedelta(seconds=901)
        connect("sts", session_keys(answer)).get_caller_identity()

        body = json.dumps({"advance_s": 901}).encode()
        urlopen(Request(f"{server.endpoint}/_sereno/clock", data=body, method="POST"))
        # The signer in C reads the machine's clock; the one in Python can be told the time.
        monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "v4", botocore.auth.SigV4Auth)
        now = botocore.auth.get_current_datetime
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: now(*a, **k) + timedelta(seconds=901))
        refused(connect("sts", session_keys(answer)).get_caller_identity, "ExpiredToken",
                "The security token included in the request is expired", 403)
        refused(connect("dynamodb", session_keys(answer)).list_tables, "ExpiredTokenException", status=400)
        connect("sts").get_caller_identity()


def test_no_message_is_encoded(sts):
    refused(sts.decode_authorization_message, "InvalidAuthorizationMessageException", EncodedMessage="x")
