"""What every conformance test may ask for: a running server and real clients that talk to it."""

import json
import os
import shutil
import subprocess
import sys
import uuid

import boto3
import pytest
from botocore.config import Config

from cluster import Cluster, NoPostgres
from server import Server

ACCOUNT = "000000000000"
REGION = "us-east-1"


def make_server():
    """One server, or as many nodes on one database as SERENO_CLUSTER says."""
    nodes = int(os.environ.get("SERENO_CLUSTER", "0"))
    if not nodes:
        return Server()
    try:
        return Cluster(nodes)
    except NoPostgres as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def server():
    with make_server() as running:
        yield running
        assert running.process.poll() is None, f"the server died: {running.log()[-4000:]}"
        assert "panicked" not in running.log(), running.log()[-4000:]


@pytest.fixture(scope="session")
def endpoint(server):
    return server.endpoint


@pytest.fixture(scope="session")
def client(endpoint):
    """client("dynamodb", region="eu-west-3", keys=("id", "secret", "token")) → a boto3 client. No retries: errors show."""

    def make(service, region=REGION, keys=("test", "test", None), config=None, url=None):
        own = Config(retries={"max_attempts": 0}, read_timeout=70).merge(config or Config())
        return boto3.client(
            service,
            endpoint_url=url or endpoint,
            region_name=region,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            aws_session_token=keys[2],
            config=own,
        )

    return make


@pytest.fixture
def unique():
    """A name that no other test uses: unique("table")."""
    return lambda prefix="t": f"{prefix}-{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="session")
def environment(endpoint):
    """The environment of a command-line tool that shall talk to the server."""
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "SAM_CLI_TELEMETRY": "0",
        "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
    }


@pytest.fixture(scope="session")
def aws(environment):
    """aws("s3api", "list-buckets") → the AWS CLI's JSON (or text). Raises with its stderr if it fails."""

    def run(*arguments, check=True, cwd=None):
        done = subprocess.run(
            ["aws", *arguments], env=environment, cwd=cwd, capture_output=True, text=True, timeout=120
        )
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        if not check:
            return done
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return done.stdout

    return run


def needs(program):
    """Marks a test that a machine without `program` skips, and says so."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")
