"""IAM through boto3: what AWS answers, and that policies hold."""

import json

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def allow(action, resource="*", effect="Allow", **more):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": effect, "Action": action, "Resource": resource, **more}],
    }


def refused(call, code, message=None, status=None, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert error["Error"]["Code"] == code, error
    if message is not None:
        assert error["Error"]["Message"] == message
    if status is not None:
        assert error["ResponseMetadata"]["HTTPStatusCode"] == status
    return error


@pytest.fixture
def iam(client):
    return client("iam")


@pytest.fixture
def user(iam, unique):
    name = unique("user")
    iam.create_user(UserName=name)
    return name


@pytest.fixture
def keys(iam, user):
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return (key["AccessKeyId"], key["SecretAccessKey"], None)


@pytest.fixture
def table(client, unique):
    name = unique("table")
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    return name


def table_arn(name):
    return f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}"


def put(dynamodb, table):
    return dynamodb.put_item(TableName=table, Item={"id": {"S": "1"}})


# -- entities --


def test_user(iam, unique):
    name = unique("user")
    made = iam.create_user(UserName=name, Path="/team/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/{name}"
    assert made["UserId"].startswith("AIDA") and len(made["UserId"]) == 21
    assert made["Tags"] == [{"Key": "a", "Value": "b"}]
    assert iam.get_user(UserName=name)["User"] == made
    refused(iam.create_user, "EntityAlreadyExists", f"User with name {name} already exists.", 409, UserName=name)
    refused(iam.create_user, "EntityAlreadyExists", UserName=name.upper())
    listed = iam.list_users(PathPrefix="/team/")["Users"]
    assert name in [u["UserName"] for u in listed] and "Tags" not in listed[0]

    iam.update_user(UserName=name, NewUserName=name + "x", NewPath="/")
    refused(iam.get_user, "NoSuchEntity", f"The user with name {name} cannot be found.", 404, UserName=name)
    assert iam.get_user(UserName=name + "x")["User"]["UserId"] == made["UserId"]
    iam.delete_user(UserName=name + "x")
    refused(iam.delete_user, "NoSuchEntity", UserName=name + "x")


def test_a_user_without_tags_shows_none(iam, user):
    assert "Tags" not in iam.get_user(UserName=user)["User"]
    assert iam.list_user_tags(UserName=user)["Tags"] == []


def test_get_user_of_root(iam):
    shown = iam.get_user()["User"]
    assert shown["Arn"] == f"arn:aws:iam::{ACCOUNT}:root" and shown["UserId"] == ACCOUNT


def test_role(iam, unique):
    name = unique("role")
    made = iam.create_role(RoleName=name, Path="/a/b/", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    assert made["AssumeRolePolicyDocument"] == TRUST
    assert set(made) == {"Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument"}
    shown = iam.get_role(RoleName=name)["Role"]
    assert shown == {**made, "MaxSessionDuration": 3600, "RoleLastUsed": {}}
    listed = [r for r in iam.list_roles(PathPrefix="/a/b/")["Roles"] if r["RoleName"] == name]
    assert listed == [{**made, "MaxSessionDuration": 3600}]

    iam.update_role(RoleName=name, Description="d", MaxSessionDuration=7200)
    shown = iam.get_role(RoleName=name)["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("d", 7200)
    assert iam.update_role_description(RoleName=name, Description="e")["Role"]["Description"] == "e"
    other = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": ACCOUNT}}]}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(other))
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == other

    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(allow("s3:*")))
    refused(iam.delete_role, "DeleteConflict", "Cannot delete entity, must delete policies first.", 409, RoleName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    refused(iam.delete_role, "DeleteConflict", "Cannot delete entity, must detach all policies first.", RoleName=name)
    iam.detach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    iam.delete_role(RoleName=name)
    refused(iam.get_role, "NoSuchEntity", f"The role with name {name} cannot be found.", 404, RoleName=name)


@pytest.mark.parametrize(
    "document, message",
    [
        ("{", "This policy contains invalid Json"),
        ({**TRUST["Statement"][0], "Resource": "*"}, "Has prohibited field Resource"),
        ({**TRUST["Statement"][0], "Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, "Action": "sts:AssumeRole"},
         f'Invalid principal in policy: "AWS":"arn:aws:iam::{ACCOUNT}:role/nobody"'),
        ({"Effect": "Allow", "Principal": {"Service": "lambda"}, "Action": "sts:AssumeRole"},
         'Invalid principal in policy: "SERVICE":"lambda"'),
    ],
)
def test_bad_trust_policies(iam, unique, document, message):
    if isinstance(document, dict):
        document = json.dumps({"Version": "2012-10-17", "Statement": [document]})
    refused(iam.create_role, "MalformedPolicyDocument", message, 400,
            RoleName=unique("role"), AssumeRolePolicyDocument=document)


def test_a_trusted_role_that_is_made_anew_is_not_trusted(iam, unique):
    trusted, trusting = unique("trusted"), unique("trusting")
    arn = iam.create_role(RoleName=trusted, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    role_id = iam.get_role(RoleName=trusted)["Role"]["RoleId"]
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName=trusting, AssumeRolePolicyDocument=json.dumps(trust))

    def principal():
        return iam.get_role(RoleName=trusting)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]

    assert principal() == arn
    iam.delete_role(RoleName=trusted)
    assert principal() == role_id
    iam.create_role(RoleName=trusted, AssumeRolePolicyDocument=json.dumps(TRUST))
    assert principal() == role_id


def test_groups(iam, unique, user):
    group = unique("group")
    made = iam.create_group(GroupName=group)["Group"]
    assert made["GroupId"].startswith("AGPA")
    iam.add_user_to_group(GroupName=group, UserName=user)
    iam.add_user_to_group(GroupName=group, UserName=user)
    shown = iam.get_group(GroupName=group)
    assert [u["UserName"] for u in shown["Users"]] == [user] and shown["Group"] == made
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=user)["Groups"]] == [group]
    refused(iam.delete_group, "DeleteConflict", "Cannot delete entity, must remove users from group first.", GroupName=group)
    refused(iam.delete_user, "DeleteConflict", UserName=user)
    iam.update_group(GroupName=group, NewGroupName=group + "x")
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=user)["Groups"]] == [group + "x"]
    iam.remove_user_from_group(GroupName=group + "x", UserName=user)
    iam.delete_group(GroupName=group + "x")
    refused(iam.get_group, "NoSuchEntity", f"The group with name {group} cannot be found.", GroupName=group)


def test_managed_policy_and_its_versions(iam, unique, user):
    name = unique("policy")
    made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(allow("s3:*")), Description="d")["Policy"]
    arn = made["Arn"]
    assert made["DefaultVersionId"] == "v1" and made["AttachmentCount"] == 0 and "Description" not in made
    refused(iam.create_policy, "EntityAlreadyExists",
            f"A policy called {name} already exists. Duplicate names are not allowed.",
            PolicyName=name, PolicyDocument=json.dumps(allow("s3:*")))
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert shown["Description"] == "d" and shown["Tags"] == []
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == allow("s3:*")

    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(allow("sqs:*")), SetAsDefault=True)
    refused(iam.create_policy_version, "LimitExceeded", PolicyArn=arn, PolicyDocument=json.dumps(allow("sqs:*")))
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [v["VersionId"] for v in versions] == ["v5", "v4", "v3", "v2", "v1"]
    assert [v["IsDefaultVersion"] for v in versions] == [True, False, False, False, False]
    refused(iam.delete_policy_version, "DeleteConflict", "Cannot delete the default version of a policy.", PolicyArn=arn, VersionId="v5")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    iam.attach_user_policy(UserName=user, PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"][0]["UserName"] == user
    assert arn in [p["Arn"] for p in iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]]
    refused(iam.delete_policy, "DeleteConflict", "Cannot delete a policy attached to entities.", PolicyArn=arn)
    iam.detach_user_policy(UserName=user, PolicyArn=arn)
    refused(iam.delete_policy, "DeleteConflict", PolicyArn=arn)
    for version in ("v1", "v3", "v4", "v5"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)
    refused(iam.get_policy, "NoSuchEntity", f"Policy {arn} was not found.", 404, PolicyArn=arn)


def test_policies_of_aws(iam):
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert shown["PolicyName"] == "AWSLambdaBasicExecutionRole" and shown["Path"] == "/service-role/"
    document = iam.get_policy_version(PolicyArn=arn, VersionId=shown["DefaultVersionId"])["PolicyVersion"]["Document"]
    assert document["Statement"][0]["Action"] == ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    names = {
        p["PolicyName"]
        for page in iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 20})
        for p in page["Policies"]
    }
    assert {"AdministratorAccess", "AmazonDynamoDBReadOnlyAccess", "AWSXRayDaemonWriteAccess"} <= names


def test_attach_says_what_is_wrong(iam, user):
    attach = iam.attach_user_policy
    refused(attach, "ValidationError", "Invalid ARN:  Could not be parsed!", 400, UserName=user, PolicyArn="longpolicynamebutnoarn")
    missing = f"arn:aws:iam::{ACCOUNT}:policy/missing"
    refused(attach, "NoSuchEntity", f"Policy {missing} does not exist or is not attachable.", 404, UserName=user, PolicyArn=missing)
    refused(iam.delete_policy, "NoSuchEntity", f"Policy {missing} was not found.", 404, PolicyArn=missing)


@pytest.mark.parametrize(
    "document, message",
    [
        ("not json", "Syntax errors in policy."),
        (json.dumps({**allow("s3:*"), "Version": "2008-10-17"}), "Policy document must be version 2012-10-17 or greater."),
        (json.dumps(allow("s3:*", "bucket")), 'Resource bucket must be in ARN format or "*".'),
        (json.dumps(allow("everything")), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (json.dumps(allow("s3:*", Principal="*")), "Policy document should not specify a principal."),
    ],
)
def test_bad_policies(iam, unique, document, message):
    refused(iam.create_policy, "MalformedPolicyDocument", message, 400, PolicyName=unique("p"), PolicyDocument=document)


def test_inline_policies_keep_their_text(iam, user):
    document = allow("apigateway:PUT", "arn:aws:apigateway:us-east-1::/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fx")
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(document))
    assert iam.get_user_policy(UserName=user, PolicyName="p")["PolicyDocument"] == document
    assert iam.list_user_policies(UserName=user)["PolicyNames"] == ["p"]
    refused(iam.get_user_policy, "NoSuchEntity", "The user policy with name q cannot be found.", UserName=user, PolicyName="q")
    big = allow("s3:*", [f"arn:aws:s3:::bucket-{n:04}/*" for n in range(80)])
    refused(iam.put_user_policy, "LimitExceeded", f"Maximum policy size of 2048 bytes exceeded for user {user}",
            UserName=user, PolicyName="big", PolicyDocument=json.dumps(big))


def test_access_keys(iam, client, user):
    first = iam.create_access_key(UserName=user)["AccessKey"]
    assert first["AccessKeyId"].startswith("AKIA") and len(first["SecretAccessKey"]) == 40
    second = iam.create_access_key(UserName=user)["AccessKey"]
    refused(iam.create_access_key, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409, UserName=user)
    assert {k["AccessKeyId"] for k in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]} == {
        first["AccessKeyId"], second["AccessKeyId"]
    }
    sts = client("sts", keys=(first["AccessKeyId"], first["SecretAccessKey"], None))
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{user}"
    assert client("sts").get_access_key_info(AccessKeyId=first["AccessKeyId"])["Account"] == ACCOUNT

    unused = iam.get_access_key_last_used(AccessKeyId=second["AccessKeyId"])
    assert unused["UserName"] == user
    assert unused["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    sts.get_caller_identity()
    used = iam.get_access_key_last_used(AccessKeyId=first["AccessKeyId"])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("sts", "us-east-1") and used["LastUsedDate"]

    iam.update_access_key(UserName=user, AccessKeyId=first["AccessKeyId"], Status="Inactive")
    refused(sts.get_caller_identity, "InvalidClientTokenId", status=403)
    iam.update_access_key(UserName=user, AccessKeyId=first["AccessKeyId"], Status="Active")
    sts.get_caller_identity()
    iam.delete_access_key(UserName=user, AccessKeyId=first["AccessKeyId"])
    refused(sts.get_caller_identity, "InvalidClientTokenId", status=403)
    refused(iam.delete_access_key, "NoSuchEntity", UserName=user, AccessKeyId=first["AccessKeyId"])
    refused(iam.delete_user, "DeleteConflict", "Cannot delete entity, must delete access keys first.", UserName=user)


def test_service_specific_credentials(iam, user):
    made = iam.create_service_specific_credential(UserName=user, ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredential"]
    assert made["ServiceUserName"] == f"{user}-at-000000000000" and len(made["ServicePassword"]) == 44
    one = {"UserName": user, "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    iam.update_service_specific_credential(Status="Inactive", **one)
    (listed,) = iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]
    assert listed["Status"] == "Inactive" and "ServicePassword" not in listed
    assert iam.list_service_specific_credentials(UserName=user, ServiceName="cassandra.amazonaws.com")["ServiceSpecificCredentials"] == []
    everybody = iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"]
    assert made["ServiceSpecificCredentialId"] in [c["ServiceSpecificCredentialId"] for c in everybody]
    again = iam.reset_service_specific_credential(**one)["ServiceSpecificCredential"]
    assert again["ServicePassword"] != made["ServicePassword"]
    second = iam.create_service_specific_credential(UserName=user, ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredential"]
    assert second["ServiceUserName"] == f"{user}+1-at-000000000000"
    refused(iam.create_service_specific_credential, "LimitExceeded", UserName=user, ServiceName="codecommit.amazonaws.com")
    refused(iam.create_service_specific_credential, "NoSuchEntity", UserName=user, ServiceName="lambda.amazonaws.com")
    refused(iam.create_service_specific_credential, "NoSuchEntity", UserName="nobody", ServiceName="codecommit.amazonaws.com")
    refused(iam.delete_user, "DeleteConflict", UserName=user)
    for credential in (made, second):
        iam.delete_service_specific_credential(UserName=user, ServiceSpecificCredentialId=credential["ServiceSpecificCredentialId"])
    refused(iam.reset_service_specific_credential, "NoSuchEntity", **one)


def test_tags(iam, user):
    iam.tag_user(UserName=user, Tags=[{"Key": "Team", "Value": "a"}, {"Key": "env", "Value": "b"}])
    iam.tag_user(UserName=user, Tags=[{"Key": "team", "Value": "c"}])
    tags = iam.list_user_tags(UserName=user)["Tags"]
    assert sorted((t["Key"], t["Value"]) for t in tags) == [("env", "b"), ("team", "c")]
    refused(iam.tag_user, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            UserName=user, Tags=[{"Key": "x", "Value": ""}, {"Key": "X", "Value": ""}])
    iam.untag_user(UserName=user, TagKeys=["TEAM"])
    assert [t["Key"] for t in iam.list_user_tags(UserName=user)["Tags"]] == ["env"]


def test_instance_profiles(iam, unique):
    name = unique("x")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    made = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert made["InstanceProfileId"].startswith("AIPA") and made["Roles"] == []
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    refused(iam.add_role_to_instance_profile, "LimitExceeded",
            "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", InstanceProfileName=name, RoleName=name)
    assert iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"][0]["RoleName"] == name
    assert len(iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]) == 1
    refused(iam.delete_role, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", RoleName=name)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    refused(iam.get_instance_profile, "NoSuchEntity", f"Instance Profile {name} cannot be found.", InstanceProfileName=name)


def test_service_linked_roles(iam):
    role = iam.create_service_linked_role(AWSServiceName="batch.amazonaws.com")["Role"]
    assert role["Arn"].endswith(":role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch")
    refused(iam.create_service_linked_role, "InvalidInput",
            "Service role name AWSServiceRoleForBatch has been taken in this account, please try a different suffix.",
            AWSServiceName="batch.amazonaws.com")
    refused(iam.create_service_linked_role, "InvalidInput", "Custom suffix is not allowed for batch.amazonaws.com",
            AWSServiceName="batch.amazonaws.com", CustomSuffix="x")
    refused(iam.delete_role, "UnmodifiableEntity", RoleName="AWSServiceRoleForBatch")
    task = iam.delete_service_linked_role(RoleName="AWSServiceRoleForBatch")["DeletionTaskId"]
    assert task.startswith("task/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch/")
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"


def test_open_id_connect_providers(iam, unique):
    host = unique("idp") + ".example.com"
    arn = iam.create_open_id_connect_provider(
        Url=f"https://{host}", ClientIDList=["a"], ThumbprintList=["0" * 40]
    )["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    shown = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (shown["Url"], shown["ClientIDList"]) == (host, ["a", "b"])
    assert arn in [p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    refused(iam.get_open_id_connect_provider, "NoSuchEntity", OpenIDConnectProviderArn=arn)


def test_pages(iam, unique):
    path = f"/{unique('path')}/"
    names = [unique("user") for _ in range(5)]
    for name in names:
        iam.create_user(UserName=name, Path=path)
    first = iam.list_users(PathPrefix=path, MaxItems=2)
    assert first["IsTruncated"] and len(first["Users"]) == 2
    found = [
        u["UserName"]
        for page in iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
        for u in page["Users"]
    ]
    assert found == sorted(names)


def test_account(iam, unique):
    alias = unique("alias")
    iam.create_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [alias]
    iam.delete_account_alias(AccountAlias=alias)
    assert iam.get_account_summary()["SummaryMap"]["AccessKeysPerUserQuota"] == 2
    details = iam.get_account_authorization_details(Filter=["Role"])
    assert details["UserDetailList"] == []


def test_validation_sentence(client, iam):
    from botocore.config import Config

    loose = client("iam", config=Config(parameter_validation=False))
    error = refused(loose.create_user, "ValidationError", status=400, UserName="bad name!")
    assert error["Error"]["Message"] == (
        "1 validation error detected: Value at 'userName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [\\w+=,.@-]+"
    )


# -- policies hold --


def test_a_user_without_a_policy_can_do_nothing(client, user, keys, table):
    dynamodb = client("dynamodb", keys=keys)
    error = refused(lambda: put(dynamodb, table), "AccessDeniedException", status=400)
    assert error["Error"]["Message"] == (
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: dynamodb:PutItem on resource: "
        f"{table_arn(table)} because no identity-based policy allows the dynamodb:PutItem action"
    )
    mine = client("iam", keys=keys)
    error = refused(mine.create_user, "AccessDenied", status=403, UserName="other")
    assert error["Error"]["Message"] == (
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: iam:CreateUser on resource: "
        f"arn:aws:iam::{ACCOUNT}:user/other because no identity-based policy allows the iam:CreateUser action"
    )
    refused(mine.list_users, "AccessDenied")
    refused(mine.get_user, "AccessDenied")
    refused(mine.get_account_summary, "AccessDenied")
    assert client("sts", keys=keys).get_caller_identity()["Arn"].endswith(f":user/{user}")


def test_allow_deny_and_taking_away(client, iam, user, keys, table):
    dynamodb = client("dynamodb", keys=keys)
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(allow("dynamodb:*", table_arn(table))))
    put(dynamodb, table)
    refused(dynamodb.list_tables, "AccessDeniedException")
    deny = allow("dynamodb:PutItem", effect="Deny")
    iam.put_user_policy(UserName=user, PolicyName="q", PolicyDocument=json.dumps(deny))
    error = refused(lambda: put(dynamodb, table), "AccessDeniedException")
    assert error["Error"]["Message"].endswith("with an explicit deny in an identity-based policy")
    iam.delete_user_policy(UserName=user, PolicyName="q")
    put(dynamodb, table)
    iam.delete_user_policy(UserName=user, PolicyName="p")
    refused(lambda: put(dynamodb, table), "AccessDeniedException")


def test_group_and_managed_policies_hold(client, iam, unique, user, keys, table):
    dynamodb = client("dynamodb", keys=keys)
    group = unique("group")
    iam.create_group(GroupName=group)
    iam.attach_group_policy(GroupName=group, PolicyArn="arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess")
    refused(dynamodb.list_tables, "AccessDeniedException")
    iam.add_user_to_group(GroupName=group, UserName=user)
    dynamodb.list_tables()
    refused(lambda: put(dynamodb, table), "AccessDeniedException")

    arn = iam.create_policy(PolicyName=unique("p"), PolicyDocument=json.dumps(allow("dynamodb:PutItem")))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=user, PolicyArn=arn)
    put(dynamodb, table)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(allow("sqs:*")), SetAsDefault=True)
    refused(lambda: put(dynamodb, table), "AccessDeniedException")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    put(dynamodb, table)
    iam.remove_user_from_group(GroupName=group, UserName=user)
    refused(dynamodb.list_tables, "AccessDeniedException")


def test_boundary(client, iam, unique, user, keys, table):
    dynamodb = client("dynamodb", keys=keys)
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(allow("*")))
    bound = iam.create_policy(PolicyName=unique("b"), PolicyDocument=json.dumps(allow("dynamodb:List*")))["Policy"]["Arn"]
    put(dynamodb, table)
    iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary=bound)
    assert iam.get_user(UserName=user)["User"]["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": bound
    }
    dynamodb.list_tables()
    error = refused(lambda: put(dynamodb, table), "AccessDeniedException")
    assert error["Error"]["Message"].endswith("because no permissions boundary allows the dynamodb:PutItem action")
    refused(iam.delete_policy, "DeleteConflict", PolicyArn=bound)
    iam.delete_user_permissions_boundary(UserName=user)
    put(dynamodb, table)


def test_conditions_and_variables(client, iam, user, keys, table):
    dynamodb = client("dynamodb", keys=keys)

    def policy(document):
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(document))

    policy(allow("dynamodb:PutItem", Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["1"]}}))
    put(dynamodb, table)
    refused(dynamodb.put_item, "AccessDeniedException", TableName=table, Item={"id": {"S": "2"}})
    policy(allow("dynamodb:PutItem", Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}))
    refused(lambda: put(dynamodb, table), "AccessDeniedException")
    dynamodb.put_item(TableName=table, Item={"id": {"S": user}})
    policy(allow("dynamodb:PutItem", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}))
    put(dynamodb, table)
    policy(allow("dynamodb:PutItem", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    refused(lambda: put(dynamodb, table), "AccessDeniedException")
    iam.tag_user(UserName=user, Tags=[{"Key": "team", "Value": "red"}])
    policy(allow("dynamodb:PutItem", Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}}))
    put(dynamodb, table)
    iam.tag_user(UserName=user, Tags=[{"Key": "team", "Value": "blue"}])
    refused(lambda: put(dynamodb, table), "AccessDeniedException")


def test_iam_targets_carry_path_and_tags(client, iam, unique, user, keys):
    other = unique("other")
    iam.create_user(UserName=other, Path="/admins/", Tags=[{"Key": "kind", "Value": "human"}])
    mine = client("iam", keys=keys)
    policy = allow("iam:GetUser", "*")
    policy["Statement"].append(
        {"Effect": "Deny", "Action": "iam:*", "Resource": f"arn:aws:iam::{ACCOUNT}:user/admins/*"}
    )
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
    assert mine.get_user()["User"]["UserName"] == user
    refused(mine.get_user, "AccessDenied", UserName=other)
    only = allow("iam:GetUser", "*", Condition={"StringEquals": {"aws:ResourceTag/kind": "human"}})
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(only))
    mine.get_user(UserName=other)
    refused(mine.get_user, "AccessDenied", UserName=user)


def test_the_simulator_agrees(client, iam, unique, user, keys, table):
    dynamodb = client("dynamodb", keys=keys)
    document = {
        "Version": "2012-10-17",
        "Statement": {"Sid": "", "Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"},
    }
    arn = iam.create_policy(PolicyName=unique("p"), PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=user, PolicyArn=arn)
    source = f"arn:aws:iam::{ACCOUNT}:user/{user}"
    answer = iam.simulate_principal_policy(
        PolicySourceArn=source,
        ActionNames=["dynamodb:PutItem", "dynamodb:ListTables"],
        ResourceArns=[table_arn(table)],
    )
    results = answer["EvaluationResults"]
    assert [r["EvalDecision"] for r in results] == ["allowed", "implicitDeny"]
    assert not answer["IsTruncated"]
    matched = results[0]["MatchedStatements"][0]
    assert matched["SourcePolicyType"] == "IAM Policy"
    assert (matched["StartPosition"], matched["EndPosition"]) == (
        {"Line": 1, "Column": 41}, {"Line": 1, "Column": 117}
    )
    assert results[0]["ResourceSpecificResults"][0]["EvalResourceDecision"] == "allowed"
    assert results[0]["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": True}
    put(dynamodb, table)
    refused(dynamodb.list_tables, "AccessDeniedException")

    custom = iam.simulate_custom_policy(
        PolicyInputList=[json.dumps(allow("s3:*", Condition={"StringEquals": {"aws:PrincipalTag/x": "y"}}))],
        ActionNames=["s3:GetObject"],
    )["EvaluationResults"][0]
    assert custom["EvalDecision"] == "implicitDeny" and custom["MissingContextValues"] == ["aws:PrincipalTag/x"]
    keys_named = iam.get_context_keys_for_custom_policy(
        PolicyInputList=[json.dumps(allow("s3:*", "arn:aws:s3:::b/${aws:username}"))]
    )
    assert keys_named["ContextKeyNames"] == ["aws:username"]


# -- CloudFormation --


def test_a_stack_of_iam(client, iam, unique):
    cloudformation = client("cloudformation")
    stack = unique("stack")
    trust = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"Service": "lambda.amazonaws.com"}}]}
    template = {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": trust,
                    "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
                    "Policies": [{"PolicyName": "inline", "PolicyDocument": allow("s3:GetObject")}],
                },
            },
            "Managed": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"PolicyDocument": allow("sqs:*"), "Roles": [{"Ref": "Role"}]},
            },
            "Inline": {
                "Type": "AWS::IAM::Policy",
                "Properties": {"PolicyName": "more", "PolicyDocument": allow("sns:*"), "Roles": [{"Ref": "Role"}]},
            },
            "Group": {"Type": "AWS::IAM::Group"},
            "User": {"Type": "AWS::IAM::User", "Properties": {"Groups": [{"Ref": "Group"}]}},
            "Key": {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "User"}}},
            "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}},
        },
        "Outputs": {
            "RoleName": {"Value": {"Ref": "Role"}},
            "RoleArn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}},
            "Policy": {"Value": {"Ref": "Managed"}},
            "User": {"Value": {"Fn::GetAtt": ["User", "Arn"]}},
            "KeyId": {"Value": {"Ref": "Key"}},
            "Secret": {"Value": {"Fn::GetAtt": ["Key", "SecretAccessKey"]}},
        },
    }
    capabilities = ["CAPABILITY_NAMED_IAM"]
    refused(cloudformation.create_stack, "InsufficientCapabilitiesException", StackName=stack, TemplateBody=json.dumps(template))
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template), Capabilities=capabilities)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in outputs}
    role = outputs["RoleName"]
    assert role.startswith(f"{stack}-Role-") and outputs["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/{role}"
    assert sorted(iam.list_role_policies(RoleName=role)["PolicyNames"]) == ["inline", "more"]
    attached = [p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
    assert outputs["Policy"] in attached and len(attached) == 2
    who = client("sts", keys=(outputs["KeyId"], outputs["Secret"], None)).get_caller_identity()
    assert who["Arn"] == outputs["User"]

    template["Resources"]["Managed"]["Properties"]["PolicyDocument"] = allow("sqs:SendMessage")
    del template["Resources"]["Inline"]
    cloudformation.update_stack(StackName=stack, TemplateBody=json.dumps(template), Capabilities=capabilities)
    cloudformation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["inline"]
    assert iam.get_policy(PolicyArn=outputs["Policy"])["Policy"]["DefaultVersionId"] == "v2"

    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    refused(iam.get_role, "NoSuchEntity", RoleName=role)
    refused(iam.get_policy, "NoSuchEntity", PolicyArn=outputs["Policy"])
    refused(client("sts", keys=(outputs["KeyId"], outputs["Secret"], None)).get_caller_identity, "InvalidClientTokenId")
