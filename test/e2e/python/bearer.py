"""Uses a Bedrock API key as boto3's users do, and looks on as it takes the place of explicit credentials."""
import os

import boto3

os.environ["AWS_BEARER_TOKEN_BEDROCK"] = "ABSKdirectCanaryBearer0123456789"
client = boto3.client(
    "bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="AKIADIRECTCANARY0001",
    aws_secret_access_key="unused",
)
response = client.converse(modelId="vendor.model", messages=[{"role": "user", "content": [{"text": "Hello!"}]}])
print(response["output"]["message"]["content"][0]["text"])
