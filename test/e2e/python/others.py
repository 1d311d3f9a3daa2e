"""Calls operations that are not about generating text."""
import json

import boto3

settings = {
    "endpoint_url": "http://localhost:8080/bedrock",
    "region_name": "us-west-2",
    "aws_access_key_id": "bifrost-dummy-key",
    "aws_secret_access_key": "bifrost-dummy-secret",
}
runtime = boto3.client("bedrock-runtime", **settings)
control = boto3.client("bedrock", **settings)
agents = boto3.client("bedrock-agent-runtime", **settings)
arn = "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl"
results = {
    "count": runtime.count_tokens(
        modelId="m", input={"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}
    )["inputTokens"],
    "guardrail": runtime.apply_guardrail(
        guardrailIdentifier="g1", guardrailVersion="DRAFT", source="INPUT", content=[{"text": {"text": "secret"}}]
    )["action"],
    "started": runtime.start_async_invoke(
        modelId="amazon.nova-reel-v1:0",
        modelInput={"taskType": "TEXT_VIDEO"},
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": "s3://bucket/out"}},
    )["invocationArn"],
    "got": runtime.get_async_invoke(invocationArn=arn)["status"],
    "listed": len(runtime.list_async_invokes(maxResults=3)["asyncInvokeSummaries"]),
    "models": control.list_foundation_models(byProvider="Anthropic")["modelSummaries"][0]["modelId"],
    "model": control.get_foundation_model(modelIdentifier="anthropic.claude-3-haiku-20240307-v1:0")["modelDetails"]["modelName"],
    "profiles": len(control.list_inference_profiles(typeEquals="SYSTEM_DEFINED")["inferenceProfileSummaries"]),
    "profile": control.get_inference_profile(
        inferenceProfileIdentifier="us.anthropic.claude-3-haiku-20240307-v1:0"
    )["createdAt"].isoformat(),
    "ranked": [one["index"] for one in agents.rerank(
        queries=[{"type": "TEXT", "textQuery": {"text": "capital"}}],
        sources=[{"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "Paris"}}}],
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "modelConfiguration": {"modelArn": "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0"}
            },
        },
    )["results"]],
}
print(json.dumps(results))
