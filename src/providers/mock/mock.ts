/** The mock provider: what it answers to a request. Pure; who waits and sends is the gateway. */
import type { ConverseRequest, TokenUsage } from "../../bedrock/converse.ts";
import { BedrockError, isErrorType, refuseField } from "../../bedrock/errors.ts";
import type { EmbeddingRequest } from "../../bedrock/families/family.ts";
import { bringsToolResult, countInputTokens, countTextTokens, lastUserText } from "./conversation.ts";
import { embed } from "./embedding.ts";
import { findRule } from "./find-rule.ts";
import { type Call, type Generated, generate, type Intent } from "./generate.ts";
import type { MockPlan, MockRule } from "./rule.ts";
import { sampleInput } from "./sample.ts";
import { writeEvents, writeResponse } from "./write.ts";

export type { MockRule } from "./rule.ts";

/** An echo ends here as if by `maxTokens`: what a client sends could be far longer than any model's answer. */
const maxEchoTokens = 16_384;

const defaultDimensions = 1024;
const maxDimensions = 4096;
const maxTexts = 2048;

/**
 * Decides on the answer. The same arguments always give the same plan.
 *
 * @param model the model id, with or without the provider's name before it
 * @param roll a number in [0, 1) that the rules' probabilities are measured against
 * @throws BedrockError ValidationException when `toolChoice` names a tool that is not there
 */
export function planMock(rules: readonly MockRule[], model: string, request: ConverseRequest, roll: number): MockPlan {
  const heard = lastUserText(request);
  const rule = findRule(rules, model, heard, roll);
  const generated = generate(intend(rule, request, heard), request);
  const latencyMs = rule?.latency_ms ?? 0;
  const chunkDelayMs = rule?.chunk_delay_ms ?? 0;
  const usage = countUsage(request, generated);
  return {
    latencyMs,
    chunkDelayMs,
    error: failureOf(rule),
    truncateAfterChunks: rule?.truncate_after_chunks ?? null,
    response: writeResponse(generated, request, usage, latencyMs),
    // Made when it is read: an answer that is no stream has no use for it.
    get events() {
      return writeEvents(generated, request, usage, latencyMs, chunkDelayMs);
    },
  };
}

export interface EmbeddingPlan {
  readonly latencyMs: number;
  readonly error: BedrockError | undefined;
  /** One of length 1 for each text. */
  readonly vectors: readonly (readonly number[])[];
  readonly inputTokens: number;
}

/**
 * Decides on vectors. Of a rule its match, latency, error and probability count; its text is matched against all texts.
 *
 * @throws BedrockError ValidationException when more is asked for than a mock should make
 */
export function planEmbeddings(
  rules: readonly MockRule[],
  model: string,
  request: EmbeddingRequest,
  roll: number,
): EmbeddingPlan {
  const { texts, dimensions = defaultDimensions } = request;
  if (dimensions > maxDimensions || texts.length > maxTexts) {
    throw new BedrockError(
      "ValidationException",
      `The mock provider makes at most ${maxTexts} vectors of at most ${maxDimensions} numbers each.`,
    );
  }
  const rule = findRule(rules, model, texts.join("\n"), roll);
  return {
    latencyMs: rule?.latency_ms ?? 0,
    error: failureOf(rule)?.error,
    vectors: texts.map((text) => embed(text, dimensions)),
    inputTokens: countTextTokens(texts),
  };
}

function failureOf(rule: MockRule | undefined): MockPlan["error"] {
  const error = rule?.error;
  if (error == null) return null;
  const type = isErrorType(error.type) ? error.type : "InternalServerException";
  const message = error.message ?? `A rule of the mock provider answers with ${error.type}.`;
  return {
    error: new BedrockError(type, message, error.status == null ? {} : { status: error.status }),
    afterChunks: error.after_chunks ?? null,
  };
}

function intend(rule: MockRule | undefined, request: ConverseRequest, heard: string): Intent {
  const asked = request.inferenceConfig?.maxTokens ?? Number.POSITIVE_INFINITY;
  if (rule?.answer != null || rule?.reasoning != null || rule?.tool_calls != null) {
    return {
      reasoning: rule.reasoning ?? "",
      text: rule.answer ?? "",
      calls: (rule.tool_calls ?? []).map(({ name, input }) => ({ name, input: input ?? {} })),
      maxTokens: asked,
    };
  }
  const call = forcedCall(request);
  if (call !== undefined) return { reasoning: "", text: "", calls: [call], maxTokens: asked };
  return { reasoning: "", text: heard, calls: [], maxTokens: Math.min(asked, maxEchoTokens) };
}

/** The call a `toolChoice` leaves no way around; undefined once the tool's result is there. */
function forcedCall(request: ConverseRequest): Call | undefined {
  const { tools = [], toolChoice } = request.toolConfig ?? {};
  if (toolChoice === undefined || "auto" in toolChoice || bringsToolResult(request)) return undefined;
  const specs = tools.flatMap((tool) => ("toolSpec" in tool ? [tool.toolSpec] : []));
  const named = "tool" in toolChoice ? toolChoice.tool.name : undefined;
  const spec = named === undefined ? specs[0] : specs.find(({ name }) => name === named);
  if (spec !== undefined) return { name: spec.name, input: sampleInput(spec.inputSchema.json) };
  if (named === undefined) return undefined;
  throw refuseField("toolConfig.toolChoice.tool.name", "must be the name of one of toolConfig.tools");
}

function countUsage(request: ConverseRequest, { reasoning, text, calls }: Generated): TokenUsage {
  const inputTokens = countInputTokens(request);
  const outputTokens = calls.reduce((sum, call) => sum + call.fragments.length, reasoning.length + text.length);
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}
