"""Asks the same twice, whole and streamed; the gateway has a cache key of its own for everybody."""
import json

import boto3

runtime = boto3.client(
    "bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret",
)
claude = "anthropic.claude-3-haiku-20240307-v1:0"


def outcome(answer):
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return [headers["x-bifrost-cache"], headers.get("x-bifrost-usage")]


def converse(model):
    messages = [{"role": "user", "content": [{"text": "What does boto3 say to " + model + "?"}]}]
    results = []
    for _ in range(2):
        answer = runtime.converse(modelId=model, messages=messages)
        said = "".join(block["text"] for block in answer["output"]["message"]["content"])
        results.append([*outcome(answer), said, answer["stopReason"], answer["usage"]["outputTokens"]])
    answer = runtime.converse_stream(modelId=model, messages=messages)
    said, stop, usage = "", None, None
    for event in answer["stream"]:
        if "contentBlockDelta" in event:
            said += event["contentBlockDelta"]["delta"]["text"]
        if "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
        if "metadata" in event:
            usage = event["metadata"]["usage"]
    results.append([*outcome(answer), said, stop, usage["outputTokens"]])
    return results


def invoke(model):
    body = json.dumps(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "What does boto3 invoke at " + model + "?"}],
        }
    )
    results = []
    for _ in range(2):
        answer = runtime.invoke_model(modelId=model, body=body)
        message = json.loads(answer["body"].read())
        results.append([*outcome(answer), message["content"][0]["text"], message["stop_reason"]])
    answer = runtime.invoke_model_with_response_stream(modelId=model, body=body)
    chunks = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    said = "".join(chunk["delta"]["text"] for chunk in chunks if chunk["type"] == "content_block_delta")
    stop = [chunk["delta"]["stop_reason"] for chunk in chunks if chunk["type"] == "message_delta"]
    results.append([*outcome(answer), said, stop[0]])
    return results


print(
    json.dumps(
        {
            "relayed": converse("vendor.model-v1:0"),
            "translated": converse("openai/gpt-4o"),
            "invoked": invoke(claude),
            "invokedTranslated": invoke("openai/gpt-4o-mini"),
        }
    )
)
