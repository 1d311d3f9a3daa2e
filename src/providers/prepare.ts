/**
 * The preparation every translation begins with, whatever the provider: Converse in, a conversation that has no faults
 * left which providers refuse out. A dialect says in its {@link Rules} what its target takes.
 */
import type { ConverseRequest, Message, OutputConfig } from "../bedrock/converse.ts";
import { refuseField } from "../bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import { readJsonObject, readObject } from "../bedrock/reading.ts";
import { BlockReader } from "./blocks.ts";
import type { Target } from "./dialect.ts";
import { readModelFields } from "./model-fields.ts";
import { mergeTurns, pairTools } from "./pairing.ts";
import type { AnswerSchema, Block, Prepared, PreparedTool, Turn } from "./prepared.ts";
import { readReasoning } from "./reasoning.ts";
import type { Rules } from "./rules.ts";
import { commonNames, sendableName, ToolNames } from "./tool-names.ts";
import { readToolChoice, readTools, toolsOfHistory } from "./tools.ts";
import { tokensOfCharacters } from "./usage.ts";

/** Stands where a turn is needed and the client had nothing to say; providers refuse an empty one. */
const placeholder = ".";

/**
 * Prepares a request for a target.
 *
 * @throws BedrockError ValidationException that names the field the target cannot carry
 */
export function prepare(request: ConverseRequest, target: Target, rules: Rules): Prepared {
  refuseWhatOnlyBedrockHas(request);
  const ignored = ignoredEverywhere(request);
  const names = new ToolNames(rules.names);
  const defined = readTools(request, rules, names, ignored);
  const reader = new BlockReader(rules, target, names, ignored);
  const system = (request.system ?? []).flatMap((block, index) => reader.systemPart(block, `system[${index}]`));
  const turns = prepareTurns(request.messages, reader, rules, ignored);
  const tools = defined.length === 0 && rules.toolsFromHistory ? toolsOfHistory(turns) : defined;
  const toolChoice = readToolChoice(request.toolConfig, defined, names);
  const fields = readModelFields(request.additionalModelRequestFields, rules, ignored);
  const schema = readSchema(request.outputConfig, request.additionalModelRequestFields);
  const { stopSequences = [], ...inference } = request.inferenceConfig ?? {};

  return {
    system: withoutLeadingCachePoints(system, ignored),
    turns,
    tools,
    toolChoice,
    inference: { stops: stopSequences.slice(0, rules.maxStops), ...inference },
    reasoning: readReasoning(request.outputConfig, request.additionalModelRequestFields),
    schema,
    serviceTier: request.serviceTier?.type,
    fields,
    ignored,
    memo: {
      target,
      toolNames: names.changed,
      tools: defined.length > 0,
      schema: schema !== undefined,
      stops: stopSequences.slice(rules.maxStops),
      responsePaths: request.additionalModelResponseFieldPaths ?? [],
      inputTokens: estimateTokens(system, turns, tools),
    },
  };
}

function refuseWhatOnlyBedrockHas(request: ConverseRequest): void {
  if (request.guardrailConfig !== undefined) {
    throw refuseField("guardrailConfig", "guardrails work only with Bedrock's own models; leave it out for this model");
  }
  if (request.promptVariables !== undefined) {
    throw refuseField("promptVariables", "prompt resources work only on Bedrock; send the messages themselves");
  }
}

function ignoredEverywhere(request: ConverseRequest): string[] {
  const ignored: string[] = [];
  if (request.requestMetadata !== undefined) ignored.push("requestMetadata");
  if (request.performanceConfig?.latency !== undefined) ignored.push("performanceConfig.latency");
  return ignored;
}

function prepareTurns(
  messages: readonly Message[],
  reader: BlockReader,
  rules: Rules,
  ignored: string[],
): readonly Turn[] {
  const read = messages.map((message, index) => reader.turn(message, `messages[${index}]`));
  const paired = mergeTurns(pairTools(mergeTurns(read), rules.ids, ignored));
  const trimmed = paired.map(({ role, blocks }) => ({ role, blocks: withoutLeadingCachePoints(blocks, ignored) }));
  const turns = mergeTurns(trimmed);
  if (!turns.some((turn) => turn.role !== "system")) {
    throw refuseField("messages", "must have at least one message that is not blank");
  }
  const first = turns.find((turn) => turn.role !== "system");
  if (!rules.userFirst || first?.role === "user") return turns;
  return [{ role: "user", blocks: [{ kind: "text", text: placeholder, path: "messages[0]" }] }, ...turns];
}

/** A cache point marks what stands before it: at the beginning there is nothing to mark. */
function withoutLeadingCachePoints<T extends { readonly kind: string; readonly path: string }>(
  blocks: readonly T[],
  ignored: string[],
): readonly T[] {
  const start = blocks.findIndex((block) => block.kind !== "cachePoint");
  const leading = start === -1 ? blocks : blocks.slice(0, start);
  ignored.push(...leading.map((block) => block.path));
  return blocks.slice(leading.length);
}

// The answer's schema

const outputFields = new Set(["effort", "format"]);
const formatFields = new Set(["type", "schema", "name"]);

/** From `outputConfig.textFormat`, or Claude's own `output_config.format`. */
function readSchema(config: OutputConfig | undefined, fields: JsonObject | undefined): AnswerSchema | undefined {
  const definition = config?.textFormat?.structure.jsonSchema;
  if (definition !== undefined) {
    const { schema, name, description } = definition;
    const path = "outputConfig.textFormat.structure.jsonSchema.schema";
    return {
      name: sendableName(name === undefined || name === "" ? "answer" : name, commonNames),
      ...(description !== undefined && description !== "" && { description }),
      schema: parseSchema(schema, path),
    };
  }
  if (fields?.output_config == null) return undefined;
  const path = "additionalModelRequestFields.output_config";
  const { format } = readObject(fields.output_config, path, outputFields);
  if (format == null) return undefined;
  const { type, schema } = readObject(format, `${path}.format`, formatFields);
  if (type !== "json_schema") throw refuseField(`${path}.format.type`, "must be json_schema");
  if (!isJsonObject(schema)) throw refuseField(`${path}.format.schema`, "must be an object");
  return { name: "answer", schema };
}

function parseSchema(text: string, path: string): JsonObject {
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch {
    throw refuseField(path, "must be the schema as JSON text, and is not JSON");
  }
  if (isJsonObject(schema)) return readJsonObject(schema, path);
  throw refuseField(path, "must be the JSON text of an object");
}

// Estimates

function estimateTokens(
  system: readonly { readonly kind: string; readonly text?: string }[],
  turns: readonly Turn[],
  tools: readonly PreparedTool[],
): number {
  let characters = 0;
  for (const part of system) characters += part.text?.length ?? 0;
  for (const turn of turns) for (const block of turn.blocks) characters += sizeOfBlock(block);
  for (const tool of tools) characters += tool.name.length + (tool.description?.length ?? 0) + sizeOfJson(tool.schema);
  return tokensOfCharacters(characters);
}

function sizeOfBlock(block: Block): number {
  switch (block.kind) {
    case "text":
    case "reasoning":
      return block.text.length;
    case "toolUse":
      return block.name.length + sizeOfJson(block.input);
    case "toolResult": {
      let size = 0;
      for (const part of block.content) size += part.kind === "json" ? sizeOfJson(part.json) : sizeOfBlock(part);
      return size;
    }
    case "searchResult":
      return block.title.length + block.content.join("").length;
    case "image":
    case "document":
    case "video":
    case "audio":
    case "cachePoint":
    case "redacted":
      return 0;
  }
}

/** About the length of the JSON text, without writing it. */
function sizeOfJson(value: JsonValue): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 4;
  let size = 2;
  for (const [name, member] of Object.entries(value)) size += name.length + 4 + sizeOfJson(member);
  return size;
}
