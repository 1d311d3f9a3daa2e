/** Amazon Nova on InvokeModel: Converse's own messages in a body with a schema version. */

import { readMessage, readSystemBlock } from "../content-reader.ts";
import type {
  ConverseEvent,
  ConverseRequest,
  ConverseResponse,
  InferenceConfig,
  StopReason,
  StreamMetadata,
  TokenUsage,
} from "../converse.ts";
import { readStopSequences, readToolConfig } from "../converse-reader.ts";
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import {
  type Fields,
  readAnyObject,
  readCount,
  readFraction,
  readList,
  readRest,
  readSome,
  readWord,
} from "../reading.ts";
import { type Family, type FamilyStream, type InvocationMetrics, metricsKey } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { additionalFields } from "./inference.ts";
import { cutShort } from "./text-answer.ts";
import { usageOf } from "./usage.ts";

const carried = new Set(["schemaVersion", "messages", "system", "inferenceConfig", "toolConfig"]);
const carriedInference = new Set([
  "maxTokens",
  "max_new_tokens",
  "temperature",
  "topP",
  "top_p",
  "topK",
  "top_k",
  "stopSequences",
]);

/**
 * `inferenceConfig` may have the first Nova's names (`max_new_tokens`, `top_p`, `top_k`). What Converse has no member
 * for, such as `topK`, is kept in `additionalModelRequestFields` at the place it has here, as AWS documents it.
 *
 * Streams keep Converse's block indexes. Nova itself closes a block after each delta and counts on, which tells a
 * client nothing and would tear reasoning from its signature.
 */
export const nova: Family = {
  kind: "text",
  name: "nova",
  read: readNova,
  write: writeNova,
  stream: () => new NovaStream(),
};

function readNova(body: JsonObject): ConverseRequest {
  const { schemaVersion, messages, toolConfig } = body;
  if (schemaVersion != null) readWord(schemaVersion, "schemaVersion", ["messages-v1"]);
  const system = body.system == null ? [] : readList(body.system, "system", readSystemBlock);
  const { inferenceConfig, own } = readInference(body.inferenceConfig);
  const additional = {
    ...readRest(body, carried),
    ...(Object.keys(own).length > 0 && { inferenceConfig: own }),
  };
  return {
    messages: readSome(messages, "messages", readMessage),
    ...(system.length > 0 && { system }),
    ...(Object.keys(inferenceConfig).length > 0 && { inferenceConfig }),
    ...(toolConfig != null && { toolConfig: readToolConfig(toolConfig, "toolConfig") }),
    ...additionalFields(additional),
  };
}

interface Inference {
  readonly inferenceConfig: InferenceConfig;
  /** What only the model knows. */
  readonly own: JsonObject;
}

function readInference(value: unknown): Inference {
  if (value == null) return { inferenceConfig: {}, own: {} };
  const path = "inferenceConfig";
  const fields = readAnyObject(value, path);
  const { temperature, stopSequences } = fields;
  const maxTokens = either(fields, "maxTokens", "max_new_tokens", readCount);
  const topP = either(fields, "topP", "top_p", readFraction);
  const topK = either(fields, "topK", "top_k", readCount);
  return {
    inferenceConfig: {
      ...(maxTokens !== undefined && { maxTokens }),
      ...(temperature != null && { temperature: readFraction(temperature, `${path}.temperature`) }),
      ...(topP !== undefined && { topP }),
      ...(stopSequences != null && { stopSequences: readStopSequences(stopSequences, `${path}.stopSequences`) }),
    },
    own: { ...readRest(fields, carriedInference, path), ...(topK !== undefined && { topK }) },
  };
}

/** A parameter that goes by two names. */
function either(
  fields: Fields,
  name: string,
  otherName: string,
  read: (value: unknown, path: string) => number,
): number | undefined {
  const [value, other] = [fields[name], fields[otherName]];
  if (value != null && other != null) {
    throw refuseField(`inferenceConfig.${otherName}`, `says the same as ${name}; send one of them`);
  }
  if (value != null) return read(value, `inferenceConfig.${name}`);
  return other == null ? undefined : read(other, `inferenceConfig.${otherName}`);
}

function writeNova(answer: ConverseResponse): JsonObject {
  const { content, role } = answer.output.message;
  return {
    output: { message: { content, role } },
    stopReason: answer.stopReason,
    usage: writeUsage(answer.usage),
    ...guardrailMembers(answer.stopReason, answer.trace),
  };
}

function writeUsage(usage: TokenUsage): JsonObject {
  return {
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    totalTokens: usage.totalTokens,
    cacheReadInputTokenCount: usage.cacheReadInputTokens ?? 0,
    cacheWriteInputTokenCount: usage.cacheWriteInputTokens ?? 0,
  };
}

/** The events of Converse, each the only member of its chunk; `metadata` waits for the metrics. */
class NovaStream implements FamilyStream {
  #stopReason: StopReason | undefined;
  #metadata: StreamMetadata | undefined;

  push(event: ConverseEvent): readonly JsonObject[] {
    if ("metadata" in event) {
      this.#metadata = event.metadata;
      return [];
    }
    if ("contentBlockStart" in event) {
      const { start, contentBlockIndex } = event.contentBlockStart;
      return [{ contentBlockStart: { start, contentBlockIndex } }];
    }
    if ("contentBlockDelta" in event) {
      const { delta, contentBlockIndex } = event.contentBlockDelta;
      return [{ contentBlockDelta: { delta, contentBlockIndex } }];
    }
    if ("messageStop" in event) this.#stopReason = event.messageStop.stopReason;
    return [event];
  }

  end(metrics: InvocationMetrics): readonly JsonObject[] {
    if (this.#stopReason === undefined) throw cutShort();
    const usage = writeUsage(this.#metadata?.usage ?? usageOf(metrics));
    const guardrail = guardrailMembers(this.#stopReason, this.#metadata?.trace);
    return [{ metadata: { usage, metrics: {}, trace: {} }, ...guardrail, [metricsKey]: metrics }];
  }
}
