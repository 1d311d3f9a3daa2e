"""Who a client of S3 is: a configured access key that signs, tampered requests, strangers, and direct keys."""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(key, secret, before_send=None, before_sign=None, before_call=None):
    made = boto3.client(
        "s3",
        endpoint_url="http://localhost:8080/bedrock/files",
        region_name="us-west-2",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )
    if before_send is not None:
        made.meta.events.register("before-send.s3.*", before_send)
    if before_sign is not None:
        made.meta.events.register("before-sign.s3.*", before_sign)
    if before_call is not None:
        made.meta.events.register("before-call.s3.*", before_call)
    return made


def raised(call):
    try:
        call()
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return "served"


def all_operations(one):
    one.put_object(Bucket="bucket", Key="a b//c é", Body=b"x" * 10)
    one.head_object(Bucket="bucket", Key="a b//c é")
    one.get_object(Bucket="bucket", Key="a b//c é")["Body"].read()
    one.list_objects_v2(Bucket="bucket", Prefix="a b/")
    one.delete_object(Bucket="bucket", Key="a b//c é")


def other_key(request, **kwargs):
    request.url = request.url.replace("/k", "/other")


def other_body(request, **kwargs):
    request.body = b"y" * 10


def other_metadata(request, **kwargs):
    request.headers["x-amz-meta-a"] = "2"


def in_trailer(params, **kwargs):
    # As botocore does over TLS: the body in aws-chunked framing, its checksum behind it.
    params["context"]["checksum"]["request_algorithm"]["in"] = "trailer"


direct = {
    "x-bf-bedrock-access-key": "ASIADIRECTCANARY0001",
    "x-bf-bedrock-secret-key": "directCanarySecret/0123456789",
    "x-bf-bedrock-session-token": "directCanarySession//0123456789==",
    "x-bf-bedrock-region": "ap-south-1",
}


def with_direct(request, **kwargs):
    for name, value in direct.items():
        request.headers.add_header(name, value)


configured = ("AKIDEXAMPLE0000000000", "canarySecretKey/NeverInLogs+0123456789abcdef")
dummy = ("bifrost-dummy-key", "bifrost-dummy-secret")
put = {"Bucket": "bucket", "Key": "k", "Body": b"x" * 10, "Metadata": {"a": "1"}}
print(json.dumps({
    "configured": raised(lambda: all_operations(client(*configured))),
    "wrong": raised(lambda: client(configured[0], "wrong").put_object(**put)),
    "key": raised(lambda: client(*configured, before_send=other_key).put_object(**put)),
    "body": raised(lambda: client(*configured, before_send=other_body).put_object(**put)),
    "metadata": raised(lambda: client(*configured, before_send=other_metadata).put_object(**put)),
    "stranger": raised(lambda: client("AKIASTRANGER00000001", "x").put_object(**put)),
    "framed": raised(lambda: client(*configured, before_call=in_trailer).put_object(
        Bucket="bucket", Key="framed", Body=bytes(range(256)) * 8192)),
    "direct": raised(lambda: all_operations(client(*dummy, before_sign=with_direct))),
}))
