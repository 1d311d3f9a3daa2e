import { createServer, type Server } from "node:http";
import {
  GetFoundationModelCommand,
  ListFoundationModelsCommand,
  ListInferenceProfilesCommand,
} from "@aws-sdk/client-bedrock";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { controlClient } from "../support/clients.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { rejection } from "../support/wait.ts";

let fake: FakeBedrock;
let lister: Server;
let both: RunningGateway;
let alone: RunningGateway;
const asked: string[] = [];

beforeAll(async () => {
  fake = await startFakeBedrock();
  lister = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization}`);
    const models = [{ id: "gpt-4o" }, { id: "gpt-hidden" }, { nonsense: 1 }];
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ data: models }));
  });
  await new Promise<void>((resolve) => lister.listen(0, "127.0.0.1", resolve));
  const address = lister.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const keys = [
    { name: "all", value: "sk-1", models: ["*"], blacklisted_models: ["gpt-hidden"] },
    { name: "one", value: "sk-2", models: ["named"], aliases: { friendly: "gpt-4o" } },
    { name: "off", value: "sk-3", models: ["unseen"], enabled: false },
  ];
  const openai = { keys, network_config: { base_url: `http://127.0.0.1:${port}` } };
  const bedrock = Object.entries(relayConfig(fake.url)).find(([name]) => name === "providers")?.[1];
  both = await startGateway({ withoutH2: true, config: { providers: { ...bedrock, openai } } });
  alone = await startGateway({ withoutH2: true, config: { providers: { openai } } });
}, 60_000);

afterAll(async () => {
  await Promise.all([both?.stop(), alone?.stop()]);
  lister?.close();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const ours = ["openai/friendly", "openai/gpt-4o", "openai/named"];

describe("the catalogue of models", () => {
  test("without Bedrock lists what the keys of other providers can reach", async () => {
    const client = controlClient(alone);
    const { modelSummaries = [] } = await client.send(new ListFoundationModelsCommand({}));
    expect(modelSummaries.map((model) => model.modelId)).toEqual(ours);
    expect(asked).toContain("/v1/models Bearer sk-1");
    expect((await client.send(new ListInferenceProfilesCommand({}))).inferenceProfileSummaries).toEqual([]);
    const filtered = await client.send(new ListFoundationModelsCommand({ byOutputModality: "IMAGE" }));
    expect(filtered.modelSummaries).toEqual([]);
  });

  test("with Bedrock has Bedrock's own before them", async () => {
    const { modelSummaries = [] } = await controlClient(both).send(new ListFoundationModelsCommand({}));
    const ids = modelSummaries.map((model) => model.modelId);
    expect(ids.slice(-3)).toEqual(ours);
    expect(ids.length).toBeGreaterThan(3);
    expect(fake.violations).toEqual([]);
  });

  test("tells of one model, and of none that nobody reaches", async () => {
    for (const gateway of [both, alone]) {
      const client = controlClient(gateway);
      const { modelDetails } = await client.send(new GetFoundationModelCommand({ modelIdentifier: "openai/gpt-4o" }));
      expect(modelDetails).toMatchObject({ modelId: "openai/gpt-4o", providerName: "openai" });
      const error = await rejection(
        client.send(new GetFoundationModelCommand({ modelIdentifier: "openai/gpt-hidden" })),
      );
      expect(error).toMatchObject({ name: "ResourceNotFoundException" });
    }
  });
});
