"""backup while writers go on, restore, compare; move to a database and back; find damage."""

import os
import subprocess
import threading
import time

import pytest

from cluster import NoPostgres, Postgres
from server import BINARY, Server

TABLE = dict(
    TableName="kept",
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
LARGE = 200_000


def sereno(*words, fails=False):
    """The command's output; with `fails`, what it complained about."""
    done = subprocess.run([str(BINARY), *map(str, words)], capture_output=True, text=True, timeout=120)
    assert (done.returncode != 0) == fails, f"{words}: {done.stdout}{done.stderr}"
    return done.stderr if fails else done.stdout


class Filled:
    """A server with something of everything, and writers that keep an invariant: items come in order, objects before items."""

    def __init__(self, client, server):
        self.client, self.server, self.stop = client, server, threading.Event()
        self.dynamodb, self.s3 = client("dynamodb", url=server.endpoint), client("s3", url=server.endpoint)
        self.dynamodb.create_table(**TABLE)
        self.s3.create_bucket(Bucket="kept")
        iam = client("iam", url=server.endpoint)
        iam.create_user(UserName="someone")
        key = iam.create_access_key(UserName="someone")["AccessKey"]
        self.keys = (key["AccessKeyId"], key["SecretAccessKey"], None)
        self.counts = [0, 0]

    def write(self, writer):
        while not self.stop.is_set():
            number = self.counts[writer]
            body = f"{writer}-{number}".encode().ljust(LARGE, b".")
            # Written over again and again: blobs come and go under the backup's hands.
            self.s3.put_object(Bucket="kept", Key=f"{writer}-{number % 7}", Body=body)
            self.dynamodb.put_item(TableName="kept", Item={"id": {"S": f"{writer}-{number}"}})
            self.counts[writer] += 1

    def __enter__(self):
        self.threads = [threading.Thread(target=self.write, args=(writer,)) for writer in range(2)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def check(client, url, keys, least):
    """Everything is there from one moment, at least as far as `least`; answers how far."""
    dynamodb, s3 = client("dynamodb", url=url), client("s3", url=url)
    pages = dynamodb.get_paginator("scan").paginate(TableName="kept", ConsistentRead=True)
    numbers = [tuple(map(int, item["id"]["S"].split("-"))) for page in pages for item in page["Items"]]
    counts = []
    for writer in range(2):
        own = sorted(number for of, number in numbers if of == writer)
        assert own == list(range(len(own))), f"writer {writer}: a gap"
        assert len(own) >= least[writer], "what was there before the backup is in it"
        counts.append(len(own))
    for listed in s3.list_objects_v2(Bucket="kept")["Contents"]:
        body = s3.get_object(Bucket="kept", Key=listed["Key"])["Body"].read()
        writer, number = map(int, body.rstrip(b".").decode().split("-"))
        assert len(body) == LARGE and listed["Key"] == f"{writer}-{number % 7}"
        # The object of an item is older than the item; at most one is ahead.
        assert number <= counts[writer]
    # Sealed secrets are read with the installation's own key, which came along.
    assert client("sts", url=url, keys=keys).get_caller_identity()["Arn"].endswith("user/someone")
    return counts


def test_a_backup_of_a_running_server(client, tmp_path):
    backup, data = tmp_path / "backup", tmp_path / "restored"
    with Server() as server:
        filled = Filled(client, server)
        with filled:
            while min(filled.counts) < 30:
                time.sleep(0.05)
            least = list(filled.counts)
            print(sereno("backup", backup, "--data", server.data))
            assert "checked" in sereno("doctor", "--verify", "--data", server.data)
        assert "is there already" in sereno("backup", backup, "--data", server.data, fails=True)
        assert oct(os.stat(backup).st_mode)[-3:] == "700"
    # The server and its data are gone now.
    print(sereno("restore", backup, "--data", data))
    assert "not empty" in sereno("restore", backup, "--data", data, fails=True)
    assert "checked" in sereno("doctor", "--verify", "--data", data)
    with Server(data=data) as restored:
        check(client, restored.endpoint, filled.keys, least)


def test_a_stopped_server_is_saved_too_and_damage_is_found(client, tmp_path):
    with Server() as server:
        with Filled(client, server) as filled:
            while min(filled.counts) < 10:
                time.sleep(0.05)
        server.kill()
        sereno("backup", tmp_path / "backup", "--data", server.data)
        blob = next(path for path in (server.data / "blobs").glob("??/*"))
        content = bytearray(blob.read_bytes())
        content[1000] ^= 1
        blob.unlink()
        blob.write_bytes(content)
        complaint = sereno("doctor", "--verify", "--data", server.data, fails=True)
        assert blob.name in complaint and "checksum" in complaint
        blob.unlink()
        complaint = sereno("doctor", "--verify", "--data", server.data, fails=True)
        assert f"blob {blob.name} is missing" in complaint
    # Half a backup is none.
    (tmp_path / "backup" / "entries").write_bytes((tmp_path / "backup" / "entries").read_bytes()[:-20])
    assert "cut short" in sereno("restore", tmp_path / "backup", "--data", tmp_path / "half", fails=True)
    assert not (tmp_path / "half").exists()


def test_moving_to_a_database_and_back(client, tmp_path):
    try:
        postgres = Postgres()
    except NoPostgres as why:
        pytest.skip(str(why))
    postgres.start()
    try:
        there = ["--store", postgres.url, "--objects", tmp_path / "objects"]
        with Server() as server:
            with Filled(client, server) as filled:
                while min(filled.counts) < 10:
                    time.sleep(0.05)
            least = list(filled.counts)
            to = ["--to-store", postgres.url, "--to-objects", tmp_path / "objects"]
            complaint = sereno("migrate", "--data", server.data, *to, fails=True)
            assert "in use by process" in complaint
            server.stop()
            print(sereno("migrate", "--data", server.data, *to))
            assert "not empty" in sereno("migrate", "--data", server.data, *to, fails=True)
        with Server(*map(str, there)) as node:
            assert check(client, node.endpoint, filled.keys, least) == least
            sereno("backup", tmp_path / "backup", *there)
            sereno("doctor", "--verify", *there)
        print(sereno("migrate", *there, "--to-data", tmp_path / "back", "--to-engine", "redb"))
        with Server("--engine", "redb", data=tmp_path / "back") as back:
            assert check(client, back.endpoint, filled.keys, least) == least
        sereno("restore", tmp_path / "backup", "--data", tmp_path / "again")
        with Server(data=tmp_path / "again") as again:
            assert check(client, again.endpoint, filled.keys, least) == least
    finally:
        postgres.remove()
