"""Leaves a stream after two events."""
import boto3

client = boto3.client(
    "bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret",
)
stream = client.converse_stream(modelId="endless", messages=[{"role": "user", "content": [{"text": "hi"}]}])["stream"]
events = iter(stream)
next(events)
next(events)
stream.close()
print('"left"')
