/**
 * What a traced request costs its front end: making its context, its three spans as text, and a hundred requests' body
 * with its compression, which runs beside the thread. `npx tsx bench/traces.ts`.
 */
import { gzipSync } from "node:zlib";
import { exportBody, spansOf } from "../src/telemetry/spans.ts";
import { beginTrace, formatTraceparent, newSpanId } from "../src/telemetry/trace-context.ts";
import { attemptOf, recordOf } from "../test/telemetry/kit.ts";
import { medians } from "./measure.ts";

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
const hundred = Array.from({ length: 100 }, () => spansOf(record, trace, context)).flat();
const body = exportBody(hundred, resource, scope);

const times = 100;
function repeat(run: () => unknown): () => void {
  return () => {
    for (let index = 0; index < times; index++) run();
  };
}

const cases = [
  { name: "a new trace, its ids and its traceparent", run: repeat(begin), times },
  {
    name: "a client's trace",
    run: repeat(() => formatTraceparent(beginTrace(parent, undefined, 1), newSpanId())),
    times,
  },
  { name: "three spans as text", run: repeat(() => spansOf(record, trace, context)), times },
  { name: "the body of 300 spans", run: () => exportBody(hundred, resource, scope) },
  { name: "its compression (beside the thread)", run: () => gzipSync(body, { level: 1 }) },
];

function begin(): string {
  return formatTraceparent(beginTrace(undefined, undefined, 1), newSpanId());
}

const figures = await medians(cases, 1000);
console.log(`Traces; Node ${process.version}; 300 spans are ${Math.round(body.length / 1024)} KiB`);
console.table(Object.fromEntries(cases.map(({ name }, index) => [name, { "median µs": figures[index]?.toFixed(2) }])));
