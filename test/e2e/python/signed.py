"""Signs with the access key of a configured key: rightly, wrongly, and with temporary credentials."""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

messages = [{"role": "user", "content": [{"text": "Grüße 🦌"}]}]


def client(secret, url="http://localhost:8080/bedrock", **more):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-west-2",
        aws_access_key_id="AKIDEXAMPLE0000000000",
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
        **more,
    )


def add_headers(request, **kwargs):
    request.headers.add_header("x-bf-env", "two  blanks")


right = "canarySecretKey/NeverInLogs+0123456789abcdef"
results = {}
for name, one in {
    "right": client(right),
    "slash": client(right, "http://localhost:8080/bedrock/"),
    "temporary": client(right, aws_session_token="token/of+the=client"),
    "headers": client(right),
    "wrong": client("wrong"),
}.items():
    if name == "headers":
        one.meta.events.register_first("before-sign.bedrock-runtime.*", add_headers)
    try:
        one.converse(modelId="arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2", messages=messages)
        one.invoke_model(modelId="vendor.model-v1:0", body=b"{}", accept="application/json")
        for _ in one.converse_stream(modelId="vendor.model", messages=messages)["stream"]:
            pass
        one.list_async_invokes(nextToken="a+b/c= é&", maxResults=3)
        results[name] = "served"
    except ClientError as error:
        results[name] = [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
print(json.dumps(results))
