"""Three nodes on one database: what one is told all know, work is done once, and a node that dies takes nothing with it."""

import io
import json
import threading
import time
import uuid
import zipfile

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cluster import Cluster, NoPostgres

NODES = 3
TABLE = dict(
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
ROLE = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


@pytest.fixture(scope="module")
def cluster():
    try:
        made = Cluster(NODES)
    except NoPostgres as why:
        pytest.skip(str(why))
    with made as running:
        yield running
        assert "panicked" not in running.log(), running.log()[-4000:]


@pytest.fixture
def at(client, cluster):
    """at(0, "dynamodb") → a client of one node; at(None, ...) → of the balancer, trying again as SDKs do."""

    def make(node, service):
        url = cluster.endpoint if node is None else cluster.nodes[node].endpoint
        retries = {"max_attempts": 10 if node is None else 0, "mode": "standard"}
        return client(service, url=url, config=Config(retries=retries))

    return make


def eventually(what, seconds=5):
    """What another node knows a moment later."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = what()
        except ClientError:
            value = None
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.01)


def test_all_nodes_have_the_same_root(cluster):
    roots = {node.endpoint: node.log().count("Root key") for node in cluster.nodes}
    assert set(roots.values()) == {0}, "development nodes do not show the root key"


def test_what_one_node_did_the_others_see_at_once(at, unique):
    name = unique()
    at(0, "dynamodb").create_table(TableName=name, **TABLE)
    for number in range(30):
        writer, reader = at(number % 3, "dynamodb"), at((number + 1) % 3, "dynamodb")
        writer.put_item(TableName=name, Item={"id": {"S": "x"}, "n": {"N": str(number)}})
        read = reader.get_item(TableName=name, Key={"id": {"S": "x"}}, ConsistentRead=True)
        assert read["Item"]["n"]["N"] == str(number)
    s3 = [at(node, "s3") for node in range(NODES)]
    s3[0].create_bucket(Bucket=name)
    body = uuid.uuid4().bytes * 20_000
    s3[1].put_object(Bucket=name, Key="large", Body=body)
    assert s3[2].get_object(Bucket=name, Key="large")["Body"].read() == body


def test_caches_of_other_nodes_are_woken(at, unique):
    name = unique()
    tables = [at(node, "dynamodb") for node in range(NODES)]
    tables[0].create_table(TableName=name, **TABLE)
    for table in tables:
        table.put_item(TableName=name, Item={"id": {"S": "x"}})
    index = {
        "IndexName": "by-a",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    definitions = TABLE["AttributeDefinitions"] + [{"AttributeName": "a", "AttributeType": "S"}]
    tables[0].update_table(
        TableName=name, AttributeDefinitions=definitions, GlobalSecondaryIndexUpdates=[{"Create": index}]
    )
    for table in tables:
        described = eventually(lambda table=table: table.describe_table(TableName=name)["Table"].get("GlobalSecondaryIndexes"))
        assert described, "a node does not know the new index"
    # Another table under the name of one that a node remembers.
    tables[0].delete_table(TableName=name)
    assert eventually(lambda: tables[1].create_table(TableName=name, **TABLE))
    assert eventually(lambda: tables[2].put_item(TableName=name, Item={"id": {"S": "y"}}))
    found = tables[1].scan(TableName=name, ConsistentRead=True)["Items"]
    assert [item["id"]["S"] for item in found] == ["y"]


def test_keys_and_policies_hold_on_every_node(at, client, cluster, unique):
    name = unique()
    iam = at(0, "iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    mine = (key["AccessKeyId"], key["SecretAccessKey"], None)
    for node in cluster.nodes:
        sts = client("sts", keys=mine, url=node.endpoint)
        assert eventually(lambda: sts.get_caller_identity()["Arn"].endswith(name))
    iam.update_access_key(UserName=name, AccessKeyId=mine[0], Status="Inactive")

    def refused(sts):
        try:
            sts.get_caller_identity()
        except ClientError as error:
            return error.response["Error"]["Code"] == "InvalidClientTokenId"

    for node in cluster.nodes:
        sts = client("sts", keys=mine, url=node.endpoint)
        assert eventually(lambda: refused(sts)), "a key that was put out of use still opens a node"


def test_work_is_done_once(at, unique):
    """Every node wakes for every task; one does it. Ended stacks say so: a second run would leave doubled events."""
    cloudformation = at(None, "cloudformation")
    template = {"Resources": {f"Logs{n}": {"Type": "AWS::Logs::LogGroup"} for n in range(3)}}
    names = [unique("s") for _ in range(8)]
    for name in names:
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    for name in names:
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        ends = [event["LogicalResourceId"] for event in events if event["ResourceStatus"] == "CREATE_COMPLETE"]
        assert sorted(ends) == sorted(["Logs0", "Logs1", "Logs2", name])


def packed(source):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("app.py", source)
    return archive.getvalue()


@pytest.mark.slow
def test_work_of_a_killed_node_is_taken_over(at, cluster, unique):
    """Functions that nobody waits for run on whatever node claims them; what dies with a node runs again on another."""
    name = unique("f")
    role = at(0, "iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ROLE))["Role"]["Arn"]
    logs = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    at(0, "iam").attach_role_policy(RoleName=name, PolicyArn=logs)
    source = "import time\ndef handler(event, context):\n    time.sleep(4)\n    print('ran', event['number'])\n"
    lambda_ = at(0, "lambda")
    lambda_.create_function(
        FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=role, Code={"ZipFile": packed(source)}, Timeout=10
    )
    lambda_.get_waiter("function_active_v2").wait(FunctionName=name)
    for number in range(9):
        event = json.dumps({"number": number})
        answer = at(number % NODES, "lambda").invoke(FunctionName=name, InvocationType="Event", Payload=event)
        assert answer["StatusCode"] == 202
    time.sleep(2)
    cluster.nodes[1].kill()

    def ran():
        pages = at(2, "logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}", filterPattern="ran")
        return sorted(int(event["message"].split()[1]) for page in pages for event in page["events"])

    assert eventually(lambda: set(ran()) == set(range(9)), seconds=90), f"ran: {ran()}"
    runs = ran()
    print(f"runs after the kill: {runs}")
    cluster.nodes[1].start()


def test_a_killed_node_takes_nothing_with_it(at, client, cluster, unique):
    name = unique()
    at(0, "dynamodb").create_table(TableName=name, **TABLE)
    at(0, "s3").create_bucket(Bucket=name)
    stop, kept, stacks = threading.Event(), [], []
    template = {
        "Resources": {f"Role{n}": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": ROLE}} for n in range(3)}
    }

    def write(worker):
        dynamodb, s3, cloudformation = (at(None, service) for service in ("dynamodb", "s3", "cloudformation"))
        number = 0
        while not stop.is_set():
            key = f"{worker}-{number}"
            try:
                dynamodb.put_item(TableName=name, Item={"id": {"S": key}})
                s3.put_object(Bucket=name, Key=key, Body=key.encode() * 10_000)
                kept.append(key)
                if number % 10 == 0:
                    stack = unique("k")
                    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
                    stacks.append(stack)
            except (BotoCoreError, ClientError):
                # Its node died under it: not acknowledged, nothing promised.
                pass
            number += 1

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(2)
    cluster.nodes[1].kill()
    before = len(kept)
    time.sleep(3)
    stop.set()
    for writer in writers:
        writer.join()
    assert len(kept) > before > 0, "the other nodes went on"
    dynamodb, s3 = at(2, "dynamodb"), at(2, "s3")
    for key in kept:
        assert "Item" in dynamodb.get_item(TableName=name, Key={"id": {"S": key}}, ConsistentRead=True), f"item {key} is lost"
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == key.encode() * 10_000, f"object {key} is lost"
    # What the dead node was about is taken over when its lease has run out.
    cloudformation = at(2, "cloudformation")
    deadline = time.monotonic() + 90
    for stack in stacks:
        while (status := cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]).endswith("IN_PROGRESS"):
            assert time.monotonic() < deadline, f"{stack} hangs in {status}"
            time.sleep(0.2)
        assert status == "CREATE_COMPLETE", f"{stack}: {status}"
    cluster.nodes[1].start()
    assert "Item" in at(1, "dynamodb").get_item(TableName=name, Key={"id": {"S": kept[0]}})
    print(f"{len(kept)} items and objects, {len(stacks)} stacks; {len(kept) - before} written while a node was down")
