import { ConverseCommand, ConverseStreamCommand, type StopReason } from "@aws-sdk/client-bedrock-runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { converseAnswer, json, stream } from "../support/answers.ts";
import { protocols, runtimeClient } from "../support/clients.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { converseFrames } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { collect } from "../support/wait.ts";

/** Bedrock's nine (bedrock-runtime service model, 2023-09-30). */
const stopReasons: readonly StopReason[] = [
  "end_turn",
  "tool_use",
  "max_tokens",
  "stop_sequence",
  "guardrail_intervened",
  "content_filtered",
  "malformed_model_output",
  "malformed_tool_use",
  "model_context_window_exceeded",
];

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url) });
}, 30_000);
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

test.each(protocols.flatMap((protocol) => stopReasons.map((stopReason) => [stopReason, protocol] as const)))(
  "A13 %s arrives whole and streamed over %s",
  async (stopReason, protocol) => {
    const client = runtimeClient(gateway, protocol);
    const request = { modelId: "vendor.model", messages: [{ role: "user" as const, content: [{ text: "hi" }] }] };
    fake.queue(json({ ...converseAnswer, stopReason }), stream(converseFrames({ stopReason })));
    expect((await client.send(new ConverseCommand(request))).stopReason).toBe(stopReason);
    const events = await collect((await client.send(new ConverseStreamCommand(request))).stream);
    expect(events.find((event) => event.messageStop !== undefined)?.messageStop?.stopReason).toBe(stopReason);
    client.destroy();
  },
);
