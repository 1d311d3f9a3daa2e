/** Answers that may be kept: those that can be given again, whole or as a stream, without a loss. */
import { isDeepStrictEqual } from "node:util";
import type { ConverseEvent, ConverseResponse } from "../bedrock/converse.ts";
import { eventsOf } from "../bedrock/converse-events.ts";
import { FrameCutter, readFrame } from "../bedrock/event-stream.ts";
import { isJsonObject, type JsonObject, tryParse } from "../bedrock/json.ts";
import { AnswerCollector } from "./answer-collector.ts";

/** Whether a value has the form of a Converse response as far as those who write it again need it. */
export function isConverseResponse(value: unknown): value is ConverseResponse & JsonObject {
  if (!isJsonObject(value)) return false;
  const { output, stopReason, usage, metrics } = value;
  const message = isJsonObject(output) ? output.message : undefined;
  if (!isJsonObject(message) || !Array.isArray(message.content) || !message.content.every(isJsonObject)) return false;
  if (typeof stopReason !== "string" || !isJsonObject(metrics) || !isJsonObject(usage)) return false;
  return typeof usage.inputTokens === "number" && typeof usage.outputTokens === "number";
}

/** Whether the answer comes out of a stream as it went in, with every member it has. */
export function isSameInStream(answer: ConverseResponse): boolean {
  try {
    return isDeepStrictEqual(collect(eventsOf(answer)), onWire(answer));
  } catch (error) {
    // A block that is not what its name says, which nobody can take apart.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function collect(events: readonly ConverseEvent[]): JsonObject | undefined {
  const collector = new AnswerCollector();
  for (const event of events)
    for (const [name, payload] of Object.entries(event)) collector.push(name, onWire(payload));
  return collector.answer();
}

/** As it leaves: what is undefined has no place there. */
function onWire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** Reads the body of a Converse answer; undefined when it is not JSON. */
export function readWholeConverse(body: Uint8Array): unknown {
  return tryParse(body);
}

/**
 * Reads the frames of a ConverseStream that has reached its end.
 *
 * @returns the answer they make; undefined when they hold anything that is not known
 * @throws FrameError for bytes that are no frames
 */
export function readConverseFrames(runs: readonly Uint8Array[]): unknown {
  const collector = new AnswerCollector();
  for (const [type, payload] of framesOf(runs)) collector.push(type, tryParse(payload));
  return collector.answer();
}

/**
 * Types and payloads of event frames; another kind of frame has an empty type.
 *
 * @throws FrameError for bytes that are no frames
 */
export function framesOf(runs: readonly Uint8Array[]): readonly (readonly [type: string, payload: Uint8Array])[] {
  const frames: [string, Uint8Array][] = [];
  const cutter = new FrameCutter();
  for (const run of runs) {
    cutter.push(Buffer.from(run.buffer, run.byteOffset, run.byteLength), (bytes, start, end) => {
      const { kind, type, payload } = readFrame(bytes, start, end);
      frames.push([kind === "event" ? type : "", payload]);
    });
  }
  return frames;
}
