"""Creates, lists, gets and stops a batch job with every member boto3 knows, and prints what boto3 made of the answers."""
import datetime
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(**more):
    made = boto3.client(
        "bedrock",
        endpoint_url="http://localhost:8080/bedrock",
        region_name="us-west-2",
        aws_access_key_id="bifrost-dummy-key",
        aws_secret_access_key="bifrost-dummy-secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    if more:
        def add(request, **kwargs):
            for name, value in more.items():
                request.headers[name] = value
        made.meta.events.register("before-send.bedrock.*", add)
    return made


def plain(answer):
    answer.pop("ResponseMetadata")
    return json.loads(json.dumps(answer, default=lambda time: time.isoformat()))


def all_operations(one):
    created = one.create_model_invocation_job(
        jobName="nightly-1",
        roleArn="arn:aws:iam::123456789012:role/batch",
        clientRequestToken="token-1",
        modelId="claude-batch",
        inputDataConfig={"s3InputDataConfig": {
            "s3InputFormat": "JSONL", "s3Uri": "s3://bucket/in/", "s3BucketOwner": "123456789012"}},
        outputDataConfig={"s3OutputDataConfig": {
            "s3Uri": "s3://bucket/out/", "s3EncryptionKeyId": "kms-1", "s3BucketOwner": "123456789012"}},
        vpcConfig={"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]},
        timeoutDurationInHours=48,
        tags=[{"key": "team", "value": "search"}],
    )
    arn = created["jobArn"]
    listed = one.list_model_invocation_jobs(
        submitTimeAfter=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        submitTimeBefore=datetime.datetime(2026, 12, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        statusEquals="Completed", nameContains="night", maxResults=2, nextToken="a+b/c= &", sortBy="CreationTime",
        sortOrder="Descending",
    )
    got = one.get_model_invocation_job(jobIdentifier=arn)
    stopped = one.stop_model_invocation_job(jobIdentifier=arn)
    return [plain(one) for one in (created, listed, got, stopped)]


def raised(call):
    try:
        call()
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return "nothing"


print(json.dumps({
    "configured": all_operations(client()),
    "direct": all_operations(client(**{
        "x-bf-bedrock-access-key": "AKIADIRECTCANARY0002",
        "x-bf-bedrock-secret-key": "directCanarySecret2/0123",
        "x-bf-bedrock-region": "ap-south-1",
    })),
    "apiKey": all_operations(client(**{"Authorization": "Bearer ABSKdirectCanaryBearer0123456789"})),
    "named": all_operations(client(**{"x-model-provider": "elsewhere"})),
    "translated": raised(lambda: client(**{"x-model-provider": "openai"}).list_model_invocation_jobs()),
    "unknown": raised(lambda: client(**{"x-model-provider": "nobody"}).list_model_invocation_jobs()),
    "conflict": raised(lambda: client().stop_model_invocation_job(jobIdentifier="abcdefghijkl")),
}))
