/**
 * What workers do with large bodies. Each job is a pure function of plain data. Where a result has `bytes`, nobody else
 * has their memory, and it moves to the other thread without a copy.
 */
import type { GuardrailConfig } from "../bedrock/converse.ts";
import { BedrockError, type ErrorType } from "../bedrock/errors.ts";
import type { Operation, Route } from "../bedrock/operations.ts";
import type { Pieces } from "../governance/prices.ts";
import type { ReplyHeaders, RequestHeaders } from "../http/exchange.ts";
import type { Memo, ProviderFailure, ProviderHeaders, Target } from "../providers/dialect.ts";
import { countInputTokens } from "../providers/mock/conversation.ts";
import { applyGuardrail } from "../providers/mock/guardrail.ts";
import { planEmbeddings, planMock } from "../providers/mock/mock.ts";
import { rankByWords, rerank } from "../providers/mock/rerank.ts";
import type { MockPlan, MockRule } from "../providers/mock/rule.ts";
import type { Usage } from "../telemetry/usage.ts";
import {
  type AnswerForm,
  type ClientAnswer,
  formatOf,
  parseBody,
  readClientRequest,
  readCountTokens,
} from "./client-format.ts";
import { decodeWhole } from "./decoding.ts";
import { encodeFor, readForeignRequest, withoutGuardrail } from "./encoding.ts";
import { stripForeignReasoning } from "./foreign-reasoning.ts";
import { guardedInput } from "./guardrail.ts";
import { imagesIn, piecesAsked } from "./pieces.ts";
import { type AnswerFacts, readAnswerFacts } from "./relay-facts.ts";
import { modelInBody } from "./target.ts";

/** A {@link BedrockError} on its way between threads. */
export interface ErrorFacts {
  readonly type: ErrorType;
  readonly message: string;
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  readonly members: BedrockError["members"];
}

interface Refused {
  readonly kind: "refused";
  readonly error: ErrorFacts;
}

type PlainFailure = Omit<ProviderFailure, "kind" | "error"> & { readonly kind: "failure"; readonly error: ErrorFacts };

type Body = { readonly body: Uint8Array };

export interface Jobs {
  prepare(job: Body & PrepareJob): PreparedJob | Refused;
  finish(job: Body & FinishJob): FinishedJob | PlainFailure | Refused;
  /** The model id in a body, if it names one. */
  model(job: Body): string | undefined;
  /** The body without reasoning that others have signed. */
  strip(job: Body): { readonly bytes: Uint8Array };
  facts(job: Body & { readonly operation: Operation["name"] }): AnswerFacts | undefined;
  /** What a paid-by-the-piece request asks for, as `piecesAsked`. */
  pieces(job: Body & PiecesJob): Pieces | undefined;
  /** How many images an answer has. */
  images(job: Body): number;
  /** What a guardrail is to see of a request for another provider's model. */
  guard(job: Body & GuardJob): GuardedJob | { readonly kind: "unguarded" } | Refused;
  plan(job: Body & PlanJob): PlannedJob | MadeJob | Refused;
  /** The mock's answers that are read from the body alone. */
  mock(job: Body & { readonly operation: "ApplyGuardrail" | "Rerank" }): MadeJob | Refused;
  count(job: Body & { readonly modelId: string }): number | Refused;
}

interface PiecesJob {
  readonly operation: string;
  readonly model: string | undefined;
  readonly foreign: boolean;
}

interface GuardJob {
  readonly route: Route;
  readonly asked: string;
  readonly headers: RequestHeaders;
  readonly requestId: string;
  readonly provider: string;
}

interface GuardedJob {
  readonly kind: "guarded";
  readonly form: AnswerForm;
  readonly config: GuardrailConfig;
  /** As `guardedInput` makes it; empty for nothing. */
  readonly bytes: Uint8Array;
}

interface PrepareJob {
  readonly route: Route;
  readonly asked: string;
  readonly headers: RequestHeaders;
  readonly requestId: string;
  readonly target: Target;
  /** The guardrail is around the model, and not for it. */
  readonly guarded: boolean;
}

interface PreparedJob {
  readonly kind: "prepared";
  readonly request: {
    readonly method: "POST" | "GET";
    readonly path: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
  };
  readonly bytes: Uint8Array;
  readonly ignored: readonly string[];
  readonly memo: Memo;
  readonly form: AnswerForm | { readonly kind: "count" };
}

interface FinishJob {
  readonly form: AnswerForm;
  readonly memo: Memo;
  readonly headers: ProviderHeaders;
  readonly latencyMs: number;
}

interface FinishedJob {
  readonly kind: "finished";
  readonly headers: ReplyHeaders;
  readonly bytes: Uint8Array;
  readonly stopReason: string | undefined;
  readonly usage: Usage | undefined;
  readonly estimated: boolean;
}

interface PlanJob {
  readonly route: Route;
  readonly modelId: string;
  readonly headers: RequestHeaders;
  readonly requestId: string;
  readonly rules: readonly MockRule[];
  readonly roll: number;
}

interface PlannedJob {
  readonly kind: "planned";
  readonly form: AnswerForm;
  readonly plan: Omit<MockPlan, "error"> & {
    readonly error: { readonly error: ErrorFacts; readonly afterChunks: number | null } | null;
  };
}

/** What the mock has made of something else than text. */
interface MadeJob {
  readonly kind: "made";
  readonly headers: ReplyHeaders;
  readonly bytes: Uint8Array;
  readonly usage: Usage | undefined;
  readonly latencyMs: number;
  readonly error: ErrorFacts | undefined;
}

export const jobs: Jobs = {
  prepare: ({ body, route, asked, headers, requestId, target, guarded }) =>
    refusable(() => {
      const read = readForeignRequest(route, asked, viewOf(body), { headers, requestId }, target.provider);
      const format = guarded && read.kind === "text" ? withoutGuardrail(read) : read;
      const { request, ignored, memo } = encodeFor(target, format);
      const { body: text, ...head } = request;
      const form = format.kind === "count" ? ({ kind: "count" } as const) : format.form;
      if (form === undefined) throw new Error("a request that was just read has a form");
      return { kind: "prepared", request: head, bytes: bytesOf(text), ignored, memo, form } as const;
    }),

  finish: ({ body, form, memo, headers, latencyMs }) =>
    refusable(() => {
      const decoded = decodeWhole(formatOf(form), memo, { headers, body }, latencyMs);
      if (decoded.kind === "failure") return { ...decoded, error: factsOf(decoded.error) };
      const { answer, usage, estimated } = decoded;
      const { headers: own, body: text, stopReason } = answer;
      return { kind: "finished", headers: own, bytes: bytesOf(text), stopReason, usage, estimated } as const;
    }),

  model: ({ body }) => modelInBody(viewOf(body)),

  strip: ({ body }) => ({ bytes: ownBytes(stripForeignReasoning(viewOf(body))) }),

  facts: ({ body, operation }) => readAnswerFacts(operation, viewOf(body)),

  pieces: ({ body, operation, model, foreign }) => piecesAsked(operation, model, viewOf(body), foreign),

  images: ({ body }) => imagesIn(viewOf(body)),

  guard: ({ body, route, asked, headers, requestId, provider }) =>
    refusable(() => {
      const format = readForeignRequest(route, asked, viewOf(body), { headers, requestId }, provider);
      const config = format.kind === "text" ? format.request.guardrailConfig : undefined;
      if (format.kind !== "text" || format.form === undefined || config === undefined)
        return { kind: "unguarded" } as const;
      return {
        kind: "guarded",
        form: format.form,
        config,
        bytes: bytesOf(guardedInput(format.request) ?? ""),
      } as const;
    }),

  plan: ({ body, route, modelId, headers, requestId, rules, roll }) =>
    refusable(() => {
      const format = readClientRequest(route, modelId, viewOf(body), { headers, foreign: false, requestId });
      if (format.kind === "embedding") {
        const { vectors, inputTokens, latencyMs, error } = planEmbeddings(rules, modelId, format.request, roll);
        if (error !== undefined) return { ...madeOf({ headers: [], body: "" }), latencyMs, error: factsOf(error) };
        const usage = { inputTokens, outputTokens: 0 };
        return { ...madeOf(format.answer(vectors, inputTokens, latencyMs)), latencyMs, usage };
      }
      if (format.kind === "rerank") {
        const { query, documents } = format.request;
        return madeOf(format.answer(rankByWords(query, documents), 0));
      }
      if (format.kind === "image") throw new BedrockError("ValidationException", "The mock provider makes no images.");
      if (format.form === undefined) throw new Error("a request that was just read has a form");
      const { error, latencyMs, chunkDelayMs, truncateAfterChunks, response, ...made } = planMock(
        rules,
        modelId,
        format.request,
        roll,
      );
      const { events } = made;
      const plain = error && { error: factsOf(error.error), afterChunks: error.afterChunks };
      const plan = { error: plain, latencyMs, chunkDelayMs, truncateAfterChunks, response, events };
      return { kind: "planned", form: format.form, plan } as const;
    }),

  mock: ({ body, operation }) =>
    refusable(() => {
      const asked = parseBody(viewOf(body));
      const made = operation === "Rerank" ? rerank(asked) : applyGuardrail(asked);
      return madeOf({ headers: [["content-type", "application/json"]], body: JSON.stringify(made) });
    }),

  count: ({ body, modelId }) => refusable(() => countInputTokens(readCountTokens(modelId, viewOf(body), false))),
};

function refusable<T>(work: () => T): T | Refused {
  try {
    return work();
  } catch (error) {
    if (error instanceof BedrockError) return { kind: "refused", error: factsOf(error) };
    throw error;
  }
}

function madeOf({ headers, body }: Pick<ClientAnswer, "headers" | "body">): MadeJob {
  return { kind: "made", headers, bytes: bytesOf(body), usage: undefined, latencyMs: 0, error: undefined };
}

function viewOf(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.length);
}

/** In memory of its own: Buffer would put a short text into memory that it shares. */
function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function ownBytes(bytes: Buffer): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
}

export function factsOf({ type, message, status, retryAfterSeconds, members }: BedrockError): ErrorFacts {
  return { type, message, status, retryAfterSeconds, members };
}

export function errorOf({ type, message, status, retryAfterSeconds, members }: ErrorFacts): BedrockError {
  return new BedrockError(type, message, {
    status,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(members !== undefined && { members }),
  });
}

/** A route as plain data: the table's rows hold functions. */
export function plainRoute({ operation, labels }: Route): Route {
  const { name, method, service, streams, model, batch } = operation;
  return { operation: { name, method, service, streams, model, batch }, labels };
}
