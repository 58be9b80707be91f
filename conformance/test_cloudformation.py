"""CloudFormation through boto3 and the AWS CLI: stacks, change sets, deploy, package, nested stacks, exports."""

import io
import json
import subprocess
import time
import zipfile

import pytest
from botocore.exceptions import ClientError, WaiterError

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    },
}

TABLE = """
AWSTemplateFormatVersion: 2010-09-09
Description: A table and a bucket
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Secret: {Type: String, NoEcho: true, Default: hidden}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
  Bucket:
    Type: AWS::S3::Bucket
    Condition: IsProd
Outputs:
  Table: {Value: !Ref Table, Export: {Name: !Sub "${AWS::StackName}-table"}}
  Arn: {Value: !GetAtt Table.Arn}
  Where: {Value: !Sub "${AWS::Region}/${AWS::AccountId}/${Stage}"}
"""


@pytest.fixture
def cfn(client):
    return client("cloudformation")


@pytest.fixture
def stacks(cfn, unique):
    """stacks(template, ...) → the name of a stack that is gone after the test."""
    made = []

    def create(template, name=None, wait=True, **options):
        name = name or unique("stack")
        made.append(name)
        cfn.create_stack(StackName=name, TemplateBody=template, **options)
        if wait:
            wait_for(cfn, "stack_create_complete", name)
        return name

    yield create
    for name in reversed(made):
        cfn.delete_stack(StackName=name)
        wait_for(cfn, "stack_delete_complete", name)


def wait_for(cfn, what, name, **more):
    cfn.get_waiter(what).wait(StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}, **more)


def outputs(cfn, name):
    stack = cfn.describe_stacks(StackName=name)["Stacks"][0]
    return {it["OutputKey"]: it["OutputValue"] for it in stack.get("Outputs", [])}


def error(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_life_of_a_stack(cfn, client, stacks):
    name = stacks(TABLE, Parameters=[{"ParameterKey": "Stage", "ParameterValue": "prod"}], Tags=[{"Key": "a", "Value": "b"}])
    stack = cfn.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Description"] == "A table and a bucket"
    assert stack["Tags"] == [{"Key": "a", "Value": "b"}]
    assert {"ParameterKey": "Secret", "ParameterValue": "****"} in stack["Parameters"]
    values = outputs(cfn, name)
    assert values["Where"] == "us-east-1/000000000000/prod"
    assert values["Table"].startswith(f"{name}-Table-")
    table = client("dynamodb").describe_table(TableName=values["Table"])["Table"]
    assert table["TableArn"] == values["Arn"]
    bucket = cfn.describe_stack_resource(StackName=name, LogicalResourceId="Bucket")["StackResourceDetail"]["PhysicalResourceId"]
    client("s3").head_bucket(Bucket=bucket)
    events = cfn.describe_stack_events(StackName=name)["StackEvents"]
    assert events[-1]["ResourceStatusReason"] == "User Initiated"
    assert events[0]["ResourceStatus"] == "CREATE_COMPLETE" and events[0]["ResourceType"] == "AWS::CloudFormation::Stack"
    listed = cfn.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert [it["LogicalResourceId"] for it in listed] == ["Bucket", "Table"]
    # The bucket goes with its condition; the table stays.
    cfn.update_stack(StackName=name, UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Stage", "ParameterValue": "dev"}])
    wait_for(cfn, "stack_update_complete", name)
    assert outputs(cfn, name)["Table"] == values["Table"]
    with pytest.raises(ClientError):
        client("s3").head_bucket(Bucket=bucket)
    code, message = error(cfn.update_stack, StackName=name, UsePreviousTemplate=True)
    assert (code, message) == ("ValidationError", "No updates are to be performed.")
    cfn.delete_stack(StackName=name)
    wait_for(cfn, "stack_delete_complete", name)
    assert error(cfn.describe_stacks, StackName=name) == ("ValidationError", f"Stack with id {name} does not exist")
    assert values["Table"] not in client("dynamodb").list_tables()["TableNames"]
    gone = cfn.describe_stacks(StackName=stack["StackId"])["Stacks"][0]
    assert gone["StackStatus"] == "DELETE_COMPLETE"


def test_templates(cfn):
    summary = cfn.get_template_summary(TemplateBody=TABLE)
    assert summary["ResourceTypes"] == ["AWS::DynamoDB::Table", "AWS::S3::Bucket"]
    assert summary["Description"] == "A table and a bucket"
    assert [it["ParameterKey"] for it in summary["Parameters"]] == ["Stage", "Secret"]
    assert summary["Parameters"][0]["ParameterConstraints"] == {"AllowedValues": ["dev", "prod"]}
    validated = cfn.validate_template(TemplateBody=json.dumps({"Resources": {"R": ROLE}}))
    assert validated["Capabilities"] == ["CAPABILITY_IAM"]
    assert validated["CapabilitiesReason"] == "The following resource(s) require capabilities: [AWS::IAM::Role]"
    wrong = [
        ("{}", "Template format error: At least one Resources member must be defined."),
        ('{"this is invalid JSON"="bobbins"}', "Template format error: JSON not well-formed. (line 1, column 25)"),
        ('{"Resources": {"A": {"Type": "AWS::Nope::Nope"}}}', "Template format error: Unrecognized resource types: [AWS::Nope::Nope]"),
        ('{"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Ref": "B"}}}}}',
         "Template format error: Unresolved resource dependencies [B] in the Resources block of the template"),
    ]
    for template, sentence in wrong:
        assert error(cfn.validate_template, TemplateBody=template) == ("ValidationError", sentence)


def test_capabilities(cfn, client, stacks, unique):
    template = json.dumps({"Resources": {"R": ROLE}})
    code, message = error(cfn.create_stack, StackName=unique("iam"), TemplateBody=template)
    assert (code, message) == ("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]")
    name = stacks(template, Capabilities=["CAPABILITY_IAM"])
    role = cfn.describe_stack_resources(StackName=name)["StackResources"][0]["PhysicalResourceId"]
    assert role.startswith(f"{name}-R-")
    assert client("iam").get_role(RoleName=role)["Role"]["RoleName"] == role


def test_change_sets(cfn, stacks, unique):
    name, first = unique("stack"), unique("set")
    made = cfn.create_change_set(StackName=name, ChangeSetName=first, ChangeSetType="CREATE", TemplateBody=TABLE)
    cfn.get_waiter("change_set_create_complete").wait(ChangeSetName=made["Id"], WaiterConfig={"Delay": 0.1})
    shown = cfn.describe_change_set(ChangeSetName=first, StackName=name)
    assert [it["ResourceChange"]["Action"] for it in shown["Changes"]] == ["Add"]
    assert shown["Parameters"][1] == {"ParameterKey": "Secret", "ParameterValue": "****"}
    assert cfn.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    cfn.execute_change_set(ChangeSetName=first, StackName=name)
    wait_for(cfn, "stack_create_complete", name)
    assert cfn.describe_change_set(ChangeSetName=made["Id"])["ExecutionStatus"] == "EXECUTE_COMPLETE"
    same = cfn.create_change_set(StackName=name, ChangeSetName=unique("set"), TemplateBody=TABLE)
    shown = cfn.describe_change_set(ChangeSetName=same["Id"])
    assert shown["Status"] == "FAILED"
    assert shown["StatusReason"] == (
        "The submitted information didn't contain changes. Submit different information to create a change set."
    )
    code, message = error(cfn.execute_change_set, ChangeSetName=same["Id"])
    assert (code, message) == ("InvalidChangeSetStatus", f"ChangeSet [{same['Id']}] cannot be executed in its current status of [FAILED]")
    other = cfn.create_change_set(
        StackName=name, ChangeSetName=unique("set"), TemplateBody=TABLE.replace("PAY_PER_REQUEST", "PAY_PER_REQUEST\n      TableName: other-" + name)
    )
    change = cfn.describe_change_set(ChangeSetName=other["Id"], IncludePropertyValues=True)["Changes"][0]["ResourceChange"]
    assert (change["Replacement"], change["PolicyAction"]) == ("True", "ReplaceAndDelete")
    assert change["Details"][0]["Target"]["AfterValue"] == "other-" + name
    cfn.delete_change_set(ChangeSetName=other["Id"])
    assert error(cfn.describe_change_set, ChangeSetName=other["Id"])[0] == "ChangeSetNotFound"
    cfn.delete_stack(StackName=name)
    wait_for(cfn, "stack_delete_complete", name)


FAILS = """
Resources:
  First: {Type: AWS::Logs::LogGroup}
  Second: {Type: AWS::Logs::LogGroup, DependsOn: First, Properties: {RetentionInDays: 4}}
"""


def test_the_execution_of_a_change_set_can_fail(cfn, unique):
    name = unique("stack")
    made = cfn.create_change_set(StackName=name, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=FAILS)
    cfn.execute_change_set(ChangeSetName=made["Id"])
    with pytest.raises(WaiterError):
        wait_for(cfn, "stack_create_complete", name)
    assert cfn.describe_change_set(ChangeSetName=made["Id"])["ExecutionStatus"] == "EXECUTE_FAILED"
    cfn.delete_stack(StackName=name)


NOTHING = """
Conditions: {Never: !Equals [a, b]}
Resources:
  Logs: {Type: AWS::Logs::LogGroup, Condition: Never}
"""


def test_a_new_stack_may_have_nothing(cfn, unique):
    """Recorded on AWS: a template whose conditions leave no resource is deployed."""
    name = unique("stack")
    made = cfn.create_change_set(StackName=name, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=NOTHING)
    assert cfn.describe_change_set(ChangeSetName=made["Id"])["Status"] == "CREATE_COMPLETE"
    cfn.execute_change_set(ChangeSetName=made["Id"])
    wait_for(cfn, "stack_create_complete", name)
    cfn.delete_stack(StackName=name)


INCLUDE = """
Parameters: {Bucket: {Type: String}}
Mappings: {Where: {Here: {Key: part.yaml}}}
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    Properties:
      Fn::Transform:
        Name: AWS::Include
        Parameters:
          Location: !Sub ["s3://${Bucket}/${Key}", {Key: !FindInMap [Where, Here, Key]}]
"""


def test_an_include_finds_its_place_by_parameters(cfn, client, stacks, unique):
    bucket, group = unique("bucket"), unique("group")
    client("s3").create_bucket(Bucket=bucket)
    client("s3").put_object(Bucket=bucket, Key="part.yaml", Body=f"LogGroupName: {group}\n".encode())
    stacks(
        INCLUDE,
        Parameters=[{"ParameterKey": "Bucket", "ParameterValue": bucket}],
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )
    assert client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]


def test_failed_creation_leaves_nothing(cfn, client, stacks, unique):
    taken = unique("bucket")
    client("s3", keys=("test", "test", None)).create_bucket(Bucket=taken)
    template = json.dumps({"Resources": {
        "Good": {"Type": "AWS::S3::Bucket"},
        "Bad": {"Type": "AWS::DynamoDB::Table", "DependsOn": "Good", "Properties": {"KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}]}},
    }})
    name = stacks(template, wait=False)
    for _ in range(300):
        stack = cfn.describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(0.1)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = cfn.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [it.get("ResourceStatusReason", "") for it in events]
    assert "The following resource(s) failed to create: [Bad]. Rollback requested by user." in reasons
    buckets = [it["Name"] for it in client("s3").list_buckets()["Buckets"]]
    assert not [it for it in buckets if it.startswith(name)]
    client("s3").delete_bucket(Bucket=taken)


def test_exports(cfn, stacks):
    exporter = stacks(TABLE)
    user = stacks(json.dumps({
        "Resources": {"B": {"Type": "AWS::S3::Bucket", "Properties": {"Tags": [{"Key": "t", "Value": {"Fn::ImportValue": f"{exporter}-table"}}]}}},
    }))
    assert cfn.list_imports(ExportName=f"{exporter}-table")["Imports"] == [user]
    exports = {it["Name"]: it["Value"] for it in cfn.list_exports()["Exports"]}
    assert exports[f"{exporter}-table"] == outputs(cfn, exporter)["Table"]


def test_deploy_and_package(aws, cfn, client, unique, tmp_path):
    name, bucket = unique("deploy"), unique("artifacts")
    client("s3").create_bucket(Bucket=bucket)
    child = tmp_path / "child.yaml"
    child.write_text(TABLE)
    parent = tmp_path / "parent.yaml"
    parent.write_text(
        "Resources:\n"
        "  Child:\n"
        "    Type: AWS::CloudFormation::Stack\n"
        "    Properties:\n"
        "      TemplateURL: child.yaml\n"
        "      Parameters: {Stage: prod}\n"
        "Outputs:\n"
        "  Table: {Value: !GetAtt Child.Outputs.Table}\n"
    )
    packaged = tmp_path / "packaged.yaml"
    aws("cloudformation", "package", "--template-file", str(parent), "--s3-bucket", bucket, "--output-template-file", str(packaged))
    deploy = ["cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", name, "--s3-bucket", bucket]
    aws(*deploy)
    table = outputs(cfn, name)["Table"]
    assert table in client("dynamodb").list_tables()["TableNames"]
    time.sleep(1.1)  # the CLI names its change sets by the second
    again = aws(*deploy, "--no-fail-on-empty-changeset")
    assert "No changes to deploy" in str(again)
    cfn.delete_stack(StackName=name)
    wait_for(cfn, "stack_delete_complete", name)
    assert table not in client("dynamodb").list_tables()["TableNames"]
    drop_bucket(client("s3"), bucket)


def test_authorisation(cfn, client, unique):
    iam = client("iam")
    user = unique("user")
    iam.create_user(UserName=user)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    own = client("cloudformation", keys=(key["AccessKeyId"], key["SecretAccessKey"], None))
    name = unique("denied")
    own.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"B": {"Type": "AWS::S3::Bucket"}}}))
    for _ in range(300):
        status = cfn.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        if not status.endswith("_IN_PROGRESS"):
            break
        time.sleep(0.1)
    assert status == "ROLLBACK_COMPLETE"
    reasons = [it.get("ResourceStatusReason", "") for it in cfn.describe_stack_events(StackName=name)["StackEvents"]]
    denied = [it for it in reasons if "AccessDenied" in it]
    assert denied and "is not authorized to perform: s3:" in denied[0], denied
    cfn.delete_stack(StackName=name)
    wait_for(cfn, "stack_delete_complete", name)
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=user, PolicyName="p")
    iam.delete_user(UserName=user)


def drop_bucket(s3, bucket):
    for it in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=it["Key"])
    s3.delete_bucket(Bucket=bucket)


def test_sam_deploy(environment, cfn, client, unique, tmp_path):
    name, bucket = unique("sam"), unique("artifacts")
    client("s3").create_bucket(Bucket=bucket)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/index.py").write_text("def handler(event, context):\n    return event\n")
    template = tmp_path / "template.yaml"
    template.write_text("""
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Handler: index.handler, Runtime: python3.11, CodeUri: src, Policies: AmazonDynamoDBReadOnlyAccess}
  Data:
    Type: AWS::Serverless::SimpleTable
Outputs:
  Function: {Value: !Ref Hello}
""")

    def sam(*arguments):
        done = subprocess.run(["sam", *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    deploy = ["deploy", "--stack-name", name, "--s3-bucket", bucket, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    code, text = sam(*deploy)
    assert code == 0, text
    listed = cfn.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert [it["LogicalResourceId"] for it in listed] == ["Data", "Hello", "HelloRole"]
    role = [it["PhysicalResourceId"] for it in listed if it["LogicalResourceId"] == "HelloRole"][0]
    policies = client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert sorted(it["PolicyName"] for it in policies) == ["AWSLambdaBasicExecutionRole", "AmazonDynamoDBReadOnlyAccess"]
    code, text = sam(*deploy)
    assert code != 0 and "No changes to deploy" in text
    processed = cfn.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
    assert processed["Resources"]["Hello"]["Type"] == "AWS::Lambda::Function"
    code, text = sam("delete", "--stack-name", name, "--no-prompts", "--region", "us-east-1")
    assert code == 0, text
    assert error(cfn.describe_stacks, StackName=name)[0] == "ValidationError"
    drop_bucket(client("s3"), bucket)


DECK = """AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Description: Simple CRUD webservice.
Resources:
  APIGatewayGetAPI:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      DefinitionUri: swaggerFile.yml
  LambdaGetFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.get
      Runtime: nodejs4.3
      CodeUri: s3://<bucket>/api_backend.zip
      Policies: AmazonDynamoDBReadOnlyAccess
      Events:
        GetResource:
          Type: Api
          Properties:
            Path: /resource/{resourceId}
            Method: get
  DynamoDBTable:
    Type: AWS::Serverless::SimpleTable
    PrimaryKey:
      Name: id
      Type: String
    ProvisionedThroughput:
      ReadCapacityUnits: 5
      WriteCapacityUnits: 5
"""

SWAGGER = """
swagger: '2.0'
info: {title: api, version: '1'}
paths:
  /ping:
    get:
      responses: {'200': {description: ok}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses: {default: {statusCode: '200'}}
"""


def test_the_decks_template(aws, cfn, client, unique, tmp_path):
    api = {"Resources": {"A": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "a"}}}}
    try:
        cfn.validate_template(TemplateBody=json.dumps(api))
    except ClientError:
        pytest.skip("this server has no types of API Gateway")
    name, bucket = unique("deck"), unique("artifacts")
    s3 = client("s3")
    s3.create_bucket(Bucket=bucket)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.js", "exports.get = (event, context) => context.done(null, {statusCode: 200, body: event.pathParameters.resourceId});")
    s3.put_object(Bucket=bucket, Key="api_backend.zip", Body=code.getvalue())
    (tmp_path / "swaggerFile.yml").write_text(SWAGGER)
    template = tmp_path / "template.yaml"
    template.write_text(DECK.replace("<bucket>", bucket))
    packaged = tmp_path / "packaged.yaml"
    aws("cloudformation", "package", "--template-file", str(template), "--s3-bucket", bucket, "--output-template-file", str(packaged))
    aws("cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", name, "--capabilities", "CAPABILITY_IAM")
    ids = [it["LogicalResourceId"] for it in cfn.list_stack_resources(StackName=name)["StackResourceSummaries"]]
    deployment = [it for it in ids if it.startswith("APIGatewayGetAPIDeployment")]
    assert len(deployment) == 1
    assert sorted(set(ids) - set(deployment)) == [
        "APIGatewayGetAPI", "APIGatewayGetAPIprodStage", "DynamoDBTable", "LambdaGetFunction",
        "LambdaGetFunctionGetResourcePermissionProd", "LambdaGetFunctionRole", "ServerlessRestApi",
        "ServerlessRestApiDeployment4da799d905", "ServerlessRestApiProdStage",
    ]
    assert cfn.describe_stacks(StackName=name)["Stacks"][0]["Description"] == "Simple CRUD webservice."
    summary = cfn.get_template_summary(TemplateBody=packaged.read_text())
    assert summary["DeclaredTransforms"] == ["AWS::Serverless-2016-10-31"]
    cfn.delete_stack(StackName=name)
    wait_for(cfn, "stack_delete_complete", name)
    drop_bucket(s3, bucket)


ANSWERING = """
import json, urllib.request
def handler(event, context):
    answer = {"Status": "SUCCESS", "PhysicalResourceId": "made-by-function", "StackId": event["StackId"],
              "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
              "Data": {"Echo": event["ResourceProperties"].get("Text", "")}}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT", headers={"content-type": ""})
    urllib.request.urlopen(request, timeout=10).read()
"""


def test_custom_resource_by_a_real_function(cfn, stacks):
    template = {
        "Resources": {
            "Role": ROLE,
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                "Handler": "index.handler", "Runtime": "python3.11", "Timeout": 20,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"ZipFile": ANSWERING},
            }},
            "Mine": {"Type": "Custom::Mine", "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "Text": "hello"}},
        },
        "Outputs": {"Echo": {"Value": {"Fn::GetAtt": ["Mine", "Echo"]}}, "Id": {"Value": {"Ref": "Mine"}}},
    }
    name = stacks(json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    assert outputs(cfn, name) == {"Echo": "hello", "Id": "made-by-function"}
