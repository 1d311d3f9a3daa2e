import {
  BedrockClient,
  CreateModelInvocationJobCommand,
  GetFoundationModelCommand,
  GetInferenceProfileCommand,
  GetModelInvocationJobCommand,
  ListFoundationModelsCommand,
  ListInferenceProfilesCommand,
  ListModelInvocationJobsCommand,
  StopModelInvocationJobCommand,
} from "@aws-sdk/client-bedrock";
import { BedrockAgentRuntimeClient, RerankCommand } from "@aws-sdk/client-bedrock-agent-runtime";
import {
  ApplyGuardrailCommand,
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  CountTokensCommand,
  GetAsyncInvokeCommand,
  InvokeGuardrailChecksCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  ListAsyncInvokesCommand,
  StartAsyncInvokeCommand,
} from "@aws-sdk/client-bedrock-runtime";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeLabel,
  matchOperation,
  type Operation,
  type OperationName,
  operationPath,
  operations,
  pathTemplate,
  upstreamPath,
} from "../../src/bedrock/operations.ts";
import { rejection } from "../support/wait.ts";

/** The paths of the service models; `{}` stands for a label. */
const paths: Readonly<Record<OperationName, readonly [method: string, path: string]>> = {
  Converse: ["POST", "/model/{}/converse"],
  ConverseStream: ["POST", "/model/{}/converse-stream"],
  InvokeModel: ["POST", "/model/{}/invoke"],
  InvokeModelWithResponseStream: ["POST", "/model/{}/invoke-with-response-stream"],
  CountTokens: ["POST", "/model/{}/count-tokens"],
  ApplyGuardrail: ["POST", "/guardrail/{}/version/{}/apply"],
  InvokeGuardrailChecks: ["POST", "/guardrail-checks/invoke"],
  StartAsyncInvoke: ["POST", "/async-invoke"],
  GetAsyncInvoke: ["GET", "/async-invoke/{}"],
  ListAsyncInvokes: ["GET", "/async-invoke"],
  Rerank: ["POST", "/rerank"],
  ListFoundationModels: ["GET", "/foundation-models"],
  GetFoundationModel: ["GET", "/foundation-models/{}"],
  ListInferenceProfiles: ["GET", "/inference-profiles"],
  GetInferenceProfile: ["GET", "/inference-profiles/{}"],
  CreateModelInvocationJob: ["POST", "/model-invocation-job"],
  ListModelInvocationJobs: ["GET", "/model-invocation-jobs"],
  GetModelInvocationJob: ["GET", "/model-invocation-job/{}"],
  StopModelInvocationJob: ["POST", "/model-invocation-job/{}/stop"],
  PutObject: ["PUT", "/files/{}/{}"],
  GetObject: ["GET", "/files/{}/{}"],
  HeadObject: ["HEAD", "/files/{}/{}"],
  DeleteObject: ["DELETE", "/files/{}/{}"],
  ListObjectsV2: ["GET", "/files/{}"],
};

const arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl";
const jobs = ["CreateModelInvocationJob", "ListModelInvocationJobs", "GetModelInvocationJob", "StopModelInvocationJob"];
const objects = ["PutObject", "GetObject", "HeadObject", "DeleteObject", "ListObjectsV2"];

const converse = (raw: string) => matchOperation("POST", `/model/${raw}/converse`);

function fill(path: string, labels: readonly string[]): string {
  const rest = labels.values();
  return path.replace(/\{\}/g, () => rest.next().value ?? "");
}

function labelsOf(operation: Operation): number {
  return paths[operation.name][1].split("{}").length - 1;
}

/** Characters that have a meaning in paths, and some from everywhere. */
const label = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ":",
        "/",
        "%",
        ".",
        "..",
        "?",
        "#",
        " ",
        "+",
        "%2F",
        "converse",
        "version",
        "é",
        "日",
        "😀",
        "\u0000",
      ),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 3 }),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.join(""))
  .filter((text) => text !== "." && text !== "..");

/** Takes the AWS SDK's requests the moment before they would leave, and keeps their path. */
class PathRecorder {
  path: string | undefined;

  handle(request: { readonly path: string }): Promise<never> {
    this.path = request.path;
    return Promise.reject(new Error("it is not sent"));
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): object {
    return {};
  }
}

describe("the table", () => {
  test("has every operation of the service models' list once", () => {
    expect(operations.map(({ name }) => name).sort()).toEqual(Object.keys(paths).sort());
  });

  test("says which answers are streams, and who serves them", () => {
    expect(operations.filter(({ streams }) => streams).map(({ name }) => name)).toEqual([
      "ConverseStream",
      "InvokeModelWithResponseStream",
    ]);
    expect(operations.filter(({ service }) => service === "agent_runtime").map(({ name }) => name)).toEqual(["Rerank"]);
    expect(operations.filter(({ service }) => service === "control").map(({ name }) => name)).toEqual([
      "ListFoundationModels",
      "GetFoundationModel",
      "ListInferenceProfiles",
      "GetInferenceProfile",
      ...jobs,
    ]);
    expect(operations.filter(({ service }) => service === "s3").map(({ name }) => name)).toEqual(objects);
    expect(operations.filter(({ batch }) => batch).map(({ name }) => name)).toEqual([...jobs, ...objects]);
  });

  test.each(operations)("$name: labels of any characters are matched, decoded once, and written back", (operation) => {
    const [method, path] = paths[operation.name];
    const count = labelsOf(operation);
    fc.assert(
      fc.property(fc.array(label, { minLength: count, maxLength: count }), (labels) => {
        const encoded = fill(path, labels.map(encodeLabel));
        const route = matchOperation(method, encoded);
        expect(route?.operation.name).toBe(operation.name);
        expect(route?.labels).toEqual(labels);
        if (route === undefined) return;
        const [bucket = "", key = ""] = labels.map(encodeLabel);
        // At S3 the bucket comes first, and the slashes of a key are those of the path.
        const object = `/${bucket}${count === 2 ? `/${key.replaceAll("%2F", "/")}` : ""}`;
        expect(upstreamPath(route)).toBe(operation.service === "s3" ? object : encoded);
        const again = matchOperation(method, operationPath(route));
        expect(again?.operation.name).toBe(operation.name);
        expect(again?.labels).toEqual(labels);
      }),
    );
  });

  test.each(operations)("$name: the other methods are not its own", (operation) => {
    const [own, path] = paths[operation.name];
    for (const method of ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", own.toLowerCase(), ""]) {
      if (method === own) continue;
      expect(matchOperation(method, fill(path, ["a", "b"]))?.operation.name).not.toBe(operation.name);
    }
  });
});

describe("a model id", () => {
  test.each([
    ["as the AWS SDKs write it", "anthropic.claude-3-haiku-20240307-v1%3A0", "anthropic.claude-3-haiku-20240307-v1:0"],
    ["with a raw colon, as Anthropic's SDK writes it", "anthropic.claude-v2:1", "anthropic.claude-v2:1"],
    ["as an encoded ARN", encodeURIComponent(arn), arn],
    ["as a raw ARN", arn, arn],
    ["as an ARN with raw colons", arn.replace("/", "%2F"), arn],
    ["with a provider", "openai%2Fgpt-4o", "openai/gpt-4o"],
    ["with a provider behind a raw slash", "openai/gpt-4o", "openai/gpt-4o"],
    ["with lower-case escapes", "a%3ab%2fc", "a:b/c"],
    ["with an encoded percent sign, which is decoded once", "a%2541", "a%41"],
    ["that holds an operation's name", "a/converse/b", "a/converse/b"],
    ["that is an operation's name", "converse", "converse"],
    ["with dots inside", "a/../b", "a/../b"],
  ])("%s", (_form, raw, decoded) => {
    expect(converse(raw)?.labels).toEqual([decoded]);
  });

  test.each([".", "..", "%2e", "%2E%2e", ".%2E"])("that is the dot segment %s is refused", (raw) => {
    expect(converse(raw)).toBeUndefined();
    expect(matchOperation("POST", `/guardrail/g/version/${raw}/apply`)).toBeUndefined();
    expect(matchOperation("GET", `/foundation-models/${raw}`)).toBeUndefined();
  });

  test("with dot segments inside goes up as one segment", () => {
    const route = converse("a/../../b");
    expect(route && upstreamPath(route)).toBe("/model/a%2F..%2F..%2Fb/converse");
  });

  test.each(["%", "%z", "%zz", "%2", "%ff", "%c3", "%ed%a0%80"])("with the bad encoding %s is refused", (raw) => {
    expect(converse(raw)).toBeUndefined();
  });

  test("is the longest it can be: the last segment decides", () => {
    expect(matchOperation("POST", "/model/a/converse/invoke")).toMatchObject({
      operation: { name: "InvokeModel" },
      labels: ["a/converse"],
    });
  });
});

describe("a path", () => {
  test.each([
    ["//model//a//converse", "a"],
    ["///model/a///converse", "a"],
    ["/model/openai//gpt/converse", "openai/gpt"],
  ])("%s is read with its slashes collapsed", (path, id) => {
    expect(matchOperation("POST", path)?.labels).toEqual([id]);
  });

  test.each([
    "",
    "/",
    "//",
    "/model",
    "/model/",
    "/model/a",
    "/model//converse",
    "/model/converse",
    "/model/a/converse/",
    "/model/a/Converse",
    "/model/a/converse-streams",
    "/model/a/xconverse",
    "/models/a/converse",
    "model/a/converse",
    "/x/model/a/converse",
    "/guardrail//version/1/apply",
    "/guardrail/g/version/apply",
    "/guardrail/g/version/1/2/apply",
    "/guardrail-checks",
    "/async-invokes",
    "/rerank/x",
    "/foundation-models-x",
    "/model/a/invoke-with-bidirectional-stream",
  ])("%j is no operation's", (path) => {
    for (const method of ["GET", "POST"]) expect(matchOperation(method, path)).toBeUndefined();
  });

  test("of a list may end in a slash", () => {
    expect(matchOperation("GET", "/foundation-models/")?.operation.name).toBe("ListFoundationModels");
  });

  test("that is very long and almost an operation's is none", () => {
    const path = `/model/${"a/version/".repeat(3000)}x`;
    expect(matchOperation("POST", path)).toBeUndefined();
    expect(matchOperation("POST", `/guardrail${"/version/".repeat(3000)}`)).toBeUndefined();
  });
});

describe("the key of an object", () => {
  const keyAt = (path: string) => matchOperation("GET", path)?.labels[1];

  test.each([
    ["keeps its duplicate slashes", "/files/bucket/in//a", "in//a"],
    ["may begin with a slash", "/files/bucket//a", "/a"],
    ["may end with one", "/files/bucket/a/", "a/"],
    ["is decoded once", "/files/bucket/a%2520b%2Fc", "a%20b/c"],
    ["keeps its dot segments", "/files/bucket/a/../b/./c", "a/../b/./c"],
    ["may come behind duplicate slashes", "//files//bucket/a//b", "a//b"],
    ["may hold another operation's path", "/files/bucket/model/a/converse", "model/a/converse"],
  ])("%s", (_what, path, key) => {
    expect(keyAt(path)).toBe(key);
  });

  test("is not empty: that is the bucket, which only can be listed", () => {
    for (const path of ["/files/bucket", "/files/bucket/"]) {
      expect(matchOperation("GET", path)).toMatchObject({ operation: { name: "ListObjectsV2" }, labels: ["bucket"] });
      for (const method of ["PUT", "HEAD", "DELETE", "POST"]) expect(matchOperation(method, path)).toBeUndefined();
    }
    for (const path of ["/files", "/files/", "/files//"]) expect(matchOperation("GET", path)).toBeUndefined();
  });

  test("with a bad encoding, or of dots alone, is refused", () => {
    for (const raw of ["%", "%zz", "%ff", ".", "..", "%2e%2E"]) expect(keyAt(`/files/bucket/${raw}`)).toBeUndefined();
    expect(matchOperation("GET", "/files/../a")).toBeUndefined();
  });
});

describe("the upstream path", () => {
  const tricky = "a b/c+d%e~f!g'(h)*i@é:j";
  const body = { modelId: tricky };
  const recorder = new PathRecorder();
  const options = {
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    requestHandler: recorder,
    maxAttempts: 1,
  };
  const runtime = new BedrockRuntimeClient(options);
  const control = new BedrockClient(options);
  const agents = new BedrockAgentRuntimeClient(options);

  async function pathOf(send: () => Promise<unknown>): Promise<string> {
    recorder.path = undefined;
    const error = await rejection(send());
    if (recorder.path === undefined) throw error;
    return recorder.path;
  }

  const messages = [{ role: "user" as const, content: [{ text: "hi" }] }];
  const job = { jobIdentifier: arn };
  const newJob = {
    jobName: "j",
    roleArn: "r",
    modelId: "m",
    inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://b/in" } },
    outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://b/out" } },
  };
  const calls: readonly (readonly [OperationName, readonly string[], () => Promise<string>])[] = [
    ["Converse", [tricky], () => pathOf(() => runtime.send(new ConverseCommand({ ...body, messages })))],
    ["ConverseStream", [tricky], () => pathOf(() => runtime.send(new ConverseStreamCommand({ ...body, messages })))],
    ["InvokeModel", [tricky], () => pathOf(() => runtime.send(new InvokeModelCommand({ ...body, body: "{}" })))],
    [
      "InvokeModelWithResponseStream",
      [arn],
      () => pathOf(() => runtime.send(new InvokeModelWithResponseStreamCommand({ modelId: arn, body: "{}" }))),
    ],
    [
      "CountTokens",
      [arn],
      () => pathOf(() => runtime.send(new CountTokensCommand({ modelId: arn, input: { converse: { messages } } }))),
    ],
    [
      "ApplyGuardrail",
      [tricky, "DRAFT"],
      () =>
        pathOf(() =>
          runtime.send(
            new ApplyGuardrailCommand({
              guardrailIdentifier: tricky,
              guardrailVersion: "DRAFT",
              source: "INPUT",
              content: [],
            }),
          ),
        ),
    ],
    [
      "InvokeGuardrailChecks",
      [],
      () => pathOf(() => runtime.send(new InvokeGuardrailChecksCommand({ messages: [], checks: {} }))),
    ],
    [
      "StartAsyncInvoke",
      [],
      () =>
        pathOf(() =>
          runtime.send(
            new StartAsyncInvokeCommand({
              ...body,
              modelInput: {},
              outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://b" } },
            }),
          ),
        ),
    ],
    ["GetAsyncInvoke", [arn], () => pathOf(() => runtime.send(new GetAsyncInvokeCommand({ invocationArn: arn })))],
    ["ListAsyncInvokes", [], () => pathOf(() => runtime.send(new ListAsyncInvokesCommand({})))],
    [
      "Rerank",
      [],
      () =>
        pathOf(() => agents.send(new RerankCommand({ queries: [], sources: [], rerankingConfiguration: undefined }))),
    ],
    ["ListFoundationModels", [], () => pathOf(() => control.send(new ListFoundationModelsCommand({})))],
    [
      "GetFoundationModel",
      [tricky],
      () => pathOf(() => control.send(new GetFoundationModelCommand({ modelIdentifier: tricky }))),
    ],
    ["ListInferenceProfiles", [], () => pathOf(() => control.send(new ListInferenceProfilesCommand({})))],
    [
      "GetInferenceProfile",
      [arn],
      () => pathOf(() => control.send(new GetInferenceProfileCommand({ inferenceProfileIdentifier: arn }))),
    ],
    ["CreateModelInvocationJob", [], () => pathOf(() => control.send(new CreateModelInvocationJobCommand(newJob)))],
    ["ListModelInvocationJobs", [], () => pathOf(() => control.send(new ListModelInvocationJobsCommand({})))],
    ["GetModelInvocationJob", [arn], () => pathOf(() => control.send(new GetModelInvocationJobCommand(job)))],
    ["StopModelInvocationJob", [arn], () => pathOf(() => control.send(new StopModelInvocationJobCommand(job)))],
  ];

  test.each(calls)("of %s is the AWS SDK's", async (name, labels, sdkPath) => {
    const operation = operations.find((candidate) => candidate.name === name);
    if (operation === undefined) throw new Error(`${name} is missing`);
    expect(upstreamPath({ operation, labels })).toBe(await sdkPath());
  });

  test("as metrics and traces call it has names for what varies", () => {
    const templates = operations.map((operation) => [operation.name, pathTemplate(operation)]);
    expect(Object.fromEntries(templates)).toMatchObject({
      Converse: "/model/{modelId}/converse",
      InvokeModelWithResponseStream: "/model/{modelId}/invoke-with-response-stream",
      ApplyGuardrail: "/guardrail/{id}/version/{version}/apply",
      GetAsyncInvoke: "/async-invoke/{id}",
      Rerank: "/rerank",
      ListFoundationModels: "/foundation-models",
      StopModelInvocationJob: "/model-invocation-job/{id}/stop",
      GetObject: "/files/{bucket}/{key}",
    });
    const places = operations.map((operation) => `${operation.method} ${pathTemplate(operation)}`);
    expect(new Set(places).size).toBe(operations.length);
  });

  test("encodes everything but unreserved characters", () => {
    expect(encodeLabel(tricky)).toBe("a%20b%2Fc%2Bd%25e~f%21g%27%28h%29%2Ai%40%C3%A9%3Aj");
    expect(encodeLabel("AZaz09-._~")).toBe("AZaz09-._~");
  });
});
