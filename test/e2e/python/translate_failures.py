"""Meets every kind of failure of a foreign provider and prints what boto3 raised, as one line of JSON."""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError


def client_with(attempts):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url="http://localhost:8080/bedrock",
        region_name="us-west-2",
        aws_access_key_id="bifrost-dummy-key",
        aws_secret_access_key="bifrost-dummy-secret",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )


client = client_with(1)
providers = ["openai", "anthropic", "gemini", "cohere", "mistral"]
messages = [{"role": "user", "content": [{"text": "hi"}]}]

refused = {}
for provider in providers:
    refused[provider] = []
    for status in (429, 500, 401):
        try:
            client.converse_stream(modelId=f"{provider}/fails-with-{status}", messages=messages)
        except ClientError as error:
            metadata = error.response["ResponseMetadata"]
            refused[provider].append([status, type(error).__name__, metadata["HTTPStatusCode"]])

cut = {}
for provider in providers:
    seen = 0
    try:
        for event in client.converse_stream(modelId=f"{provider}/cut-off", messages=messages)["stream"]:
            seen += 1
    except EventStreamError as error:
        cut[provider] = [seen > 1, error.response["Error"]["Code"]]

unknown = None
try:
    client.converse(
        modelId="openai/gpt-4o",
        messages=[{"role": "user", "content": [{"video": {"format": "mp4", "source": {"bytes": b"x"}}}]}],
    )
except client.exceptions.ValidationException as error:
    unknown = error.response["Error"]["Message"]

retried = client_with(4).converse(modelId="openai/busy-twice", messages=messages)

stream = client.converse_stream(modelId="gemini/endless", messages=messages)["stream"]
events = iter(stream)
next(events)
next(events)
stream.close()

print(json.dumps({
    "refused": refused,
    "cut": cut,
    "unknown": unknown,
    "retries": retried["ResponseMetadata"]["RetryAttempts"],
}))
