/** Reads the body of Anthropic Messages on Bedrock. */
import type {
  ConverseRequest,
  InferenceConfig,
  OutputConfig,
  Tool,
  ToolChoice,
  ToolConfig,
  ToolSpec,
} from "../converse.ts";
import { readEffort, readStopSequences } from "../converse-reader.ts";
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import {
  type Fields,
  quote,
  readAnyObject,
  readBoolean,
  readCount,
  readFraction,
  readJsonObject,
  readList,
  readName,
  readObject,
  readRest,
  readSome,
  readText,
  readWord,
} from "../reading.ts";
import { readEnvelope } from "./anthropic-envelope.ts";
import { readCacheControl, readMessage, readSystem } from "./anthropic-messages-content.ts";
import { DocumentNames } from "./anthropic-messages-media.ts";
import { additionalFields } from "./inference.ts";

/** What Converse has a place for. Everything else is the model's own and kept under its own name. */
const carried = new Set([
  "anthropic_version",
  "max_tokens",
  "messages",
  "system",
  "temperature",
  "top_p",
  "stop_sequences",
  "tools",
  "tool_choice",
  "output_config",
]);
const toolFields = new Set(["type", "name", "description", "input_schema", "strict", "cache_control"]);
const choiceFields = new Set(["type", "disable_parallel_tool_use"]);
const namedChoiceFields = new Set(["type", "name", "disable_parallel_tool_use"]);
const typeFields = new Set(["type"]);
const outputFields = new Set(["effort", "format"]);
const formatFields = new Set(["type", "schema"]);

/**
 * Reads a body into Converse.
 *
 * - `cache_control` becomes a cache point behind its block, `redacted_thinking` the base64 of its UTF-8 bytes.
 * - `top_k`, `thinking`, `metadata`, `anthropic_beta` and whatever else Converse has no member for are kept in
 *   `additionalModelRequestFields`; so is a `tool_choice` that turns parallel calls off.
 * - `tool_choice: none` leaves the tools out, which says the same; tool blocks of the history stay.
 * - `anthropic_version` names this format and nothing more, so it is not carried. It may be missing: then the body was
 *   taken for this family by its shape.
 *
 * @throws BedrockError ValidationException naming the path of a field that is wrong, or that Converse cannot carry
 */
export function readAnthropicMessages(body: JsonObject): ConverseRequest {
  readEnvelope(body);
  const names = new DocumentNames();
  const messages = readSome(body.messages, "messages", (item, path) => readMessage(item, path, names));
  const system = body.system == null ? [] : readSystem(body.system, "system");
  const { toolConfig, extra } = readTools(body);
  const additional = { ...readRest(body, carried), ...extra };
  const outputConfig = body.output_config == null ? {} : readOutputConfig(body.output_config);
  return {
    messages,
    ...(system.length > 0 && { system }),
    inferenceConfig: readInference(body),
    ...(toolConfig !== undefined && { toolConfig }),
    ...additionalFields(additional),
    ...(Object.keys(outputConfig).length > 0 && { outputConfig }),
  };
}

function readInference(fields: Fields): InferenceConfig {
  const { max_tokens, temperature, top_p, stop_sequences } = fields;
  return {
    maxTokens: readCount(max_tokens, "max_tokens"),
    ...(temperature != null && { temperature: readFraction(temperature, "temperature") }),
    ...(top_p != null && { topP: readFraction(top_p, "top_p") }),
    ...(stop_sequences != null && { stopSequences: readStopSequences(stop_sequences, "stop_sequences") }),
  };
}

interface Tools {
  readonly toolConfig?: ToolConfig;
  /** What `tool_choice` says beyond Converse. */
  readonly extra?: JsonObject;
}

function readTools(fields: Fields): Tools {
  const tools = fields.tools == null ? [] : readList(fields.tools, "tools", readTool).flat();
  if (fields.tool_choice == null) return tools.length === 0 ? {} : { toolConfig: { tools } };
  const choice = readAnyObject(fields.tool_choice, "tool_choice");
  const type = readWord(choice.type, "tool_choice.type", ["auto", "any", "tool", "none"]);
  if (type === "none") {
    readObject(choice, "tool_choice", typeFields);
    return {};
  }
  if (tools.length === 0) throw refuseField("tool_choice", "needs tools to choose from");
  return {
    toolConfig: { tools, toolChoice: readToolChoice(choice, type) },
    ...(readParallelOff(choice) && { extra: { tool_choice: readJsonObject(choice, "tool_choice") } }),
  };
}

function readToolChoice(choice: Fields, type: "auto" | "any" | "tool"): ToolChoice {
  const { name } = readObject(choice, "tool_choice", type === "tool" ? namedChoiceFields : choiceFields);
  if (type === "tool") return { tool: { name: readName(name, "tool_choice.name") } };
  return type === "any" ? { any: {} } : { auto: {} };
}

function readParallelOff(choice: Fields): boolean {
  const off = choice.disable_parallel_tool_use;
  return off != null && readBoolean(off, "tool_choice.disable_parallel_tool_use");
}

/** @returns the tool, and the cache point behind it if it has one */
function readTool(value: unknown, path: string): readonly Tool[] {
  const { type } = readAnyObject(value, path);
  if (type != null && type !== "custom") {
    const shown = quote(readText(type, `${path}.type`));
    throw refuseField(`${path}.type`, `${shown} is a tool of Anthropic's own; only custom tools can be carried`);
  }
  const { name, description, input_schema, strict, cache_control } = readObject(value, path, toolFields);
  const toolSpec: ToolSpec = {
    name: readName(name, `${path}.name`),
    // Converse refuses an empty description, and it says as much as none.
    ...(description != null && description !== "" && { description: readText(description, `${path}.description`) }),
    inputSchema: { json: readJsonObject(input_schema, `${path}.input_schema`) },
    ...(strict != null && { strict: readBoolean(strict, `${path}.strict`) }),
  };
  if (cache_control == null) return [{ toolSpec }];
  return [{ toolSpec }, { cachePoint: readCacheControl(cache_control, `${path}.cache_control`) }];
}

function readOutputConfig(value: unknown): OutputConfig {
  const { effort, format } = readObject(value, "output_config", outputFields);
  return {
    ...(effort != null && { effort: readEffort(effort, "output_config.effort") }),
    ...(format != null && { textFormat: readFormat(format, "output_config.format") }),
  };
}

function readFormat(value: unknown, path: string): NonNullable<OutputConfig["textFormat"]> {
  const { type, schema } = readObject(value, path, formatFields);
  return {
    type: readWord(type, `${path}.type`, ["json_schema"]),
    structure: { jsonSchema: { schema: JSON.stringify(readJsonObject(schema, `${path}.schema`)) } },
  };
}
