/** The mock provider on the road: reads what the client asks, waits as long as a rule says, and answers. */
import { BedrockError } from "../bedrock/errors.ts";
import type { JsonObject } from "../bedrock/json.ts";
import type { Route } from "../bedrock/operations.ts";
import { breakOff } from "../providers/mock/break-off.ts";
import { getModel, getProfile, listModels, listProfiles } from "../providers/mock/catalogue.ts";
import { countInputTokens } from "../providers/mock/conversation.ts";
import { applyGuardrail } from "../providers/mock/guardrail.ts";
import { planEmbeddings, planMock } from "../providers/mock/mock.ts";
import { rankByWords, rerank } from "../providers/mock/rerank.ts";
import type { MockPlan } from "../providers/mock/rule.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { Attempted, WholeAnswer } from "./attempt.ts";
import {
  type EmbeddingFormat,
  formatOf,
  parseBody,
  type RerankFormat,
  readClientRequest,
  readCountTokens,
  type TextAnswerFormat,
  usageOf,
  writeCountTokens,
} from "./client-format.ts";
import { cancelled, failure } from "./failures.ts";
import { errorOf, plainRoute } from "./jobs.ts";
import type { Keeper } from "./keeper.ts";
import { largeBytes, type OffThread } from "./off-thread.ts";
import { pacedSource } from "./paced-source.ts";
import type { MockProvider } from "./providers.ts";

/**
 * Answers in the place of a model. Without delays in the rules it waits for nothing.
 *
 * @param model the model id, undefined for operations that name none
 * @param keeper is told what a model of text would have said
 * @throws BedrockError when the request is wrong, or is for an operation that the mock does not serve
 */
export async function answerMock(
  request: ActiveRequest,
  route: Route,
  model: string | undefined,
  body: Buffer,
  provider: MockProvider,
  offThread: OffThread,
  keeper?: Keeper,
): Promise<Attempted> {
  const modelId = model ?? "";
  const label = route.labels[0] ?? "";
  switch (route.operation.name) {
    case "Converse":
    case "ConverseStream":
    case "InvokeModel":
    case "InvokeModelWithResponseStream": {
      const { headers } = request.exchange;
      if (body.length >= largeBytes) return answerLarge(request, route, modelId, body, provider, offThread, keeper);
      // Clients call the mock by the names of Bedrock's models, and expect their families.
      const format = readClientRequest(route, modelId, body, { headers, foreign: false, requestId: request.id });
      if (format.kind === "embedding") return answerEmbeddings(request, modelId, format, provider);
      if (format.kind === "rerank") return answerRanking(format);
      if (format.kind === "image") throw new BedrockError("ValidationException", "The mock provider makes no images.");
      const plan = planMock(provider.rules, modelId, format.request, Math.random());
      return answerText(request, keeper?.tap(format) ?? format, plan, route.operation.streams);
    }
    case "CountTokens":
      if (body.length < largeBytes) {
        return whole(writeCountTokens(countInputTokens(readCountTokens(modelId, body, false))));
      }
      return countLarge(modelId, body, offThread);
    case "ListFoundationModels":
      return object(listModels(new URLSearchParams(request.exchange.query)));
    case "GetFoundationModel":
      return object(getModel(label));
    case "ListInferenceProfiles":
      return object(listProfiles());
    case "GetInferenceProfile":
      return object(getProfile(label));
    case "ApplyGuardrail":
    case "Rerank": {
      const { name } = route.operation;
      if (body.length < largeBytes)
        return object(name === "Rerank" ? rerank(parseBody(body)) : applyGuardrail(parseBody(body)));
      const made = await offThread.run("mock", body, { operation: name });
      if (made.kind === "refused") throw errorOf(made.error);
      return whole({ headers: made.headers, body: made.bytes });
    }
    case "InvokeGuardrailChecks":
    case "StartAsyncInvoke":
    case "GetAsyncInvoke":
    case "ListAsyncInvokes":
    case "CreateModelInvocationJob":
    case "ListModelInvocationJobs":
    case "GetModelInvocationJob":
    case "StopModelInvocationJob":
    case "PutObject":
    case "GetObject":
    case "HeadObject":
    case "DeleteObject":
    case "ListObjectsV2":
      throw new BedrockError(
        "ValidationException",
        `The mock provider does not serve ${route.operation.name}. Configure a Bedrock provider for it.`,
      );
  }
}

async function answerLarge(
  request: ActiveRequest,
  route: Route,
  modelId: string,
  body: Buffer,
  { rules }: MockProvider,
  offThread: OffThread,
  keeper: Keeper | undefined,
): Promise<Attempted> {
  const { headers } = request.exchange;
  const job = { route: plainRoute(route), modelId, headers, requestId: request.id, rules, roll: Math.random() };
  const planned = await request.whileAlive(offThread.run("plan", body, job));
  if (planned === undefined) return cancelled(request);
  if (planned.kind === "refused") throw errorOf(planned.error);
  if (planned.kind === "made") {
    const { headers: own, bytes, usage, latencyMs, error } = planned;
    if (latencyMs > 0) await pause(latencyMs, request);
    if (request.over) return cancelled(request);
    return error === undefined ? whole({ headers: own, body: bytes }, usage) : failure("nobody", errorOf(error));
  }
  const { error } = planned.plan;
  const plan = { ...planned.plan, error: error && { ...error, error: errorOf(error.error) } };
  const format = formatOf(planned.form);
  if (format.kind !== "text") throw new Error("a plan is for an answer of text");
  return answerText(request, keeper?.tap(format) ?? format, plan, route.operation.streams);
}

async function countLarge(modelId: string, body: Buffer, offThread: OffThread): Promise<WholeAnswer> {
  const counted = await offThread.run("count", body, { modelId });
  if (typeof counted !== "number") throw errorOf(counted.error);
  return whole(writeCountTokens(counted));
}

async function answerText(
  request: ActiveRequest,
  format: TextAnswerFormat,
  plan: MockPlan,
  streams: boolean,
): Promise<Attempted> {
  const startedAt = performance.now();
  if (plan.latencyMs > 0) await pause(plan.latencyMs, request);
  if (request.over) return cancelled(request);
  if (plan.error !== null && (!streams || plan.error.afterChunks === null)) return failure("nobody", plan.error.error);
  if (!streams) return whole(format.answer(plan.response), usageOf(plan.response.usage));
  const stream = format.stream(startedAt);
  return { kind: "stream", headers: stream.headers, source: pacedSource(breakOff(plan), plan.chunkDelayMs, stream) };
}

async function answerEmbeddings(
  request: ActiveRequest,
  modelId: string,
  format: EmbeddingFormat,
  provider: MockProvider,
): Promise<Attempted> {
  const plan = planEmbeddings(provider.rules, modelId, format.request, Math.random());
  if (plan.latencyMs > 0) await pause(plan.latencyMs, request);
  if (request.over) return cancelled(request);
  if (plan.error !== undefined) return failure("nobody", plan.error);
  const usage = { inputTokens: plan.inputTokens, outputTokens: 0 };
  return whole(format.answer(plan.vectors, plan.inputTokens, plan.latencyMs), usage);
}

function answerRanking(format: RerankFormat): WholeAnswer {
  const { query, documents } = format.request;
  return whole(format.answer(rankByWords(query, documents), 0));
}

/** Waits, or less when the request is over before. The time counts as the upstream's. */
async function pause(ms: number, request: ActiveRequest): Promise<void> {
  const from = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    request.whenOver(() => {
      clearTimeout(timer);
      resolve();
    });
  });
  request.whenOver(undefined);
  request.upstreamMs += performance.now() - from;
}

function whole(
  { headers, body, stopReason }: Pick<WholeAnswer, "headers" | "body" | "stopReason">,
  usage?: WholeAnswer["usage"],
): WholeAnswer {
  return { kind: "answer", status: 200, headers, body, usage, stopReason };
}

function object(value: JsonObject): WholeAnswer {
  return whole({ headers: [["content-type", "application/json"]], body: JSON.stringify(value) });
}
