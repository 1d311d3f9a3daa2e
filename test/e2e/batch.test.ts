/** Batch jobs, by boto3 and by raw requests, against a fake control plane that checks what it receives. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failure, json } from "../support/answers.ts";
import {
  type FakeBedrock,
  fakeIdentity,
  type Identity,
  type Recorded,
  startFakeBedrock,
} from "../support/fake-bedrock.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { errorOf } from "../support/keys.ts";
import { findBoto3, runPython } from "../support/python.ts";
import { send, sendH2 } from "../support/raw-http.ts";

const boto3 = findBoto3();
const second: Identity = { accessKeyId: "AKIASECONDKEY0000001", secretAccessKey: "secondCanary/0123456789" };
const direct: Identity = { accessKeyId: "AKIADIRECTCANARY0002", secretAccessKey: "directCanarySecret2/0123" };
const ownBearer = "ABSKdirectCanaryBearer0123456789";
/** Made in another region than that of the key. */
const arn = "arn:aws:bedrock:us-west-2:123456789012:model-invocation-job/abcdefghijkl";

const job = {
  jobArn: arn,
  jobName: "nightly-1",
  modelId: "vendor.batch-model-v1:0",
  clientRequestToken: "token-1",
  roleArn: "arn:aws:iam::123456789012:role/batch",
  status: "PartiallyCompleted",
  message: "Two records failed.",
  submitTime: "2026-11-24T10:00:00+00:00",
  lastModifiedTime: "2026-11-24T11:00:00+00:00",
  endTime: "2026-11-24T11:00:00+00:00",
  inputDataConfig: {
    s3InputDataConfig: { s3InputFormat: "JSONL", s3Uri: "s3://bucket/in/", s3BucketOwner: "123456789012" },
  },
  outputDataConfig: {
    s3OutputDataConfig: { s3Uri: "s3://bucket/out/", s3EncryptionKeyId: "kms-1", s3BucketOwner: "123456789012" },
  },
  vpcConfig: { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] },
  timeoutDurationInHours: 48,
  jobExpirationTime: "2026-11-26T10:00:00+00:00",
};

let fake: FakeBedrock;
let gateway: RunningGateway;

function keyOf(name: string, { accessKeyId, secretAccessKey }: Identity, region: string, more: object = {}): object {
  return {
    name,
    models: ["*"],
    bedrock_key_config: {
      access_key: accessKeyId,
      secret_key: secretAccessKey,
      region,
      endpoints: { control: fake.url },
    },
    ...more,
  };
}

beforeAll(async () => {
  fake = await startFakeBedrock({ identities: [fakeIdentity, second, direct], bearers: [ownBearer] });
  const aliases = { "claude-batch": "vendor.batch-model-v1:0" };
  const other = { custom_provider_config: { base_provider_type: "bedrock" }, network_config: { max_retries: 0 } };
  const providers = {
    bedrock: {
      keys: [keyOf("main", fakeIdentity, "us-east-1", { aliases })],
      network_config: { max_retries: 0 },
    },
    elsewhere: { ...other, keys: [keyOf("there", second, "eu-central-1", { aliases })] },
    // Of two accounts.
    pair: {
      ...other,
      keys: [keyOf("one", fakeIdentity, "us-east-1"), keyOf("two", second, "us-east-1", { weight: 0 })],
    },
    openai: { keys: [{ name: "o", value: "sk-o" }], network_config: { base_url: fake.url } },
  };
  gateway = await startGateway({
    config: { client: { allow_direct_keys: true }, providers },
    env: { BIFROST_LOG_LEVEL: "trace" },
  });
}, 60_000);
beforeEach(() => {
  fake.reset();
  fake.when("CreateModelInvocationJob", json({ jobArn: arn }));
  fake.when("ListModelInvocationJobs", json({ invocationJobSummaries: [job], nextToken: "next+/=" }));
  fake.when(arn, ({ operation }) => json(operation === "StopModelInvocationJob" ? {} : job));
});
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

/** Who a request was signed by, and for which region. */
function signerOf({ headers }: Recorded): string {
  const authorization = String(headers.authorization);
  return /Credential=([^/]+)\/\d+\/([^/]+\/[^/]+)/.exec(authorization)?.slice(1).join(" ") ?? authorization;
}

const operations = [
  "CreateModelInvocationJob",
  "ListModelInvocationJobs",
  "GetModelInvocationJob",
  "StopModelInvocationJob",
];

test.skipIf(boto3 === undefined)(
  `boto3 ${boto3} creates, lists, gets and stops jobs with every member, with anybody's keys`,
  async () => {
    fake.when("abcdefghijkl", failure(400, "ConflictException", "The job has ended."));
    const { result } = await runPython("batch.py", gateway.url);
    const seen = [{ jobArn: arn }, { invocationJobSummaries: [job], nextToken: "next+/=" }, job, {}];
    expect(result).toEqual({
      configured: seen,
      direct: seen,
      apiKey: seen,
      named: seen,
      translated: ["ValidationException", 400],
      unknown: ["ResourceNotFoundException", 404],
      conflict: ["ConflictException", 400],
    });
    expect(fake.requests.map(({ operation }) => operation)).toEqual([
      ...operations,
      ...operations,
      ...operations,
      ...operations,
      "StopModelInvocationJob",
    ]);
    // A job's ARN says where the job is; all else goes by the key.
    const perIdentity = (id: string, region: string) => [
      `${id} ${region}/bedrock`,
      `${id} ${region}/bedrock`,
      `${id} us-west-2/bedrock`,
      `${id} us-west-2/bedrock`,
    ];
    expect(fake.requests.map(signerOf)).toEqual([
      ...perIdentity(fakeIdentity.accessKeyId, "us-east-1"),
      ...perIdentity(direct.accessKeyId, "ap-south-1"),
      ...Array(4).fill(`Bearer ${ownBearer}`),
      ...perIdentity(second.accessKeyId, "eu-central-1"),
      `${fakeIdentity.accessKeyId} us-east-1/bedrock`,
    ]);
    const [create, list] = fake.requests;
    expect(JSON.parse(String(create?.body))).toEqual({
      jobName: "nightly-1",
      roleArn: job.roleArn,
      clientRequestToken: "token-1",
      // The key's name for it.
      modelId: "vendor.batch-model-v1:0",
      inputDataConfig: job.inputDataConfig,
      outputDataConfig: job.outputDataConfig,
      vpcConfig: job.vpcConfig,
      timeoutDurationInHours: 48,
      tags: [{ key: "team", value: "search" }],
    });
    expect(Object.fromEntries(new URLSearchParams(list?.query))).toEqual({
      submitTimeAfter: "2026-01-02T03:04:05Z",
      submitTimeBefore: "2026-12-02T03:04:05Z",
      statusEquals: "Completed",
      nameContains: "night",
      maxResults: "2",
      nextToken: "a+b/c= &",
      sortBy: "CreationTime",
      sortOrder: "Descending",
    });
  },
  40_000,
);

const at = (path: string, method = "GET", headers: Readonly<Record<string, string>> = {}, body = "") =>
  send(gateway.url, `/bedrock${path}`, { method, headers, body });

describe("a job", () => {
  test("goes up and comes down byte for byte where no alias is in it", async () => {
    const body = '{ "modelId":"vendor.model",\n "unknown" : {"x":1.0} }';
    const said = '{ "jobArn" : "a", "new member": 1.50 }';
    fake.when("CreateModelInvocationJob", json(said));
    const answer = await at("/model-invocation-job", "POST", { "content-type": "application/json" }, body);
    expect(answer.body.toString()).toBe(said);
    expect(fake.requests[0]?.body.toString()).toBe(body);
  });

  test("may name its provider in its model id, as long as the header names no other", async () => {
    const body = '{"modelId":"elsewhere/claude-batch"}';
    const answer = await at("/model-invocation-job", "POST", {}, body);
    expect(answer).toMatchObject({ status: 200, headers: { "x-bifrost-provider": "elsewhere" } });
    expect(fake.requests[0]?.body.toString()).toBe('{"modelId":"vendor.batch-model-v1:0"}');
    const same = await at("/model-invocation-job", "POST", { "x-model-provider": "elsewhere" }, body);
    expect(same.status).toBe(200);
    const refused = errorOf(await at("/model-invocation-job", "POST", { "x-model-provider": "bedrock" }, body));
    expect(refused).toMatchObject({ status: 400, type: "ValidationException" });
    expect(refused.message).toContain("x-model-provider says bedrock");
    const foreign = errorOf(await at("/model-invocation-job", "POST", {}, '{"modelId":"openai/gpt-4o"}'));
    expect(foreign).toMatchObject({ status: 400, type: "ValidationException" });
    expect(foreign.message).toContain("modelId: openai is not Bedrock");
    expect(fake.requests).toHaveLength(2);
  });

  test.each([encodeURIComponent(arn), arn, arn.replace("/", "%2F")])("is found by %s", async (raw) => {
    expect((await at(`/model-invocation-job/${raw}`)).status).toBe(200);
    expect((await at(`/model-invocation-job/${raw}/stop`, "POST")).status).toBe(200);
    const overH2 = await sendH2(gateway.h2url, `/bedrock/model-invocation-job/${raw}`, { method: "GET" });
    expect(JSON.parse(overH2.body.toString())).toEqual(job);
    expect(new Set(fake.requests.map(({ label }) => label))).toEqual(new Set([arn]));
  });

  test("A73 whose ARN has something else for a region is refused", async () => {
    for (const region of ["evil.example/", "..", "us-east-1.evil.example", "x@y"]) {
      const label = encodeURIComponent(arn.replace("us-west-2", region));
      expect(errorOf(await at(`/model-invocation-job/${label}`))).toMatchObject({
        status: 400,
        type: "ValidationException",
      });
    }
    expect(fake.requests).toEqual([]);
  });

  test.each(["ResourceNotFoundException", "AccessDeniedException"])(
    "of another key's account is found with that key, after %s",
    async (type) => {
      fake.when(arn, (request) =>
        signerOf(request).startsWith(second.accessKeyId) ? json(job) : failure(404, type, "No such job."),
      );
      const found = await at(`/model-invocation-job/${encodeURIComponent(arn)}`, "GET", { "x-model-provider": "pair" });
      expect(found).toMatchObject({ status: 200, headers: { "x-bifrost-key": "two", "x-bifrost-attempts": "2" } });
      fake.when(arn, failure(404, type, "No such job."));
      const lost = errorOf(
        await at(`/model-invocation-job/${encodeURIComponent(arn)}`, "GET", { "x-model-provider": "pair" }),
      );
      expect(lost).toEqual({ status: 404, type, message: "No such job." });
    },
  );

  test("is created with the next key when one is refused or throttled", async () => {
    for (const answer of [
      failure(429, "ThrottlingException", "Slow down."),
      failure(403, "UnrecognizedClientException", "The security token is invalid."),
    ]) {
      fake.when("CreateModelInvocationJob", (request) =>
        signerOf(request).startsWith(second.accessKeyId) ? json({ jobArn: arn }) : answer,
      );
      const created = await at("/model-invocation-job", "POST", { "x-model-provider": "pair" }, '{"modelId":"m"}');
      expect(created).toMatchObject({ status: 200, headers: { "x-bifrost-key": "two" } });
    }
    // A job is not created a second time for what only its own request is to blame for.
    fake.when("CreateModelInvocationJob", failure(403, "AccessDeniedException", "No such role."));
    const before = fake.requests.length;
    const denied = errorOf(
      await at("/model-invocation-job", "POST", { "x-model-provider": "pair" }, '{"modelId":"m"}'),
    );
    expect(denied).toEqual({ status: 403, type: "AccessDeniedException", message: "No such role." });
    expect(fake.requests).toHaveLength(before + 1);
  });

  test("without a model id goes up: Bedrock says what is wrong with it", async () => {
    fake.when("CreateModelInvocationJob", failure(400, "ValidationException", "modelId is missing."));
    expect(errorOf(await at("/model-invocation-job", "POST", {}, "not json"))).toMatchObject({
      status: 400,
      message: "modelId is missing.",
    });
    expect(fake.requests[0]?.body.toString()).toBe("not json");
  });
});
