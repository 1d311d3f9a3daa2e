"""Asks models of every provider as an application does, and prints what boto3 parsed, as one line of JSON."""
import json

import boto3

client = boto3.client(
    "bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret",
)
models = {
    "openai": "openai/gpt-4o",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-3-flash-preview",
    "cohere": "cohere/command-a-03-2025",
    "mistral": "mistral/mistral-large-latest",
}
tools = {
    "tools": [{
        "toolSpec": {
            "name": "get_weather",
            "description": "Tells the weather.",
            "inputSchema": {"json": {
                "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
            }},
        },
    }],
    "toolChoice": {"auto": {}},
}
pixel = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8cf500f00"
    "03860180"
)


def whole(**request):
    response = client.converse(**request)
    return response["output"]["message"], response["stopReason"]


def streamed(**request):
    """Puts a stream together the way applications do: block by block, tool input parsed at the block's end."""
    blocks, stop, fragments = [], None, ""
    for event in client.converse_stream(**request)["stream"]:
        if "contentBlockStart" in event:
            blocks.append({"toolUse": dict(event["contentBlockStart"]["start"]["toolUse"], input={})})
            fragments = ""
        elif "contentBlockDelta" in event:
            index, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
            if "toolUse" in delta:
                fragments += delta["toolUse"]["input"]
            elif "text" in delta:
                if index == len(blocks):
                    blocks.append({"text": ""})
                blocks[index]["text"] += delta["text"]
            elif "reasoningContent" in delta:
                if index == len(blocks):
                    blocks.append({"reasoningContent": {"reasoningText": {"text": ""}}})
                reasoning = blocks[index]["reasoningContent"]["reasoningText"]
                for name, value in delta["reasoningContent"].items():
                    reasoning[name] = reasoning.get(name, "") + value
        elif "contentBlockStop" in event:
            if "toolUse" in blocks[event["contentBlockStop"]["contentBlockIndex"]]:
                blocks[-1]["toolUse"]["input"] = json.loads(fragments)
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
    return {"role": "assistant", "content": blocks}, stop


def converse(name, ask):
    """Three turns: calls, results, answer."""
    messages = [{
        "role": "user",
        "content": [
            {"text": "What is the weather where this was taken?"},
            {"image": {"format": "png", "source": {"bytes": pixel}}},
            {"document": {"format": "txt", "name": "notes", "source": {"bytes": "Żółw".encode()}}},
        ],
    }]
    said, stops, calls = [], [], []
    for _ in range(3):
        message, stop = ask(
            modelId=models[name],
            messages=messages,
            system=[{"text": "Be brief."}],
            inferenceConfig={"maxTokens": 500, "temperature": 0.5},
            toolConfig=tools,
        )
        stops.append(stop)
        said += [block["text"] for block in message["content"] if "text" in block]
        used = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        calls += [[call["name"], call["input"]] for call in used]
        if not used:
            break
        messages.append(message)
        messages.append({
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"json": {"sky": call["input"]["city"]}}]}}
                for call in reversed(used)
            ],
        })
    return {"said": said, "stops": stops, "calls": calls}


def invoke(name):
    """Anthropic Messages through InvokeModelWithResponseStream, whoever serves it."""
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "Hi"}],
    }
    stream = client.invoke_model_with_response_stream(modelId=models[name], body=json.dumps(body))["body"]
    events = [json.loads(event["chunk"]["bytes"]) for event in stream]
    text = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    return [text, events[0]["type"], events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"]]


def embed(model):
    body = json.dumps({"inputText": "żółw", "dimensions": 3, "normalize": False})
    return json.loads(client.invoke_model(modelId=model, body=body)["body"].read())["embedding"]


def count(name):
    counted = client.count_tokens(
        modelId=models[name],
        input={"converse": {"messages": [{"role": "user", "content": [{"text": "How long is this?"}]}]}},
    )
    return counted["inputTokens"]


print(json.dumps({
    "whole": {name: converse(name, whole) for name in models},
    "streamed": {name: converse(name, streamed) for name in models},
    "invoked": {name: invoke(name) for name in models},
    "embedded": {
        "openai": embed("openai/text-embedding-3-small"),
        "gemini": embed("gemini/gemini-embedding-001"),
        "cohere": embed("cohere/embed-v4.0"),
        "mistral": embed("mistral/mistral-embed"),
    },
    "counted": {name: count(name) for name in models},
}))
