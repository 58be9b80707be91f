"""Requests that no SDK would send: every served operation, mutated. Whatever comes, the answer is AWS's: never a 500, a hang or silence."""

import http.client
import json
import os
import pathlib
import random
import re
import string
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUESTS = int(os.environ.get("SERENO_MUTATIONS", "10000"))
SEED = int(os.environ.get("SERENO_SEED", "20161201"))
SLOWEST_S = 15
KEYS = botocore.credentials.Credentials("test", "test")
# They wait or run code by design, or empty the whole cloud.
SKIPPED = {("lambda", "Invoke"), ("lambda", "InvokeAsync"), ("lambda", "InvokeWithResponseStream")}


def operations():
    for file in sorted((ROOT / "models" / "operations").glob("*.txt")):
        for line in file.read_text().split("\n"):
            name = line.split("#")[0].strip()
            if name and (file.stem, name) not in SKIPPED:
                yield file.stem, name


class Inputs:
    """Input for a shape of AWS's model: right in form, random in content."""

    def __init__(self, rng):
        self.rng = rng

    def of(self, shape, depth=0):
        make = getattr(self, shape.type_name, None)
        return make(shape, depth) if make else self.string(shape, depth)

    def structure(self, shape, depth):
        chosen = {}
        for name, member in shape.members.items():
            wanted = name in shape.required_members or (depth < 3 and self.rng.random() < 0.3)
            if wanted and depth < 6:
                chosen[name] = self.of(member, depth + 1)
        if getattr(shape, "is_tagged_union", False) and chosen:
            name = self.rng.choice(sorted(chosen))
            return {name: chosen[name]}
        return chosen

    def list(self, shape, depth):
        return [self.of(shape.member, depth + 1) for _ in range(self.rng.randint(1, 2))] if depth < 6 else []

    def map(self, shape, depth):
        return {self.of(shape.key, depth + 1): self.of(shape.value, depth + 1)} if depth < 6 else {}

    def string(self, shape, _depth):
        if getattr(shape, "enum", None):
            return self.rng.choice(shape.enum)
        least = int(shape.metadata.get("min", 1))
        return "".join(self.rng.choice(string.ascii_lowercase) for _ in range(max(least, 3)))

    def integer(self, shape, _depth):
        return self.rng.randint(int(shape.metadata.get("min", 1)), int(shape.metadata.get("max", 100)))

    long = integer

    def float(self, _shape, _depth):
        return self.rng.random()

    double = float

    def boolean(self, _shape, _depth):
        return self.rng.random() < 0.5

    def blob(self, _shape, _depth):
        return self.rng.randbytes(8)

    def timestamp(self, _shape, _depth):
        return "2016-12-01T10:00:00Z"


STRANGE = ["", "\x00", "\ud83d\ude00" * 3, "x" * 70000, "../../etc/passwd", "<a>&b;</a>", '{"a":', "%", "-1", "1e999", "null"]


def mutate_value(rng, value):
    """The same structure with one thing wrong somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        kind = rng.random()
        copy = dict(value)
        if kind < 0.2:
            del copy[key]
        elif kind < 0.3:
            copy[rng.choice(STRANGE) or "extra"] = copy[key]
        else:
            copy[key] = mutate_value(rng, value[key])
        return copy
    if isinstance(value, list) and value and rng.random() < 0.8:
        copy = list(value)
        at = rng.randrange(len(copy))
        copy[at] = mutate_value(rng, copy[at])
        return copy * (200 if rng.random() < 0.1 else 1)
    return rng.choice([None, 1, -1, 2**63, 1.5, True, [], {}, [[]], {"S": 1}, *STRANGE])


def mutate_bytes(rng, body):
    body = bytearray(body or b"")
    for _ in range(rng.randint(1, 4)):
        kind = rng.random()
        at = rng.randrange(len(body) + 1)
        if kind < 0.3 and body:
            body[at - 1] = rng.randrange(256)
        elif kind < 0.6:
            body[at:at] = rng.choice([b"{", b"}", b"[" * 300, b'"', b"\xff\xfe", b"&", b"<", b"%zz", b"\\ud800", b","])
        else:
            del body[at : at + rng.randint(1, 20)]
    return bytes(body)


class Attacker:
    def __init__(self, port, rng):
        self.port, self.rng = port, rng
        self.session = botocore.session.Session()
        self.clients = {}
        self.connection = None

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = self.session.create_client(
                service,
                region_name="us-east-1",
                endpoint_url=f"http://127.0.0.1:{self.port}",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=botocore.config.Config(parameter_validation=False),
            )
        return self.clients[service]

    def request(self, service, operation):
        """One mutated request; None if the client itself cannot write it."""
        client, rng = self.client(service), self.rng
        model = client.meta.service_model.operation_model(operation)
        values = Inputs(rng).of(model.input_shape) if model.input_shape else {}
        how = rng.random()
        try:
            request = client._serializer.serialize_to_request(values, model)
        except Exception:
            return None
        body, path = request["body"], request["url_path"]
        if hasattr(body, "read"):
            body = body.read()
        if isinstance(body, dict):  # query protocol
            if how < 0.5 and body:
                body[rng.choice(sorted(body))] = rng.choice(STRANGE)
            body = "&".join(f"{k}={quote(str(v))}" for k, v in body.items())
        body = body.encode(errors="surrogatepass") if isinstance(body, str) else (body or b"")
        query = "&".join(f"{quote(k)}={quote(str(v))}" for k, v in dict(request.get("query_string") or {}).items())
        if how < 0.5 and body[:1] == b"{":
            body = json.dumps(mutate_value(rng, json.loads(body))).encode()
        elif how < 0.8:
            body = mutate_bytes(rng, body)
        elif how < 0.9:
            path = "/" + quote(mutate_bytes(rng, path.encode()).decode("latin-1")).lstrip("/")
        headers = {k: v for k, v in request["headers"].items() if isinstance(v, str) and "\n" not in v}
        if how > 0.95:
            headers[rng.choice(["content-type", "x-amz-target", "content-encoding", "x-amz-content-sha256"])] = rng.choice(
                ["text/plain", "", "gzip", "x.y", "UNSIGNED-PAYLOAD", "a" * 5000]
            )
        path = re.sub(r"[^\x21-\x7e]", lambda m: quote(m.group()), path.split("?")[0])
        extra = request["url_path"].split("?")[1:] if "?" in request["url_path"] else []
        return model, request["method"], path, "&".join([*extra, *([query] if query else [])]), headers, body

    def send(self, service, method, path, query, headers, body):
        url = f"http://127.0.0.1:{self.port}{path}" + (f"?{query}" if query else "")
        aws = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers, data=body)
        signer = self.client(service).meta.service_model.signing_name
        auth = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
        auth(KEYS, signer, "us-east-1").add_auth(aws)
        prepared = aws.prepare()
        target = prepared.url.split(f":{self.port}", 1)[1]
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SLOWEST_S)
            try:
                try:
                    self.connection.request(method, target, body=body, headers=dict(prepared.headers))
                except (BrokenPipeError, ConnectionResetError):
                    pass  # refused before the body was sent whole: the answer is there to be read
                response = self.connection.getresponse()
                return response.status, response.headers, response.read()
            except (http.client.HTTPException, BrokenPipeError, ConnectionResetError):
                # The server may close a connection whose request it cannot parse or does not want to read.
                self.connection = None
                if attempt == 2:
                    raise ValueError("closed without a word") from None


def quote(text):
    from urllib.parse import quote as escape

    return escape(text.encode("utf-8", errors="surrogatepass"), safe="-_.~/")


def test_mutated_requests_get_aws_answers(server):
    print(f"seed {SEED}, {REQUESTS} requests")
    rng = random.Random(SEED)
    attacker = Attacker(server.port, rng)
    every = list(operations())
    assert len(every) > 100
    sent, refused, unserved, slow = 0, 0, 0, 0.0
    while sent < REQUESTS:
        service, operation = every[sent % len(every)]
        sent += 1
        try:
            made = attacker.request(service, operation)
        except UnicodeError:
            made = None
        if made is None:
            continue
        model, method, path, query, headers, body = made
        started = time.monotonic()
        try:
            status, head, answer = attacker.send(service, method, path, query, headers, body)
        except (ValueError, UnicodeError, http.client.InvalidURL):
            continue  # this client cannot send it
        slow = max(slow, time.monotonic() - started)
        where = f"{service}:{operation} {method} {path[:80]}?{query[:80]} {body[:300]!r} -> {status} {answer[:300]!r}"
        assert status < 500 or status == 501, where
        if status == 501:
            unserved += 1
        if 400 <= status < 500 and method != "HEAD":
            refused += 1
            # What is not even HTTP is refused before it is a request.
            broken_http = status == 400 and head["content-length"] == "0" and head["connection"] == "close"
            assert answer or broken_http, f"an error without a word: {where} {head}"
    print(f"{refused} of {sent} refused, {unserved} not implemented, slowest answer {slow:.3f} s")
    assert refused > REQUESTS * 0.2
    assert server.healthy()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
def test_broken_http_is_refused(server, raw):
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=SLOWEST_S) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert not answer or b" 4" in answer.split(b"\r\n")[0] or b" 5" not in answer.split(b"\r\n")[0]
    assert server.healthy()
