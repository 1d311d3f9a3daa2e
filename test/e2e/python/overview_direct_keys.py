import boto3

# When direct keys are enabled, pass real AWS credentials to boto3
client = boto3.client(
    service_name="bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="your-aws-access-key",  # Real credentials when direct keys enabled
    aws_secret_access_key="your-aws-secret-key"  # Real credentials when direct keys enabled
)

response = client.converse(
    modelId="anthropic.claude-3-5-sonnet-20240620-v1:0",
    messages=[{"role": "user", "content": [{"text": "Hello!"}]}]
)
print(response)
