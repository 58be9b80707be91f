"""DynamoDB's long work through boto3: backups, point-in-time recovery, exports, imports, global tables; and kill -9 in
the middle of all of it."""

import gzip
import json
import os
import random
import time

import pytest
from botocore.exceptions import ClientError

from server import Server

SEED = int(os.environ.get("SERENO_SEED", "20161201"))
ITEMS = int(os.environ.get("SERENO_PAST_ITEMS", "4000"))
ACCOUNT = "000000000000"


def definition(name, **more):
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "v", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [
            {"IndexName": "by-v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
        ],
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }


def fill(dynamodb, table, count, version=0):
    for start in range(0, count, 25):
        puts = [
            {"PutRequest": {"Item": {"p": {"S": f"item-{n}"}, "v": {"N": str(n % 10)}, "version": {"N": str(version)}}}}
            for n in range(start, min(start + 25, count))
        ]
        assert not dynamodb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]


def contents(dynamodb, table, index=None):
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, **({"IndexName": index} if index else {}))
    return {item["p"]["S"]: int(item["version"]["N"]) for page in pages for item in page["Items"]}


def until(done, seconds=120):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def until_active(dynamodb, table):
    until(lambda: dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE")


def recovery(dynamodb, table):
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


@pytest.fixture
def dynamodb(client):
    return client("dynamodb")


def test_a_backup_and_its_restore(dynamodb, unique):
    table, again = unique("table"), unique("table")
    dynamodb.create_table(**definition(table))
    fill(dynamodb, table, 60)
    backup = dynamodb.create_backup(TableName=table, BackupName="first")["BackupDetails"]
    fill(dynamodb, table, 60, version=1)
    arn = backup["BackupArn"]
    until(lambda: describe_backup(dynamodb, arn)["BackupStatus"] == "AVAILABLE")
    with pytest.raises(ClientError, match="Table already exists: " + table):
        dynamodb.restore_table_from_backup(TargetTableName=table, BackupArn=arn)
    dynamodb.restore_table_from_backup(TargetTableName=again, BackupArn=arn, BillingModeOverride="PROVISIONED",
        ProvisionedThroughputOverride={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}, GlobalSecondaryIndexOverride=[])
    until_active(dynamodb, again)
    assert contents(dynamodb, again) == {f"item-{n}": 0 for n in range(60)}
    found = dynamodb.describe_table(TableName=again)["Table"]
    assert "GlobalSecondaryIndexes" not in found
    assert found["RestoreSummary"]["SourceBackupArn"] == arn and not found["RestoreSummary"]["RestoreInProgress"]
    dynamodb.delete_backup(BackupArn=arn)
    with pytest.raises(ClientError, match="BackupNotFoundException"):
        dynamodb.describe_backup(BackupArn=arn)
    with pytest.raises(ClientError, match="Table not found: nowhere"):
        dynamodb.create_backup(TableName="nowhere", BackupName="none")


def describe_backup(dynamodb, arn):
    return dynamodb.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]


def test_the_past_to_the_second(dynamodb, unique):
    table = unique("table")
    dynamodb.create_table(**definition(table))
    recovery(dynamodb, table)
    fill(dynamodb, table, 30)
    time.sleep(1.1)
    moment = int(time.time())
    time.sleep(1.1)
    fill(dynamodb, table, 20, version=1)
    dynamodb.delete_item(TableName=table, Key={"p": {"S": "item-29"}})
    then, now = unique("then"), unique("now")
    dynamodb.restore_table_to_point_in_time(SourceTableName=table, TargetTableName=then, RestoreDateTime=moment)
    dynamodb.restore_table_to_point_in_time(SourceTableName=table, TargetTableName=now, UseLatestRestorableTime=True)
    until_active(dynamodb, then)
    until_active(dynamodb, now)
    assert contents(dynamodb, then) == {f"item-{n}": 0 for n in range(30)}
    assert contents(dynamodb, then, "by-v") == contents(dynamodb, then)
    assert contents(dynamodb, now) == {f"item-{n}": int(n < 20) for n in range(29)}


def describe_export(dynamodb, arn):
    return dynamodb.describe_export(ExportArn=arn)["ExportDescription"]


def exported(dynamodb, s3, export):
    """The items of a full export in DynamoDB JSON, by way of its manifests."""
    bucket = export["S3Bucket"]
    read = lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    summary = json.loads(read(export["ExportManifest"]))
    items = []
    for line in read(summary["manifestFilesS3Key"]).decode().splitlines():
        file = json.loads(line)
        lines = gzip.decompress(read(file["dataFileS3Key"])).decode().splitlines()
        assert len(lines) == file["itemCount"]
        items += [json.loads(line)["Item"] for line in lines]
    assert len(items) == summary["itemCount"] == export["ItemCount"]
    return items


@pytest.mark.parametrize("form", ["DYNAMODB_JSON", "ION"])
def test_what_is_exported_can_be_imported(dynamodb, client, unique, form):
    s3, table, bucket, new = client("s3"), unique("table"), unique("bucket"), unique("new")
    s3.create_bucket(Bucket=bucket)
    dynamodb.create_table(**definition(table))
    recovery(dynamodb, table)
    odd = {
        "p": {"S": 'odd "quoted"\n'}, "v": {"N": "1E+30"}, "version": {"N": "-12.5"}, "b": {"B": b"\x00\xff"}, "bool": {"BOOL": True},
        "null": {"NULL": True}, "m": {"M": {"a b": {"L": [{"N": "0"}]}}}, "ss": {"SS": ["x", "y"]}, "ns": {"NS": ["1", "600"]},
    }
    dynamodb.put_item(TableName=table, Item=odd)
    arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}"
    made = dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket, S3Prefix="out", ExportFormat=form)
    export = made["ExportDescription"]["ExportArn"]
    until(lambda: describe_export(dynamodb, export)["ExportStatus"] == "COMPLETED")
    manifest = describe_export(dynamodb, export)["ExportManifest"]
    made = dynamodb.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": manifest.replace("manifest-summary.json", "data/")},
        InputFormat=form,
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": new,
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    arn = made["ImportTableDescription"]["ImportArn"]
    until(lambda: describe_import(dynamodb, arn)["ImportStatus"] == "COMPLETED")
    until_active(dynamodb, new)
    found = dynamodb.get_item(TableName=new, Key={"p": odd["p"]})["Item"]
    same = dynamodb.get_item(TableName=table, Key={"p": odd["p"]})["Item"]
    assert found == same
    with pytest.raises(ClientError, match="Point in time recovery is not enabled for table '" + new):
        dynamodb.export_table_to_point_in_time(TableArn=f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{new}", S3Bucket=bucket)


def describe_import(dynamodb, arn):
    return dynamodb.describe_import(ImportArn=arn)["ImportTableDescription"]


def test_refused_records_are_logged(dynamodb, client, unique):
    s3, bucket, new = client("s3"), unique("bucket"), unique("new")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="in.csv", Body=b"p,s\na,1\nb,wrong\n")
    made = dynamodb.import_table(
        S3BucketSource={"S3Bucket": bucket},
        InputFormat="CSV",
        TableCreationParameters={
            "TableName": new,
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}, {"AttributeName": "s", "AttributeType": "N"}],
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    arn = made["ImportTableDescription"]["ImportArn"]
    until(lambda: describe_import(dynamodb, arn)["ImportStatus"] == "COMPLETED")
    done = describe_import(dynamodb, arn)
    assert (done["ImportedItemCount"], done["ErrorCount"]) == (1, 1)
    events = client("logs").filter_log_events(logGroupName="/aws-dynamodb/imports")["events"]
    ours = [json.loads(event["message"]) for event in events if arn in event["message"]]
    assert ours[0]["itemS3Pointer"] == {"bucket": bucket, "key": "in.csv", "itemIndex": 2}


def test_a_table_in_two_regions(client, unique):
    table = unique("table")
    here, there = client("dynamodb"), client("dynamodb", region="eu-west-3")
    here.create_table(**definition(table))
    here.update_table(TableName=table, ReplicaUpdates=[{"Create": {"RegionName": "eu-west-3"}}])
    fill(here, table, 5)
    assert contents(there, table) == {f"item-{n}": 0 for n in range(5)}
    assert there.describe_table(TableName=table)["Table"]["Replicas"][0]["RegionName"] == "us-east-1"
    with pytest.raises(ClientError, match="throughput of single replicas"):
        here.update_table(TableName=table, ReplicaUpdates=[{"Create": {
            "RegionName": "eu-west-1", "ProvisionedThroughputOverride": {"ReadCapacityUnits": 1}}}])
    there.delete_table(TableName=table)
    assert "Replicas" not in here.describe_table(TableName=table)["Table"]


def test_a_global_table_of_a_stack(client, unique):
    """What CDK's TableV2 makes."""
    cloudformation, here, there = client("cloudformation"), client("dynamodb"), client("dynamodb", region="eu-west-1")
    stack = unique("stack")
    template = {
        "Resources": {"T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": {
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "Replicas": [{"Region": {"Ref": "AWS::Region"}}, {"Region": "eu-west-1", "Tags": [{"Key": "a", "Value": "b"}]}],
        }}},
        "Outputs": {"Name": {"Value": {"Ref": "T"}}, "Stream": {"Value": {"Fn::GetAtt": ["T", "StreamArn"]}}},
    }
    wait = {"Delay": 1}
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig=wait)
    made = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    name = next(output["OutputValue"] for output in made if output["OutputKey"] == "Name")
    here.put_item(TableName=name, Item={"p": {"S": "a"}})
    assert there.get_item(TableName=name, Key={"p": {"S": "a"}})["Item"] == {"p": {"S": "a"}}
    template["Resources"]["T"]["Properties"]["Replicas"].pop()
    cloudformation.update_stack(StackName=stack, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig=wait)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        there.describe_table(TableName=name)
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=wait)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        here.describe_table(TableName=name)


@pytest.mark.slow
def test_long_work_survives_kill_9(client):
    """A backup, two exports, an import, two restores and a new index are under way while the server is killed again and
    again. Everything comes to its end, exact, with nothing done twice."""
    rng = random.Random(SEED)
    print(f"seed {SEED}, {ITEMS} items")
    server = Server()
    try:
        server.start()
        dynamodb, s3 = client("dynamodb", url=server.endpoint), client("s3", url=server.endpoint)
        s3.create_bucket(Bucket="work")
        dynamodb.create_table(**definition("source"))
        recovery(dynamodb, "source")
        fill(dynamodb, "source", ITEMS)
        time.sleep(1.1)
        moment = int(time.time())
        time.sleep(1.1)
        lines = "".join(json.dumps({"Item": {"p": {"S": f"item-{n}"}, "v": {"N": "1"}, "version": {"N": "7"}}}) + "\n" for n in range(ITEMS))
        s3.put_object(Bucket="work", Key="in/data.json.gz", Body=gzip.compress(lines.encode()))
        arn = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/source"
        backup = dynamodb.create_backup(TableName="source", BackupName="kept")["BackupDetails"]["BackupArn"]
        fill(dynamodb, "source", ITEMS // 2, version=1)
        export = dynamodb.export_table_to_point_in_time(TableArn=arn, S3Bucket="work", ExportTime=moment)["ExportDescription"]["ExportArn"]
        dynamodb.restore_table_to_point_in_time(SourceTableName="source", TargetTableName="then", RestoreDateTime=moment)
        dynamodb.restore_table_to_point_in_time(SourceTableName="source", TargetTableName="now", UseLatestRestorableTime=True)
        imported = dynamodb.import_table(
            S3BucketSource={"S3Bucket": "work", "S3KeyPrefix": "in/"},
            InputFormat="DYNAMODB_JSON",
            InputCompressionType="GZIP",
            TableCreationParameters=definition("imported"),
        )["ImportTableDescription"]["ImportArn"]
        dynamodb.update_table(
            TableName="source",
            AttributeDefinitions=[*definition("source")["AttributeDefinitions"], {"AttributeName": "version", "AttributeType": "N"}],
            GlobalSecondaryIndexUpdates=[{"Create": {
                "IndexName": "by-version", "KeySchema": [{"AttributeName": "version", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"}}}],
        )
        kills = 0
        for _ in range(8):
            time.sleep(rng.uniform(0.01, 0.25))
            server.kill()
            server.start()
            kills += 1
            if describe_import(dynamodb, imported)["ImportStatus"] == "COMPLETED":
                break
        started = time.monotonic()
        for table in ("source", "then", "now", "imported"):
            until_active(dynamodb, table)
        until(lambda: describe_backup(dynamodb, backup)["BackupStatus"] == "AVAILABLE")
        until(lambda: describe_export(dynamodb, export)["ExportStatus"] != "IN_PROGRESS")
        dynamodb.restore_table_from_backup(TargetTableName="again", BackupArn=backup)
        until_active(dynamodb, "again")
        print(f"{kills} kills; all done {time.monotonic() - started:.1f} s after the last")

        before = {f"item-{n}": 0 for n in range(ITEMS)}
        after = {f"item-{n}": int(n < ITEMS // 2) for n in range(ITEMS)}
        for table, expected in (("source", after), ("then", before), ("now", after), ("again", before), ("imported", {k: 7 for k in before})):
            assert contents(dynamodb, table) == expected, table
            assert contents(dynamodb, table, "by-v") == expected, table
        assert contents(dynamodb, "source", "by-version") == after
        items = exported(dynamodb, s3, describe_export(dynamodb, export))
        assert {item["p"]["S"]: int(item["version"]["N"]) for item in items} == before and len(items) == ITEMS
        done = describe_import(dynamodb, imported)
        assert (done["ImportStatus"], done["ImportedItemCount"], done["ErrorCount"]) == ("COMPLETED", ITEMS, 0)
        assert describe_backup(dynamodb, backup)["BackupStatus"] == "AVAILABLE"
    finally:
        server.remove()
