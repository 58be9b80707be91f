"""S3 through boto3, the CLI and plain HTTP."""

import datetime
import hashlib
import io
import json
import os
import urllib.error
import urllib.request

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError


@pytest.fixture
def s3(client):
    return client("s3")


@pytest.fixture
def bucket(s3, unique):
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    return name


def code(excinfo):
    error = excinfo.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def test_buckets(s3, client, unique):
    name = unique("bucket")
    made = s3.create_bucket(Bucket=name)
    assert made["Location"] == f"/{name}" and made["BucketArn"] == f"arn:aws:s3:::{name}"
    assert name in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    s3.create_bucket(Bucket=name)
    europe = client("s3", region="eu-west-1")
    other = unique("bucket")
    with pytest.raises(ClientError) as error:
        europe.create_bucket(Bucket=other)
    assert code(error) == ("IllegalLocationConstraintException", 400)
    europe.create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert europe.get_bucket_location(Bucket=other)["LocationConstraint"] == "eu-west-1"
    with pytest.raises(ClientError) as error:
        europe.create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert code(error) == ("BucketAlreadyOwnedByYou", 409)
    for bucket in (name, other):
        s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.head_bucket(Bucket=name)
    assert code(error) == ("404", 404)
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket=name)
    assert code(error) == ("NoSuchBucket", 404)
    assert error.value.response["Error"]["BucketName"] == name


@pytest.mark.parametrize("key", ["plain", "with space/and+plus", "ünïcode/😀", "a//b", "100%/~!*'();:@&=$,?#[]", "trailing/", "./dots/../x"])
def test_any_key_round_trips(s3, bucket, key):
    body = key.encode()
    tag = s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]
    assert tag == f'"{hashlib.md5(body).hexdigest()}"'
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [o["Key"] for o in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    s3.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key=key)
    assert code(error) == ("NoSuchKey", 404) and error.value.response["Error"]["Key"] == key


def test_headers_and_metadata(s3, bucket):
    sent = dict(
        ContentType="text/css", CacheControl="max-age=60", ContentDisposition='attachment; filename="x"',
        ContentEncoding="identity", ContentLanguage="de", Metadata={"Colour": "red", "size": "10"},
        StorageClass="STANDARD_IA", Tagging="a=1&b=x%20y",
    )
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", **sent)
    head = s3.head_object(Bucket=bucket, Key="k")
    for name in ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "StorageClass"):
        assert head[name] == sent[name], name
    assert head["Metadata"] == {"colour": "red", "size": "10"}
    assert head["ContentLength"] == 4 and head["AcceptRanges"] == "bytes"
    assert head["ServerSideEncryption"] == "AES256"
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}]
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/html", ResponseCacheControl="no-cache")
    assert (got["ContentType"], got["CacheControl"]) == ("text/html", "no-cache")
    s3.copy_object(Bucket=bucket, Key="k2", CopySource=f"{bucket}/k")
    copied = s3.head_object(Bucket=bucket, Key="k2")
    assert copied["Metadata"] == head["Metadata"] and copied["ContentType"] == "text/css"
    s3.copy_object(Bucket=bucket, Key="k3", CopySource=f"{bucket}/k", MetadataDirective="REPLACE", Metadata={"new": "1"})
    assert s3.head_object(Bucket=bucket, Key="k3")["Metadata"] == {"new": "1"}
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k")
    assert code(error) == ("InvalidRequest", 400)


def test_ranges_and_conditions(s3, bucket):
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["ETag"]
    part = s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")
    assert part["Body"].read() == b"234" and part["ContentRange"] == "bytes 2-4/10"
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=-3")["Body"].read() == b"789"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")
    assert code(error) == ("InvalidRange", 416)
    assert error.value.response["Error"]["ActualObjectSize"] == "10"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=tag)
    assert code(error) == ("304", 304)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"x"')
    assert code(error) == ("PreconditionFailed", 412)
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=modified)
    assert code(error) == ("304", 304)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*")
    assert code(error) == ("PreconditionFailed", 412)


def test_delete_many(s3, bucket):
    for n in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=b"x")
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"k{n}"} for n in range(4)] + [{"Key": "none"}]})
    assert sorted(o["Key"] for o in done["Deleted"]) == ["k0", "k1", "k2", "k3", "none"]
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == ("BucketNotEmpty", 409)
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k4"}], "Quiet": True})
    s3.delete_bucket(Bucket=bucket)


def test_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=str(n))["VersionId"] for n in range(3)]
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=ids[0])["Body"].read() == b"0"
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"]
    listed = s3.list_object_versions(Bucket=bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == ids[::-1]
    assert [m["VersionId"] for m in listed["DeleteMarkers"]] == [marker["VersionId"]]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert code(error) == ("MethodNotAllowed", 405)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", VersionId="not-a-version")
    assert code(error) == ("InvalidArgument", 400)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


def test_multipart_transfer(s3, bucket, tmp_path):
    data = os.urandom(1 << 20) * 20
    source = tmp_path / "large"
    source.write_bytes(data)
    s3.upload_file(str(source), bucket, "large", Config=TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20))
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ContentLength"] == len(data) and head["ETag"].endswith('-4"')
    target = tmp_path / "back"
    s3.download_file(bucket, "large", str(target), Config=TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20))
    assert target.read_bytes() == data
    assert s3.get_object(Bucket=bucket, Key="large", PartNumber=4)["ContentLength"] == len(data) - 3 * (6 << 20)
    told = s3.get_object_attributes(Bucket=bucket, Key="large", ObjectAttributes=["ETag", "ObjectParts", "ObjectSize", "Checksum"])
    assert told["ObjectParts"]["TotalPartsCount"] == 4 and told["ObjectSize"] == len(data)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums(s3, bucket, algorithm):
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt")
    done = s3.put_object(Bucket=bucket, Key="k", Body=b"123456789", ChecksumAlgorithm=algorithm)
    sum_ = done[f"Checksum{algorithm}"]
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got[f"Checksum{algorithm}"] == sum_ and got["Body"].read() == b"123456789"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"other", **{f"Checksum{algorithm}": sum_})
    assert code(error) == ("BadDigest", 400)


def test_streamed_body_without_length_in_memory(s3, bucket):
    """boto3 signs the body in chunks with a trailing checksum where the stream cannot be hashed first."""

    class Stream(io.RawIOBase):
        def __init__(self, data):
            self.source = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.source.readinto(buffer)

        def seekable(self):
            return True

        def seek(self, *at):
            return self.source.seek(*at)

        def tell(self):
            return self.source.tell()

    data = os.urandom(3 << 20)
    s3.put_object(Bucket=bucket, Key="k", Body=Stream(data), ContentLength=len(data))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_presigned(client, bucket, signature):
    s3 = client("s3", config=Config(signature_version=signature))
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b/ü"})
    request = urllib.request.Request(url, data=b"signed", method="PUT", headers={"Content-Type": ""})
    assert urllib.request.urlopen(request).status == 200
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b/ü", "ResponseContentType": "text/x"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"signed" and answer.headers["Content-Type"] == "text/x"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(url[:-4] + "0000")
    assert error.value.code == 403 and b"SignatureDoesNotMatch" in error.value.read()


def test_policy_and_public_access(s3, client, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"open")
    anyone = client("s3", config=Config(signature_version=UNSIGNED))
    with pytest.raises(ClientError) as error:
        anyone.get_object(Bucket=bucket, Key="k")
    assert code(error) == ("AccessDenied", 403)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]})
    with pytest.raises(ClientError) as error:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert code(error) == ("AccessDenied", 403)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(policy)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    assert anyone.get_object(Bucket=bucket, Key="k")["Body"].read() == b"open"
    with pytest.raises(ClientError) as error:
        anyone.list_objects_v2(Bucket=bucket)
    assert code(error) == ("AccessDenied", 403)
    s3.delete_bucket_policy(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.get_bucket_policy(Bucket=bucket)
    assert code(error) == ("NoSuchBucketPolicy", 404)
    for bad, message in [("x", "Policies must be valid JSON and the first byte must be '{'"), ("{}", "Missing required field Statement")]:
        with pytest.raises(ClientError) as error:
            s3.put_bucket_policy(Bucket=bucket, Policy=bad)
        assert code(error) == ("MalformedPolicy", 400) and error.value.response["Error"]["Message"] == message


def test_configurations(s3, bucket):
    for read, absent in [
        (s3.get_bucket_tagging, "NoSuchTagSet"),
        (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
        (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
    ]:
        with pytest.raises(ClientError) as error:
            read(Bucket=bucket)
        assert code(error) == (absent, 404)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "a", "Value": "b"}]
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    kms = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=kms)
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"")["ServerSideEncryption"] == "aws:kms"
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    with pytest.raises(ClientError) as error:
        s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert code(error) == ("AccessControlListNotSupported", 400)
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [g["Permission"] for g in grants] == ["FULL_CONTROL"] and grants[0]["Grantee"]["Type"] == "CanonicalUser"
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert code(error) == ("NotImplemented", 501)


def test_lifecycle(s3, bucket):
    rules = [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    assert 'rule-id="r"' in s3.put_object(Bucket=bucket, Key="tmp/x", Body=b"")["Expiration"]
    for wrong, expected in [
        ({"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}}, ("MalformedXML", 400)),
        (dict(rules[0], Transitions=[{"Days": 1, "StorageClass": "GLACIER"}]), ("NotImplemented", 501)),
    ]:
        with pytest.raises(ClientError) as error:
            s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [wrong]})
        assert code(error) == expected
    s3.delete_bucket_lifecycle(Bucket=bucket)


def test_website(s3, bucket, endpoint):
    host = f"{bucket}.s3-website.localhost"

    def visit(path, method="GET"):
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None

        request = urllib.request.Request(endpoint + path, headers={"Host": host}, method=method)
        try:
            answer = urllib.request.build_opener(Stay).open(request)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.read().decode(), answer.headers

    assert visit("/")[0] == 404 and "NoSuchWebsiteConfiguration" in visit("/")[1]
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={
        "IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "404.html"},
        "RoutingRules": [{"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "new/"}}]})
    for key, body in [("index.html", "home"), ("docs/index.html", "docs"), ("404.html", "nothing here"), ("a b.html", "blank")]:
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/html")
    s3.put_object(Bucket=bucket, Key="moved", Body=b"", WebsiteRedirectLocation="/docs/")
    assert visit("/")[0] == 403
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"],
         "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}))
    status, body, headers = visit("/")
    assert (status, body, headers["Content-Type"]) == (200, "home", "text/html")
    assert visit("/docs/")[1] == "docs" and visit("/a%20b.html")[1] == "blank"
    assert (visit("/docs")[0], visit("/docs")[2]["Location"]) == (302, "/docs/")
    assert visit("/none")[:2] == (404, "nothing here")
    assert visit("/moved")[0] == 301 and visit("/moved")[2]["Location"] == "/docs/"
    status, _, headers = visit("/old/x")
    assert status == 301 and headers["Location"].endswith("/new/x")
    assert visit("/", "POST")[0] == 405
    s3.delete_bucket_website(Bucket=bucket)


def test_acls_where_they_are_allowed(s3, client, unique):
    name = unique("bucket")
    s3.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=name)
    s3.put_object(Bucket=name, Key="open", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=name, Key="closed", Body=b"x")
    anyone = client("s3", config=Config(signature_version=UNSIGNED))
    assert anyone.get_object(Bucket=name, Key="open")["Body"].read() == b"x"
    with pytest.raises(ClientError) as error:
        anyone.get_object(Bucket=name, Key="closed")
    assert code(error) == ("AccessDenied", 403)
    s3.put_object_acl(Bucket=name, Key="open", ACL="private")
    with pytest.raises(ClientError):
        anyone.get_object(Bucket=name, Key="open")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    private = s3.put_object(Bucket=name, Key="both", Body=b"1")["VersionId"]
    public = s3.put_object(Bucket=name, Key="both", Body=b"2", ACL="public-read")["VersionId"]
    assert anyone.get_object(Bucket=name, Key="both", VersionId=public)["Body"].read() == b"2"
    with pytest.raises(ClientError) as error:
        anyone.get_object(Bucket=name, Key="both", VersionId=private)
    assert code(error) == ("AccessDenied", 403)


def test_virtual_host_style(s3, bucket, endpoint):
    s3.put_object(Bucket=bucket, Key="k", Body=b"by host")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert f"/{bucket}/k" in url
    port = endpoint.rsplit(":", 1)[1]
    virtual = boto3.client(
        "s3", endpoint_url=f"http://s3.localhost:{port}", region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=Config(s3={"addressing_style": "virtual"}, retries={"max_attempts": 0}))
    url = virtual.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert url.startswith(f"http://{bucket}.s3.localhost:{port}/k")
    request = urllib.request.Request(url.replace(f"{bucket}.s3.localhost", "127.0.0.1"), headers={"Host": f"{bucket}.s3.localhost:{port}"})
    assert urllib.request.urlopen(request).read() == b"by host"


def test_cli(aws, unique, tmp_path):
    name = unique("bucket")
    aws("s3", "mb", f"s3://{name}")
    (tmp_path / "dir").mkdir()
    for n in range(3):
        (tmp_path / "dir" / f"{n}.txt").write_text(str(n))
    (tmp_path / "large").write_bytes(os.urandom(9 << 20))
    aws("s3", "cp", str(tmp_path / "large"), f"s3://{name}/large")
    aws("s3", "sync", str(tmp_path / "dir"), f"s3://{name}/dir")
    assert "1.txt" in aws("s3", "ls", f"s3://{name}/dir/")
    aws("s3", "cp", f"s3://{name}/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    aws("s3", "mv", f"s3://{name}/large", f"s3://{name}/moved")
    url = aws("s3", "presign", f"s3://{name}/dir/1.txt").strip()
    assert urllib.request.urlopen(url).read() == b"1"
    aws("s3", "rb", "--force", f"s3://{name}")


def ask(url, method, **headers):
    request = urllib.request.Request(url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_cors(s3, bucket, endpoint):
    url = f"{endpoint}/{bucket}/k"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    page = dict(Origin="https://app.example", Access_Control_Request_Method="PUT")
    status, _, body = ask(url, "OPTIONS", **page)
    assert status == 403 and b"CORS is not enabled for this bucket." in body
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [
        {"AllowedMethods": ["PUT", "GET"], "AllowedOrigins": ["https://*.example"], "AllowedHeaders": ["*"],
         "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 3000}]})
    status, headers, _ = ask(url, "OPTIONS", Access_Control_Request_Headers="content-type", **page)
    headers = {k.lower(): v for k, v in headers.items()}
    assert status == 200 and headers["access-control-allow-origin"] == "https://app.example"
    assert headers["access-control-allow-methods"] == "PUT, GET" and headers["access-control-max-age"] == "3000"
    status, _, body = ask(url, "OPTIONS", Origin="https://evil.test", Access_Control_Request_Method="PUT")
    assert status == 403 and b"AccessForbidden" in body
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    status, headers, _ = ask(signed, "GET", Origin="https://app.example")
    headers = {k.lower(): v for k, v in headers.items()}
    assert status == 200 and headers["access-control-expose-headers"] == "ETag"
    s3.delete_bucket_cors(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.get_bucket_cors(Bucket=bucket)
    assert code(error) == ("NoSuchCORSConfiguration", 404)


def test_a_configuration_that_was_damaged_on_its_way(s3, bucket):
    with pytest.raises(ClientError) as error:
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []}, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert code(error) == ("BadDigest", 400)


def test_an_upload_calls_a_function(s3, client, bucket, unique):
    import time
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "def handler(event, _):\n    r = event['Records'][0]\n    print('heard', r['eventName'], r['s3']['object']['key'], r['s3']['object']['size'])\n")
    name = unique("hears")
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    iam, functions, logs = client("iam"), client("lambda"), client("logs")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    arn = functions.create_function(
        FunctionName=name, Role=role, Runtime="python3.11", Handler="app.handler", Code={"ZipFile": packed.getvalue()})["FunctionArn"]
    configuration = {"LambdaFunctionConfigurations": [
        {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".jpg"}]}}}]}
    with pytest.raises(ClientError) as error:
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    assert code(error) == ("InvalidArgument", 400)
    functions.add_permission(
        FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn=f"arn:aws:s3:::{bucket}")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    s3.put_object(Bucket=bucket, Key="a b.jpg", Body=b"123")
    s3.put_object(Bucket=bucket, Key="other.txt", Body=b"123")
    deadline = time.monotonic() + 30
    messages = []
    while time.monotonic() < deadline and not any("heard" in m for m in messages):
        time.sleep(0.1)
        try:
            messages = [e["message"] for e in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]
        except ClientError:
            continue
    heard = [m.strip() for m in messages if "heard" in m]
    assert heard == ["heard ObjectCreated:Put a+b.jpg 3"]


def test_object_lock(s3, unique):
    name = unique("locked")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    with pytest.raises(ClientError) as error:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    assert code(error) == ("InvalidBucketState", 409)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    version = s3.put_object(Bucket=name, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon)["VersionId"]
    head = s3.head_object(Bucket=name, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE" and abs(head["ObjectLockRetainUntilDate"] - soon) < datetime.timedelta(seconds=2)
    with pytest.raises(ClientError) as error:
        s3.delete_object(Bucket=name, Key="k", VersionId=version)
    assert code(error) == ("AccessDenied", 403)
    failed = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "k", "VersionId": version}]})["Errors"]
    assert [one["Code"] for one in failed] == ["AccessDenied"]
    marker = s3.delete_object(Bucket=name, Key="k")
    assert marker["DeleteMarker"]
    s3.delete_object(Bucket=name, Key="k", VersionId=marker["VersionId"])
    later = soon + datetime.timedelta(hours=1)
    s3.put_object_retention(Bucket=name, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": later})
    with pytest.raises(ClientError) as error:
        s3.put_object_retention(Bucket=name, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon})
    assert code(error) == ("AccessDenied", 403)
    s3.put_object_legal_hold(Bucket=name, Key="k", LegalHold={"Status": "ON"})
    with pytest.raises(ClientError) as error:
        s3.delete_object(Bucket=name, Key="k", VersionId=version, BypassGovernanceRetention=True)
    assert code(error) == ("AccessDenied", 403)
    s3.put_object_legal_hold(Bucket=name, Key="k", LegalHold={"Status": "OFF"})
    s3.delete_object(Bucket=name, Key="k", VersionId=version, BypassGovernanceRetention=True)
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=rule)
    assert s3.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"] == rule
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    assert s3.get_object_retention(Bucket=name, Key="k")["Retention"]["Mode"] == "COMPLIANCE"
    with pytest.raises(ClientError) as error:
        s3.put_object_retention(Bucket=name, Key="k", Retention={}, BypassGovernanceRetention=True)
    assert code(error) == ("AccessDenied", 403)


def test_locks_need_a_bucket_that_has_them(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError) as error:
        s3.get_object_retention(Bucket=bucket, Key="k")
    assert code(error) == ("InvalidRequest", 400)
    with pytest.raises(ClientError) as error:
        s3.get_object_lock_configuration(Bucket=bucket)
    assert code(error) == ("ObjectLockConfigurationNotFoundError", 404)
    with pytest.raises(ClientError) as error:
        s3.delete_object(Bucket=bucket, Key="k", BypassGovernanceRetention=False)
    assert code(error) == ("InvalidArgument", 400)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE")
    assert code(error) == ("InvalidArgument", 400)


class DeclaredPayload(S3SigV4Auth):
    """Signs the headers for a body that is signed chunk by chunk."""

    def payload(self, request):
        return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def signed(method, url, params=None, data=b"", headers=None, signer=S3SigV4Auth, **options):
    request = AWSRequest(method, url, params=params or {}, data=data, headers=headers or {})
    signer(Credentials("test", "test"), "s3", "us-east-1", **options).add_auth(request)
    return request.prepare()


def send(request, body=None):
    sent = urllib.request.Request(request.url, data=body, method=request.method, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read(), refused.headers


def test_headers_that_a_presigned_url_carries(s3, bucket, endpoint):
    url = f"{endpoint}/{bucket}/key"
    params = {"X-Amz-Meta-Colour": "red", "x-amz-storage-class": "STANDARD_IA", "If-None-Match": "*"}
    presigned = {"signer": S3SigV4QueryAuth, "expires": 60}
    assert send(signed("PUT", url, params, **presigned), b"x")[0] == 200
    head = s3.head_object(Bucket=bucket, Key="key")
    assert head["Metadata"] == {"colour": "red"} and head["StorageClass"] == "STANDARD_IA"
    assert send(signed("PUT", url, params, **presigned), b"x")[0] == 412


def test_a_chunk_that_is_not_what_was_signed(s3, bucket, endpoint):
    headers = {"x-amz-decoded-content-length": "4", "content-encoding": "aws-chunked"}
    chunk = b"4;chunk-signature=" + b"0" * 64 + b"\r\nabcd\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
    request = signed("PUT", f"{endpoint}/{bucket}/key", data=chunk, headers=headers, signer=DeclaredPayload)
    status, body, answered = send(request, chunk)
    assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in body
    assert b"<Resource>" not in body and answered["x-amz-id-2"] and answered["server"] == "AmazonS3"


def test_copy_sources_as_clients_spell_them(s3, bucket, endpoint):
    s3.put_object(Bucket=bucket, Key="a key", Body=b"x")
    for spelled in ("a+key", "a%20key"):
        headers = {"x-amz-copy-source": f"{bucket}%2F{spelled}"}
        assert send(signed("PUT", f"{endpoint}/{bucket}/copy", headers=headers))[0] == 200
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="k", CopySource="nothing")
    assert error.value.response["Error"]["ArgumentName"] == "x-amz-copy-source"


def test_small_configurations(s3, bucket, client, unique):
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    europe, name = client("s3", region="eu-west-1"), unique("eu")
    europe.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "EU"})
    assert europe.get_bucket_location(Bucket=name)["LocationConstraint"] == "EU"
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket=unique("b"), CreateBucketConfiguration={"LocationConstraint": "nowhere"})
    assert code(error) == ("InvalidLocationConstraint", 400)


def test_a_part_has_its_own_checksum(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32C")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"test content 123", ChecksumAlgorithm="CRC32C")
    parts = [{"ETag": part["ETag"], "PartNumber": 1, "ChecksumCRC32C": part["ChecksumCRC32C"]}]
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    head = s3.head_object(Bucket=bucket, Key="k", PartNumber=1, ChecksumMode="ENABLED")
    assert head["ChecksumCRC32C"] == part["ChecksumCRC32C"] == "fwuu0Q==" and head["ChecksumType"] == "COMPOSITE"
    ahead = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    assert s3.head_object(Bucket=bucket, Key="k", IfModifiedSince=ahead)["ContentLength"] == 16


def test_forms_as_recorded(s3, bucket, endpoint):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789", ChecksumAlgorithm="CRC32")
    listing = send(signed("GET", f"{endpoint}/{bucket}"))[1]
    assert b".000Z</LastModified>" in listing
    whole = s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-100", ChecksumMode="ENABLED")
    assert whole["ChecksumType"] == "FULL_OBJECT" and whole["ContentRange"] == "bytes 0-9/10"
    assert "ChecksumType" not in s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-8", ChecksumMode="ENABLED")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    assert send(signed("GET", f"{endpoint}/{bucket}/k", {"uploadId": upload, "part-number-marker": ""}))[0] == 200
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="key1=val1,key2=val2")
    assert code(error) == ("InvalidArgument", 400)
    failed = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": "no-version"}]})["Errors"]
    assert [one["Code"] for one in failed] == ["NoSuchVersion"]


def test_who_may_list_is_told_what_is_missing(s3, bucket, endpoint):
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})

    def visit():
        request = urllib.request.Request(endpoint + "/missing", headers={"Host": f"{bucket}.s3-website.localhost"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        return refused.value.code

    assert visit() == 403
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert visit() == 404
