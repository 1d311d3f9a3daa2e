/** What the scenarios have in common: how one is written, and how it sends requests. */
import type { JobResult } from "../load/load.ts";
import type { StreamsResult } from "../load/streams.ts";
import {
  type BodyName,
  bedrockModel,
  chatPath,
  converseAnswer,
  converseStream,
  framesPerStream,
  openaiModel,
  type Plan,
  planModel,
  wholeStream,
} from "../load/traffic.ts";
import type { FigureSpec, Section } from "../report.ts";
import type { Server, Stage } from "./stage.ts";

/** How long and how often. Milliseconds. */
export interface Pace {
  readonly rounds: number;
  /** Before each measured window. */
  readonly warmupMs: number;
  readonly measureMs: number;
  /** The window for latencies, whose 99.9th percentile needs more requests. */
  readonly latencyMs: number;
  /** While many streams are open. */
  readonly holdMs: number;
  /** After all load, before memory is looked at once more. */
  readonly restMs: number;
}

export interface Setting {
  readonly stage: Stage;
  readonly pace: Pace;
}

export interface Scenario<Key extends string = string> {
  readonly name: string;
  readonly section: Section;
  readonly figures: Readonly<Record<Key, FigureSpec>>;
  /** Of each window before the first round, where the usual is too short: a gateway that no other scenario uses. Milliseconds. */
  readonly warmUpMs?: number;
  /** After the rounds, and once. */
  readonly once?: boolean;
  /** A value for each of the figures. @throws NotMeasured when something it needs is not there */
  readonly measure: (setting: Setting) => Promise<Readonly<Record<Key, number>>>;
}

/** Keeps the compiler's eye on it that each figure gets its value. */
export function scenario<Key extends string>(definition: Scenario<Key>): Scenario {
  return definition;
}

/** `relay`: Bedrock in front and behind. `translate`: Bedrock in front, OpenAI behind. */
export type Lane = "relay" | "translate";

export const laneNames: Readonly<Record<Lane, string>> = { relay: "relayed", translate: "translated" };

/** Connections that send as soon as they have their answer. */
export const connections = 64;

export interface Asked {
  readonly body?: BodyName;
  readonly streams?: boolean;
  readonly plan?: Plan;
  readonly connections?: number;
  /** Requests a second; without it as many as are answered. */
  readonly rate?: number;
  readonly measureMs?: number;
}

/** Sends requests through a gateway. @throws Error when one is not answered rightly */
export async function through(setting: Setting, server: Server, lane: Lane, asked: Asked = {}): Promise<JobResult> {
  return setting.stage.load(loadOf(setting, server, pathOf(lane, asked), asked.body ?? "1 KB", lane, asked));
}

/** The same; wrong answers are part of the result. */
export async function attempt(setting: Setting, server: Server, lane: Lane, asked: Asked): Promise<JobResult> {
  return setting.stage.tryLoad(loadOf(setting, server, pathOf(lane, asked), asked.body ?? "1 KB", lane, asked));
}

/** Sends to the upstream what the gateway would send there. */
export async function directly(setting: Setting, lane: Lane, asked: Asked = {}): Promise<JobResult> {
  const upstream = await setting.stage.upstream();
  if (lane === "relay") return through(setting, upstream, lane, asked);
  const body = asked.streams === true ? "chat stream" : "chat 1 KB";
  return setting.stage.load(loadOf(setting, upstream, chatPath, body, lane, asked));
}

/** Sends a chat completion of 1 KB to a peer that speaks OpenAI's API. */
export function chat(setting: Setting, peer: Server): Promise<JobResult> {
  return setting.stage.load(loadOf(setting, peer, chatPath, "chat 1 KB", "translate", {}));
}

function loadOf({ pace }: Setting, server: Server, path: string, body: BodyName, lane: Lane, asked: Asked) {
  const expectedBytes = lane === "relay" ? expectedLength(asked) : undefined;
  return {
    server,
    path,
    body,
    connections: asked.connections ?? connections,
    warmupMs: pace.warmupMs,
    measureMs: asked.measureMs ?? pace.measureMs,
    ...(asked.rate !== undefined && { rate: asked.rate }),
    ...(expectedBytes !== undefined && { expectedBytes }),
  };
}

/** The path of an operation, without the gateway's prefix. */
export function pathOf(lane: Lane, { streams = false, plan }: Pick<Asked, "streams" | "plan">): string {
  const own = lane === "relay" ? bedrockModel : openaiModel;
  const model = plan === undefined ? own : planModel(plan);
  const id = encodeURIComponent(lane === "relay" ? model : `openai/${model}`);
  return `/model/${id}/converse${streams ? "-stream" : ""}`;
}

/** What a relayed answer has in bytes. An answer the gateway writes itself tells its latency, in more or fewer digits. */
function expectedLength({ streams, plan }: Asked): number | undefined {
  if (plan?.kind === "events") return undefined;
  if (streams === true) return streamBytes;
  return Buffer.byteLength(converseAnswer(plan?.kind === "answer" ? plan.kilobytes : 1));
}

const streamBytes = Buffer.concat(wholeStream(converseStream)).length;

export interface EventStreams {
  readonly streams: number;
  readonly gapMs: number;
  readonly rampMs: number;
  readonly holdMs: number;
}

/** Opens streams of timed events, which are all open for `holdMs`. @throws Error when one of them is not right */
export async function openStreams(
  { stage }: Setting,
  server: Server,
  lane: Lane,
  { gapMs, ...open }: EventStreams,
): Promise<StreamsResult> {
  const count = Math.ceil((open.rampMs + open.holdMs) / gapMs) + 2;
  const path = pathOf(lane, { streams: true, plan: { kind: "events", count, gapMs } });
  return stage.streams({ ...open, server, path, body: "1 KB", events: count, exact: lane === "relay" });
}

/** CPU of the server's process. Microseconds for each request. */
export function cpuOf({ cpu, requests }: JobResult): number {
  return (cpu[0] ?? Number.NaN) / requests;
}

export function perSecond({ requests, durationMs }: JobResult): number {
  return (requests / durationMs) * 1000;
}

/**
 * CPU of the server's process. Microseconds for each frame. Frames are counted by their bytes, so that streams count that
 * are under way when the window opens or shuts.
 *
 * @param bytesPerStream of the answer of one stream
 */
export function cpuPerFrame({ cpu, bodyBytes }: JobResult, bytesPerStream: number): number {
  return (cpu[0] ?? Number.NaN) / ((bodyBytes / bytesPerStream) * framesPerStream);
}
