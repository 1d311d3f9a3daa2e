import boto3


def add_bifrost_headers(request, **kwargs):
    """Add custom Bifrost headers to the request before signing."""
    request.headers.add_header("x-bf-vk", "vk_12345")  # Virtual key for governance
    request.headers.add_header("x-bf-env", "production")  # Environment tag


client = boto3.client(
    service_name="bedrock-runtime",
    endpoint_url="http://localhost:8080/bedrock",
    region_name="us-west-2",
    aws_access_key_id="bifrost-dummy-key",
    aws_secret_access_key="bifrost-dummy-secret"
)

# Register the header injection for all Bedrock API calls
client.meta.events.register_first(
    "before-sign.bedrock-runtime.*",
    add_bifrost_headers,
)

# Now make requests with custom headers
response = client.converse(
    modelId="anthropic.claude-3-5-sonnet-20240620-v1:0",
    messages=[{"role": "user", "content": [{"text": "Hello with custom headers!"}]}]
)
print(response)
