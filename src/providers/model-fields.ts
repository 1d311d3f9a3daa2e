/** `additionalModelRequestFields` taken apart: what has a meaning everywhere, and what only the model knows. */
import { refuseField } from "../bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import { at, readInteger, readList, readName } from "../bedrock/reading.ts";
import { reasoningFields } from "./reasoning.ts";
import type { Rules } from "./rules.ts";

export interface ModelFields {
  /** From `top_k`, `topK`, `k` or Nova's `inferenceConfig.topK`; only with {@link Rules.topK}. */
  readonly topK?: number;
  /** Claude's beta switches; only with {@link Rules.anthropicBeta}. */
  readonly anthropicBeta?: readonly string[];
  /** Fields without a meaning here, in the client's order: the model's own, if it is the model they are meant for. */
  readonly own: JsonObject;
}

const path = "additionalModelRequestFields";
const topKNames = ["top_k", "topK", "k"] as const;
const read = new Set<string>([...reasoningFields, ...topKNames, "anthropic_beta", "anthropic_version"]);

/**
 * @param ignored takes the paths of known fields that the target has no place for
 * @throws BedrockError ValidationException when a known field has the wrong shape
 */
export function readModelFields(
  fields: JsonObject | undefined,
  rules: Pick<Rules, "topK" | "anthropicBeta">,
  ignored: string[],
): ModelFields {
  if (fields === undefined) return { own: {} };
  const own: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (read.has(name) || value === null) continue;
    const rest = name === "inferenceConfig" ? withoutTopK(value) : value;
    if (rest !== undefined) own[name] = rest;
  }
  const topK = readTopK(fields);
  if (topK !== undefined && !rules.topK) ignored.push(topK.path);
  const beta = fields.anthropic_beta;
  const betas = beta == null ? undefined : readList(beta, `${path}.anthropic_beta`, readName);
  if (!rules.anthropicBeta) {
    for (const name of ["anthropic_beta", "anthropic_version"]) {
      if (fields[name] != null) ignored.push(`${path}.${name}`);
    }
  }
  return {
    ...(topK !== undefined && rules.topK && { topK: topK.value }),
    ...(betas !== undefined && rules.anthropicBeta && { anthropicBeta: betas }),
    own,
  };
}

/**
 * The model's own fields, to be spread into the request's body where they cannot replace what the gateway writes.
 *
 * @param reserved names the gateway writes itself, e.g. `messages`, `stream`
 * @throws BedrockError ValidationException for a reserved name
 */
export function ownFields(fields: ModelFields, reserved: ReadonlySet<string>): JsonObject {
  for (const name of Object.keys(fields.own)) {
    if (reserved.has(name)) throw refuseField(at(path, name), "is set by the gateway from the request's other fields");
  }
  return fields.own;
}

/** The paths of the model's own fields, for a target that has no use for them. */
export function ownPaths(fields: ModelFields): readonly string[] {
  return Object.keys(fields.own).map((name) => at(path, name));
}

function readTopK(fields: JsonObject): { readonly value: number; readonly path: string } | undefined {
  for (const name of topKNames) {
    const value = fields[name];
    if (value != null) return { value: readInteger(value, `${path}.${name}`), path: `${path}.${name}` };
  }
  const nova = fields.inferenceConfig;
  if (!isJsonObject(nova) || nova.topK == null) return undefined;
  const place = `${path}.inferenceConfig.topK`;
  return { value: readInteger(nova.topK, place), path: place };
}

function withoutTopK(value: JsonValue): JsonValue | undefined {
  if (!isJsonObject(value)) return value;
  const rest = Object.entries(value).filter(([name]) => name !== "topK");
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}
