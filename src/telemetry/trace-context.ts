/**
 * W3C trace context: what `traceparent` and `tracestate` say, and what the gateway says in them.
 * https://www.w3.org/TR/trace-context/
 */
import { randomFillSync } from "node:crypto";
import type { TraceContext } from "./request-record.ts";

const header = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const noTrace = "0".repeat(32);
const noSpan = "0".repeat(16);

const maxStateMembers = 32;
/** A key, with a tenant before `@` or not, and a value that does not end with a blank. */
const stateMember =
  /^(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** What a client said of its trace. */
interface Parent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/**
 * Begins the trace of a request: in the client's, whose decision about sampling stands, or in a new one where it sent
 * none or none that is valid.
 *
 * @param traceparent as the client sent it
 * @param tracestate likewise; one that is not valid is left out, and the trace goes on
 * @param sampleRatio which part of new traces is recorded, from 0 to 1; decided by the trace id, so that every process
 *   that asks decides alike
 */
export function beginTrace(
  traceparent: string | undefined,
  tracestate: string | undefined,
  sampleRatio: number,
): TraceContext {
  const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
  const spanId = newSpanId();
  if (parent === undefined) {
    const traceId = newTraceId();
    return { traceId, spanId, parentSpanId: undefined, sampled: isSampled(traceId, sampleRatio), state: undefined };
  }
  const state = tracestate !== undefined && isTracestate(tracestate) ? tracestate : undefined;
  return { traceId: parent.traceId, spanId, parentSpanId: parent.spanId, sampled: parent.sampled, state };
}

/** The `traceparent` of a call that is made on behalf of the request. @param spanId of that call */
export function formatTraceparent(context: TraceContext, spanId: string): string {
  return `00-${context.traceId}-${spanId}-${context.sampled ? "01" : "00"}`;
}

/** @returns undefined for one that is not valid, which is as good as none */
export function parseTraceparent(text: string): Parent | undefined {
  const match = header.exec(text);
  if (match === null) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", more] = match;
  // Later versions may say more after a dash; what they say before it stays the same.
  if (version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (traceId === noTrace || spanId === noSpan) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Whether it is a list of at most 32 members, each with a key of its own. */
export function isTracestate(text: string): boolean {
  const keys = new Set<string>();
  for (const part of text.split(",")) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, "");
    if (member === "") continue;
    const key = member.slice(0, member.indexOf("="));
    if (!stateMember.test(member) || keys.has(key) || keys.size === maxStateMembers) return false;
    keys.add(key);
  }
  return keys.size > 0;
}

const sampledBits = 52;

/** The last 52 of the trace id's bits, which are random by the specification, against the ratio. */
function isSampled(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true;
  return Number.parseInt(traceId.slice(-sampledBits / 4), 16) >= (1 - ratio) * 2 ** sampledBits;
}

/** Drawing random bytes one id at a time costs more than the rest of a trace. */
const pool = Buffer.alloc(4096);
let used = pool.length;

/** Sixteen random bytes in hexadecimal, not all zero. */
export function newTraceId(): string {
  const id = take(16);
  return id === noTrace ? newTraceId() : id;
}

/** Eight random bytes in hexadecimal, not all zero. */
export function newSpanId(): string {
  const id = take(8);
  return id === noSpan ? newSpanId() : id;
}

function take(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString("hex", used - bytes, used);
}
