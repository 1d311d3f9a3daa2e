"""Calls the four model operations and prints what boto3 parsed, as one line of JSON."""
import json

import boto3

client = boto3.client(
    "bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret",
)
model = "us.anthropic.claude-3-haiku-20240307-v1:0"
messages = [{"role": "user", "content": [{"text": "Żółw 🐢"}]}]


def without_metadata(response):
    return {name: value for name, value in response.items() if name not in ("ResponseMetadata", "stream", "body")}


whole = client.converse(
    modelId=model,
    messages=messages,
    system=[{"text": "Be brief."}],
    inferenceConfig={"maxTokens": 10, "stopSequences": ["x"]},
    toolConfig={"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
)
stream = client.converse_stream(modelId=model, messages=messages)
invoked = client.invoke_model(modelId=model, body=b'{"a": 1}', trace="ENABLED")
invoke_stream = client.invoke_model_with_response_stream(modelId=model, body='{"a": 2}')
print(json.dumps({
    "converse": without_metadata(whole),
    "requestId": whole["ResponseMetadata"]["RequestId"],
    "status": whole["ResponseMetadata"]["HTTPStatusCode"],
    "retries": whole["ResponseMetadata"]["RetryAttempts"],
    "converse_stream": list(stream["stream"]),
    "invoke_model": json.loads(invoked["body"].read()),
    "invoke_headers": invoked["ResponseMetadata"]["HTTPHeaders"],
    "content_type": invoked["contentType"],
    "invoke_stream": [json.loads(event["chunk"]["bytes"]) for event in invoke_stream["body"]],
}))
