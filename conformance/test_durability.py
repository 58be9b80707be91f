"""kill -9 in the middle of writes and deployments: what was acknowledged is there, and the server starts with no repair step."""

import json
import os
import random
import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from server import BINARY, Server

KILLS = int(os.environ.get("SERENO_KILLS", "12"))
SEED = int(os.environ.get("SERENO_SEED", "20161201"))

TABLE = dict(
    TableName="kept",
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
ROLE = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
STACK = {
    "Resources": {
        f"Role{n}": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": ROLE}} for n in range(3)
    }
    | {"Logs": {"Type": "AWS::Logs::LogGroup", "DependsOn": ["Role0", "Role1"]}}
}


class Writers:
    """Writes until the server dies; remembers only what was acknowledged."""

    def __init__(self, client, url, turn):
        self.client, self.url, self.turn = client, url, turn
        self.items, self.objects, self.stacks = [], [], []

    def run(self):
        threads = [threading.Thread(target=work) for work in (self.put_items, self.put_items, self.put_objects, self.put_stacks)]
        for thread in threads:
            thread.start()
        return threads

    def until_it_dies(self, work):
        number = 0
        name = threading.current_thread().name
        while True:
            try:
                work(f"{self.turn}-{name}-{number}")
            except (BotoCoreError, ClientError):
                return
            number += 1

    def put_items(self):
        dynamodb = self.client("dynamodb", url=self.url)

        def put(key):
            dynamodb.put_item(TableName="kept", Item={"id": {"S": key}, "value": {"S": "x" * 300}})
            self.items.append(key)

        self.until_it_dies(put)

    def put_objects(self):
        s3 = self.client("s3", url=self.url)

        def put(key):
            s3.put_object(Bucket="kept", Key=key, Body=key.encode() * 100)
            self.objects.append(key)

        self.until_it_dies(put)

    def put_stacks(self):
        cloudformation = self.client("cloudformation", url=self.url)

        def put(key):
            name = "s" + key.replace("Thread-", "").replace("(put_stacks)", "").replace(" ", "")
            cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(STACK), Capabilities=["CAPABILITY_IAM"])
            self.stacks.append(name)
            time.sleep(0.02)

        self.until_it_dies(put)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(client):
    rng = random.Random(SEED)
    print(f"seed {SEED}, {KILLS} kills")
    server = Server()
    try:
        server.start()
        client("dynamodb", url=server.endpoint).create_table(**TABLE)
        client("s3", url=server.endpoint).create_bucket(Bucket="kept")
        items, objects, stacks, slowest = [], [], [], 0.0
        for turn in range(KILLS):
            writers = Writers(client, server.endpoint, turn)
            threads = writers.run()
            time.sleep(rng.uniform(0.05, 0.6))
            server.kill()
            for thread in threads:
                thread.join()
            started = time.monotonic()
            server.start()
            slowest = max(slowest, time.monotonic() - started)
            items += writers.items
            objects += writers.objects
            stacks += writers.stacks
            check(client, server.endpoint, writers)
        everything = Writers(client, server.endpoint, "all")
        everything.items, everything.objects, everything.stacks = items, objects, stacks
        check(client, server.endpoint, everything)
        settle(client, server.endpoint, stacks)
        # Nothing that a record refers to is missing or damaged, whatever the kills have left half written.
        verified = subprocess.run(
            [str(BINARY), "doctor", "--verify", "--data", str(server.data)], capture_output=True, text=True, timeout=120
        )
        assert verified.returncode == 0, verified.stderr
        print(f"{len(items)} items, {len(objects)} objects, {len(stacks)} stacks kept; slowest start {slowest * 1000:.0f} ms")
        assert items and objects and stacks
    finally:
        server.remove()


def check(client, url, writers):
    dynamodb, s3 = client("dynamodb", url=url), client("s3", url=url)
    for key in writers.items:
        assert "Item" in dynamodb.get_item(TableName="kept", Key={"id": {"S": key}}), f"item {key} is lost"
    for key in writers.objects:
        assert s3.get_object(Bucket="kept", Key=key)["Body"].read() == key.encode() * 100, f"object {key} is lost"
    cloudformation = client("cloudformation", url=url)
    for name in writers.stacks:
        assert cloudformation.describe_stacks(StackName=name)["Stacks"], f"stack {name} is lost"


def settle(client, url, stacks):
    """Every deployment that a kill interrupted goes on by itself to its end, and can be deleted without a trace."""
    cloudformation, iam = client("cloudformation", url=url), client("iam", url=url)
    deadline = time.monotonic() + 60
    # A stack whose acknowledgement the kill swallowed is there too, and must come out as whole as the others.
    pages = cloudformation.get_paginator("list_stacks").paginate()
    every = {stack["StackName"] for page in pages for stack in page["StackSummaries"]}
    assert set(stacks) <= every
    for name in every:
        while (status := cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]).endswith("IN_PROGRESS"):
            assert time.monotonic() < deadline, f"{name} hangs in {status}"
            time.sleep(0.05)
        assert status == "CREATE_COMPLETE", f"{name}: {status}: {failures(cloudformation, name)}"
    roles = {role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]}
    assert len(roles) == 3 * len(every), "a role was created twice, or not at all"


def failures(cloudformation, name):
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return [(e["LogicalResourceId"], e.get("ResourceStatusReason")) for e in events if "FAILED" in e["ResourceStatus"]]
