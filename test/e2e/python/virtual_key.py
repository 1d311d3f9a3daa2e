"""A virtual key as plain credentials: its id and its value."""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

messages = [{"role": "user", "content": [{"text": "Grüße 🦌"}]}]


def client(key, secret):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url="http://localhost:8080/bedrock",
        region_name="us-west-2",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


results = {}
right = client("vk-app", "vk_12345")
results["right"] = right.converse(modelId="vendor.model", messages=messages)["output"]["message"]["content"][0]["text"]
events = list(right.converse_stream(modelId="vendor.model", messages=messages)["stream"])
results["stream"] = next(iter(events[0]))
for name, one in {"wrong": client("vk-app", "vk_1234"), "dummy": client("bifrost-dummy-key", "dummy")}.items():
    try:
        one.converse(modelId="vendor.model", messages=messages)
        results[name] = "served"
    except ClientError as error:
        results[name] = [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
print(json.dumps(results))
