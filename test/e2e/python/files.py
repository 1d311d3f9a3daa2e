"""Writes, reads, lists and deletes objects as boto3's users do, and prints what boto3 made of the answers."""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client(
    "s3",
    endpoint_url="http://localhost:8080/bedrock/files",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret",
    config=Config(retries={"total_max_attempts": 1}),
)
bucket = "batch.bucket-1"
body = b'{"recordId": "1"}\n' * 1000
keys = ["in/records.jsonl", "in//two slashes", "/leading", "odd !'()*+@=&,;:$~é日", "a/../b", "per%2Fcent", "tail/", "x%"]


def raised(call):
    try:
        call()
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"],
                error.response["Error"]["Message"]]
    return "nothing"


put = client.put_object(
    Bucket=bucket, Key=keys[0], Body=body, ContentType="application/jsonl", Metadata={"purpose": "batch"},
    ServerSideEncryption="AES256", CacheControl="no-store",
)
for index, key in enumerate(keys[1:]):
    client.put_object(Bucket=bucket, Key=key, Body=f"object {index + 1}".encode())
got = client.get_object(Bucket=bucket, Key=keys[0])
read = got["Body"].read()
head = client.head_object(Bucket=bucket, Key=keys[0])
part = client.get_object(Bucket=bucket, Key=keys[0], Range="bytes=0-16")
bodies = [client.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys[1:]]
# From a megabyte on botocore asks first (Expect: 100-continue).
large = bytes(range(256)) * 8192
client.put_object(Bucket=bucket, Key="large", Body=large)
same_large = client.get_object(Bucket=bucket, Key="large")["Body"].read() == large
client.put_object(Bucket=bucket, Key="empty", Body=b"")
empty = client.get_object(Bucket=bucket, Key="empty")
first = client.list_objects_v2(Bucket=bucket, Prefix="in/", MaxKeys=1)
second = client.list_objects_v2(Bucket=bucket, Prefix="in/", ContinuationToken=first["NextContinuationToken"])
deleted = client.delete_object(Bucket=bucket, Key=keys[0])
print(json.dumps({
    "put": [put["ETag"], put["ResponseMetadata"]["HTTPStatusCode"], put["ResponseMetadata"]["HTTPHeaders"]["x-amz-id-2"]],
    "same": read == body,
    "got": [got["ETag"], got["ContentLength"], got["ContentType"], got["Metadata"], got.get("ChecksumCRC32") is not None],
    "head": [head["ContentLength"], head["ContentType"], head["Metadata"], head["ServerSideEncryption"],
             head["LastModified"].isoformat(), head["AcceptRanges"]],
    "part": [part["ContentRange"], part["Body"].read().decode(), part["ResponseMetadata"]["HTTPStatusCode"]],
    "bodies": bodies,
    "large": same_large,
    "empty": [empty["ContentLength"], empty["Body"].read().decode()],
    "listed": [[one["Key"] for one in page["Contents"]] for page in (first, second)],
    "truncated": [first["IsTruncated"], second["IsTruncated"]],
    "deleted": deleted["ResponseMetadata"]["HTTPStatusCode"],
    "missing": raised(lambda: client.get_object(Bucket=bucket, Key=keys[0])),
    "missingHead": raised(lambda: client.head_object(Bucket=bucket, Key=keys[0]))[:2],
    "notModified": raised(lambda: client.get_object(Bucket=bucket, Key=keys[1], IfNoneMatch=client.head_object(
        Bucket=bucket, Key=keys[1])["ETag"]))[:2],
    "climbing": raised(lambda: client.get_object(Bucket=bucket, Key="a/../../other/secret")),
    "multipart": raised(lambda: client.create_multipart_upload(Bucket=bucket, Key="k")),
    "acl": raised(lambda: client.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")),
    "tagging": raised(lambda: client.get_object_tagging(Bucket=bucket, Key="k")),
    "copy": raised(lambda: client.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": "b", "Key": "k"})),
    "buckets": raised(lambda: client.list_buckets()),
}))
