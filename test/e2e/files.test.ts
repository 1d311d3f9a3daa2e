/** The objects of S3 that batch inference needs, by a real client and by raw requests, against a fake S3 that checks. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fakeBearer, fakeIdentity, type Identity } from "../support/fake-bedrock.ts";
import { type FakeS3, startFakeS3 } from "../support/fake-s3.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { findBoto3, runPython } from "../support/python.ts";

const boto3 = findBoto3();
const second: Identity = { accessKeyId: "AKIASECONDKEY0000001", secretAccessKey: "secondCanary/0123456789" };

let fake: FakeS3;
let gateway: RunningGateway;

function keyOf(name: string, { accessKeyId, secretAccessKey }: Identity, url: string, more: object = {}): object {
  return {
    name,
    models: ["*"],
    bedrock_key_config: {
      access_key: accessKeyId,
      secret_key: secretAccessKey,
      region: "eu-central-1",
      endpoints: { s3: url },
    },
    ...more,
  };
}

beforeAll(async () => {
  fake = await startFakeS3([fakeIdentity, second]);
  const config = {
    client: { allow_direct_keys: true },
    providers: {
      bedrock: {
        // The first cannot sign for S3.
        keys: [{ name: "api-key", value: fakeBearer, weight: 100 }, keyOf("main", fakeIdentity, fake.url)],
        network_config: { max_retries: 0 },
      },
    },
  };
  gateway = await startGateway({ config, env: { BIFROST_LOG_LEVEL: "trace" } });
}, 60_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

describe.skipIf(boto3 === undefined)(`boto3 ${boto3}`, { timeout: 40_000 }, () => {
  test("writes, reads, lists and deletes objects, and sees S3's errors and the gateway's", async () => {
    const { result } = await runPython("files.py", gateway.url);
    console.log(result);
    for (const { region, accessKeyId } of fake.requests)
      expect([region, accessKeyId]).toEqual(["eu-central-1", fakeIdentity.accessKeyId]);
    console.log(
      fake.requests.map((r) => [r.method, r.url]),
      fake.requests[0]?.headers,
    );
  });
});
