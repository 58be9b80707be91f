"""The main job: the deck's "Simple CRUD webservice", deployed with the tools people have, and called."""

import json
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

from conftest import needs

CRUD = pathlib.Path(__file__).resolve().parent.parent / "examples" / "crud"
RESOURCES = {
    "LambdaGetFunctionRole",
    "LambdaGetFunction",
    "LambdaGetFunctionGetResourcePermissionProd",
    "ServerlessRestApi",
    "ServerlessRestApiDeployment4da799d905",
    "ServerlessRestApiProdStage",
    "APIGatewayGetAPI",
    "APIGatewayGetAPIprodStage",
    "DynamoDBTable",
}


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read() or b"null")


def physical(client, stack):
    resources = client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    assert all(resource["ResourceStatus"].endswith("_COMPLETE") for resource in resources)
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}


def function_url(endpoint, made, path="/resource/42"):
    return f"{endpoint}/restapis/{made['ServerlessRestApi']}/Prod/_user_request_{path}"


@pytest.fixture
def deck(tmp_path, client, unique, aws):
    """The printed template, its code in a bucket; yields (folder, bucket)."""
    bucket = unique("code")
    client("s3").create_bucket(Bucket=bucket)
    archive = tmp_path / "api_backend.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for file in (CRUD / "api_backend").iterdir():
            out.write(file, file.name)
    aws("s3", "cp", str(archive), f"s3://{bucket}/api_backend.zip")
    (tmp_path / "template.yaml").write_text((CRUD / "deck.yaml").read_text().replace("<bucket>", bucket))
    shutil.copy(CRUD / "swaggerFile.yml", tmp_path)
    return tmp_path, bucket


@needs("node")
def test_the_deck_as_printed(deck, client, endpoint, aws, unique):
    folder, bucket = deck
    stack = unique("crud")
    aws(
        "cloudformation", "package", "--template-file", "template.yaml", "--s3-bucket", bucket,
        "--output-template-file", "packaged.yaml", cwd=folder,
    )  # fmt: skip
    aws(
        "cloudformation", "deploy", "--template-file", "packaged.yaml", "--stack-name", stack,
        "--capabilities", "CAPABILITY_IAM", cwd=folder,
    )  # fmt: skip
    cloudformation = client("cloudformation")
    assert cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    made = physical(client, stack)
    deployments = {name for name in made if name.startswith("APIGatewayGetAPIDeployment")}
    assert len(deployments) == 1
    assert set(made) - deployments == RESOURCES

    event = read_event(client, endpoint, made)
    assert event["pathParameters"] == {"resourceId": "42"}
    assert event["resource"] == "/resource/{resourceId}" and event["httpMethod"] == "GET"

    # The explicit API answers under its own stage.
    status, _, body = get(f"{endpoint}/restapis/{made['APIGatewayGetAPI']}/prod/_user_request_/status")
    assert (status, body) == (200, {"status": "ok", "stage": "prod"})
    status, headers, body = get(function_url(endpoint, made, "/nowhere"))
    assert (status, body) == (403, {"message": "Missing Authentication Token"})
    assert headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"

    table = client("dynamodb").describe_table(TableName=made["DynamoDBTable"])["Table"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    nothing_is_left(client, made)


def read_event(client, endpoint, made):
    """What the function gets for GET /resource/42: nodejs4.3 with context.done."""
    echo = b"exports.get = function (event, context) { context.done(null, {statusCode: 200, body: JSON.stringify(event)}); };"
    archive = pathlib.Path("/tmp") / f"echo-{made['LambdaGetFunction']}.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("index.js", echo)
    client("lambda").update_function_code(FunctionName=made["LambdaGetFunction"], ZipFile=archive.read_bytes())
    archive.unlink()
    status, _, event = get(function_url(endpoint, made))
    assert status == 200
    return event


def nothing_is_left(client, made):
    for call, error in [
        (lambda: client("lambda").get_function(FunctionName=made["LambdaGetFunction"]), "ResourceNotFoundException"),
        (lambda: client("iam").get_role(RoleName=made["LambdaGetFunctionRole"]), "NoSuchEntity"),
        (lambda: client("dynamodb").describe_table(TableName=made["DynamoDBTable"]), "ResourceNotFoundException"),
        (lambda: client("apigateway").get_rest_api(restApiId=made["ServerlessRestApi"]), "NotFoundException"),
        (lambda: client("apigateway").get_rest_api(restApiId=made["APIGatewayGetAPI"]), "NotFoundException"),
    ]:
        with pytest.raises(ClientError, match=error):
            call()


@needs("node")
def test_a_role_that_may_only_read(deck, client, endpoint, aws, unique):
    """AmazonDynamoDBReadOnlyAccess: the function reads its table and is refused a write."""
    folder, bucket = deck
    stack = unique("whole")
    subprocess.run(["cp", "-r", *map(str, CRUD.iterdir()), str(folder)], check=True)
    aws(
        "cloudformation", "package", "--template-file", "template.yaml", "--s3-bucket", bucket,
        "--output-template-file", "packaged.yaml", cwd=folder,
    )  # fmt: skip
    aws(
        "cloudformation", "deploy", "--template-file", "packaged.yaml", "--stack-name", stack,
        "--capabilities", "CAPABILITY_IAM", cwd=folder,
    )  # fmt: skip
    made = physical(client, stack)
    assert get(function_url(endpoint, made))[::2] == (200, {"resourceId": "42", "item": None})
    item = {"id": {"S": "42"}, "name": {"S": "Ada"}}
    client("dynamodb").put_item(TableName=made["DynamoDBTable"], Item=item)
    assert get(function_url(endpoint, made))[::2] == (200, {"resourceId": "42", "item": item})

    functions = client("lambda")
    functions.update_function_configuration(FunctionName=made["LambdaGetFunction"], Handler="index.put")
    answer = functions.invoke(FunctionName=made["LambdaGetFunction"], Payload=b'{"id": 7}')
    failure = json.loads(answer["Payload"].read())
    assert answer["FunctionError"]
    role = made["LambdaGetFunctionRole"]
    assert "AccessDeniedException" in failure["errorMessage"]
    assert f"assumed-role/{role}/" in failure["errorMessage"]
    assert "because no identity-based policy allows the dynamodb:PutItem action" in failure["errorMessage"]
    client("cloudformation").delete_stack(StackName=stack)


@needs("node")
@pytest.mark.slow
def test_sam_deploy(tmp_path, client, endpoint, environment, unique):
    stack = unique("sam")
    subprocess.run(["cp", "-r", *map(str, CRUD.iterdir()), str(tmp_path)], check=True)
    done = subprocess.run(
        [
            "sam", "deploy", "--resolve-s3", "--stack-name", stack, "--capabilities", "CAPABILITY_IAM",
            "--no-confirm-changeset", "--region", "us-east-1",
        ],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = physical(client, stack)
    assert get(function_url(endpoint, made))[::2] == (200, {"resourceId": "42", "item": None})
    client("cloudformation").delete_stack(StackName=stack)


def test_a_broken_update_rolls_back(client, unique):
    cloudformation, stack = client("cloudformation"), unique("rollback")
    good = {"Resources": {"Table": table_resource()}}
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(good))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    before = physical(client, stack)
    broken = json.loads(json.dumps(good))
    broken["Resources"]["Log"] = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "not a name!"}}
    broken["Resources"]["Table"]["Properties"]["Tags"] = [{"Key": "a", "Value": "b"}]
    cloudformation.update_stack(StackName=stack, TemplateBody=json.dumps(broken))
    with pytest.raises(Exception, match="UPDATE_ROLLBACK_COMPLETE"):
        cloudformation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    assert physical(client, stack) == before
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"] == "CREATE_FAILED"]
    assert failed and failed[0]["LogicalResourceId"] == "Log" and failed[0]["ResourceStatusReason"]
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client("dynamodb").describe_table(TableName=before["Table"])


def table_resource():
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    }
