import boto3

# Configure boto3 Bedrock client to use Bifrost
# Note: When using Bifrost keys, dummy credentials are required
# because boto3 needs credentials to sign requests, even though
# Bifrost will use its own configured keys.
client = boto3.client(
    service_name="bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",  # Required when using Bifrost keys
    aws_secret_access_key="bifrost-dummy-secret"  # Required when using Bifrost keys
)

# Make requests as usual
response = client.converse(
    modelId="anthropic.claude-3-5-sonnet-20240620-v1:0",
    messages=[
        {
            "role": "user",
            "content": [{"text": "Hello!"}]
        }
    ]
)
print(response)
