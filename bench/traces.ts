/**
 * What a traced request costs its front end: making its context, its three spans as text, and a hundred requests' body
 * with its compression, which runs beside the thread. `npx tsx bench/traces.ts`.
 */
import { gzipSync } from "node:zlib";
import { SpanBatch } from "../src/telemetry/span-batch.ts";
import { exportFrame, spansOf } from "../src/telemetry/spans.ts";
import { beginTrace, formatTraceparent, newSpanId } from "../src/telemetry/trace-context.ts";
import { attemptOf, recordOf } from "../test/telemetry/kit.ts";
import { type Case, isStarted, type Part, printParts, repeated, rowsOf } from "./measure.ts";

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const identity = {
  virtualKey: { id: "vk_app", name: "app" },
  team: { id: "search", name: "Search" },
  customer: { id: "acme", name: "Acme" },
};
const trace = beginTrace(parent, undefined, 1);
const record = recordOf({
  identity,
  trace,
  dimensions: new Map([["env", "production"]]),
  attempts: [attemptOf({ spanId: newSpanId() })],
});
const context = {
  providers: new Map([["bedrock", "aws.bedrock"]]),
  routes: new Map([["Converse", { path: "/bedrock/model/{modelId}/converse", method: "POST" }]]),
  content: false,
};
const resource = new Map([["service.name", "bifrost"]]);
const scope = { name: "bifrost-ts", version: "0.0.0" };
const times = 100;

export const parts: readonly Part[] = [
  {
    name: "traces",
    title: "Traces",
    text: "What a traced request costs its front end. Spans are sent by the hundred requests, three spans each.",
    measure: (ms) => rowsOf(casesOf(), ms),
  },
];

function casesOf(): Case[] {
  const frame = exportFrame(resource, scope);
  const batch = () => {
    const made = new SpanBatch(frame, []);
    for (let count = 0; count < 100; count++) made.add(spansOf(record, trace, context));
    return made.body();
  };
  const body = Buffer.from(batch());
  return [
    repeated("a new trace, its ids and its traceparent", times, () =>
      formatTraceparent(beginTrace(undefined, undefined, 1), newSpanId()),
    ),
    repeated("a client's trace", times, () => formatTraceparent(beginTrace(parent, undefined, 1), newSpanId())),
    repeated("three spans as text", times, () => spansOf(record, trace, context)),
    { name: "300 spans and the body of their export", run: batch },
    { name: "its compression (beside the thread, for a collector elsewhere)", run: () => gzipSync(body, { level: 1 }) },
  ];
}

if (isStarted(import.meta.url)) await printParts(parts);
