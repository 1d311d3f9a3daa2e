"""Calls models that fail in every modelled way and prints what boto3 raised."""
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

client = boto3.client(
    "bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret",
    config=Config(retries={"total_max_attempts": 1}),
)
messages = [{"role": "user", "content": [{"text": "hi"}]}]
types = [
    "AccessDeniedException", "ValidationException", "ServiceQuotaExceededException", "ResourceNotFoundException",
    "ModelTimeoutException", "ModelErrorException", "ThrottlingException", "ModelNotReadyException",
    "InternalServerException", "ServiceUnavailableException",
]
operations = {
    "converse": lambda model: client.converse(modelId=model, messages=messages),
    "converse_stream": lambda model: client.converse_stream(modelId=model, messages=messages),
    "invoke_model": lambda model: client.invoke_model(modelId=model, body="{}"),
    "invoke_model_with_response_stream": lambda model: client.invoke_model_with_response_stream(modelId=model, body="{}"),
}
raised = []
for operation, call in operations.items():
    for name in types:
        try:
            call(name)
        except ClientError as error:
            raised.append([
                operation, type(error).__name__, error.response["Error"]["Code"], error.response["Error"]["Message"],
                error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["ResponseMetadata"]["RequestId"],
            ])
middle = []
for model in ("broken", "truncated"):
    seen = 0
    try:
        for event in client.converse_stream(modelId=model, messages=messages)["stream"]:
            seen += 1
    except EventStreamError as error:
        middle.append([model, seen, error.response["Error"]["Code"]])
try:
    client.converse_stream(modelId="first", messages=messages)
except ClientError as error:
    middle.append(["first", 0, error.response["Error"]["Code"]])
print(json.dumps({"raised": raised, "middle": middle}))
