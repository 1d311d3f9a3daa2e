"""Prints when each event of two streams reached its iterator, in milliseconds since 1970."""
import json
import time

import boto3

client = boto3.client(
    "bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret",
)


def arrivals(events):
    return [time.time() * 1000 for _ in events]


converse = client.converse_stream(modelId="spaced", messages=[{"role": "user", "content": [{"text": "hi"}]}])
first = arrivals(converse["stream"])
invoke = client.invoke_model_with_response_stream(modelId="spaced-invoke", body="{}")
print(json.dumps({"converse": first, "invoke": arrivals(invoke["body"])}))
