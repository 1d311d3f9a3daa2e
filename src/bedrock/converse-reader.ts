/** Reads a Converse body for those who must understand it. The relay does not: there the bytes go up as they came. */
import { readCachePoint, readMessage, readSystemBlock } from "./content-reader.ts";
import type {
  ConverseRequest,
  GuardrailConfig,
  InferenceConfig,
  OutputConfig,
  Tool,
  ToolChoice,
  ToolConfig,
  ToolSpec,
} from "./converse.ts";
import { defined } from "./defined.ts";
import { refuseField } from "./errors.ts";
import {
  at,
  readAnyObject,
  readBoolean,
  readCount,
  readDocument,
  readFraction,
  readJsonObject,
  readList,
  readMember,
  readName,
  readObject,
  readSome,
  readText,
  readWord,
  refuseMember,
} from "./reading.ts";

const maxStopSequences = 2500;
const maxResponsePaths = 10;
const maxResponsePathLength = 256;
const maxMetadataEntries = 16;
const maxMetadataLength = 256;
const maxEffortLength = 16;

const requestFields = new Set([
  "messages",
  "system",
  "inferenceConfig",
  "toolConfig",
  "guardrailConfig",
  "additionalModelRequestFields",
  "additionalModelResponseFieldPaths",
  "promptVariables",
  "requestMetadata",
  "performanceConfig",
  "serviceTier",
  "outputConfig",
]);
const inferenceFields = new Set(["maxTokens", "temperature", "topP", "stopSequences"]);
const toolConfigFields = new Set(["tools", "toolChoice"]);
const toolSpecFields = new Set(["name", "description", "inputSchema", "strict"]);
const nameFields = new Set(["name"]);
const noFields: ReadonlySet<string> = new Set();
const guardrailFields = new Set(["guardrailIdentifier", "guardrailVersion", "trace"]);
const guardrailStreamFields = new Set([...guardrailFields, "streamProcessingMode"]);
const latencyFields = new Set(["latency"]);
const typeFields = new Set(["type"]);
const outputFields = new Set(["textFormat", "effort"]);
const textFormatFields = new Set(["type", "structure"]);
const jsonSchemaFields = new Set(["schema", "name", "description"]);

/**
 * Reads the body of Converse, or of ConverseStream.
 *
 * Shapes, words and ranges are the service model's. Left to the target, which has its own: the characters and length of
 * names and ids, and how many images or documents a message may hold. `messages` must be there, since only Bedrock can
 * take them from a prompt resource.
 *
 * @param body what `JSON.parse` gave
 * @throws BedrockError ValidationException naming the path of the first field that is wrong
 */
export function readConverse(body: unknown, streaming: boolean): ConverseRequest {
  const fields = readObject(body, "", requestFields);
  return {
    messages: readSome(fields.messages, "messages", readMessage),
    ...(fields.system != null && { system: readList(fields.system, "system", readSystemBlock) }),
    ...(fields.inferenceConfig != null && {
      inferenceConfig: readInferenceConfig(fields.inferenceConfig, "inferenceConfig"),
    }),
    ...(fields.toolConfig != null && { toolConfig: readToolConfig(fields.toolConfig, "toolConfig") }),
    ...(fields.guardrailConfig != null && { guardrailConfig: readGuardrailConfig(fields.guardrailConfig, streaming) }),
    ...(fields.additionalModelRequestFields != null && {
      additionalModelRequestFields: readJsonObject(fields.additionalModelRequestFields, "additionalModelRequestFields"),
    }),
    ...(fields.additionalModelResponseFieldPaths != null && {
      additionalModelResponseFieldPaths: readResponsePaths(fields.additionalModelResponseFieldPaths),
    }),
    ...(fields.promptVariables != null && { promptVariables: readPromptVariables(fields.promptVariables) }),
    ...(fields.requestMetadata != null && { requestMetadata: readRequestMetadata(fields.requestMetadata) }),
    ...(fields.performanceConfig != null && { performanceConfig: readPerformanceConfig(fields.performanceConfig) }),
    ...(fields.serviceTier != null && { serviceTier: readServiceTier(fields.serviceTier) }),
    ...(fields.outputConfig != null && { outputConfig: readOutputConfig(fields.outputConfig) }),
  };
}

function readInferenceConfig(value: unknown, path: string): InferenceConfig {
  const { maxTokens, temperature, topP, stopSequences } = readObject(value, path, inferenceFields);
  return defined({
    maxTokens: maxTokens == null ? undefined : readCount(maxTokens, `${path}.maxTokens`),
    temperature: temperature == null ? undefined : readFraction(temperature, `${path}.temperature`),
    topP: topP == null ? undefined : readFraction(topP, `${path}.topP`),
    stopSequences: stopSequences == null ? undefined : readStopSequences(stopSequences, `${path}.stopSequences`),
  });
}

/** Non-empty strings, at most 2,500. */
export function readStopSequences(value: unknown, path: string): readonly string[] {
  const sequences = readList(value, path, readName);
  if (sequences.length > maxStopSequences) throw refuseField(path, `must have at most ${maxStopSequences} items`);
  return sequences;
}

/** Reads a tool configuration at any path: Nova's own body holds the same one. */
export function readToolConfig(value: unknown, path: string): ToolConfig {
  const { tools, toolChoice } = readObject(value, path, toolConfigFields);
  return {
    tools: readSome(tools, `${path}.tools`, readTool),
    ...(toolChoice != null && { toolChoice: readToolChoice(toolChoice, `${path}.toolChoice`) }),
  };
}

function readTool(value: unknown, path: string): Tool {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "toolSpec":
      return { toolSpec: readToolSpec(member, place) };
    case "systemTool":
      return { systemTool: { name: readName(readObject(member, place, nameFields).name, `${place}.name`) } };
    case "cachePoint":
      return { cachePoint: readCachePoint(member, place) };
    default:
      throw refuseMember(path, name);
  }
}

function readToolSpec(value: unknown, path: string): ToolSpec {
  const { name, description, inputSchema, strict } = readObject(value, path, toolSpecFields);
  return {
    name: readName(name, `${path}.name`),
    ...(description != null && { description: readName(description, `${path}.description`) }),
    inputSchema: readInputSchema(inputSchema, `${path}.inputSchema`),
    ...(strict != null && { strict: readBoolean(strict, `${path}.strict`) }),
  };
}

function readInputSchema(value: unknown, path: string): ToolSpec["inputSchema"] {
  const [name, member] = readMember(value, path);
  if (name !== "json") throw refuseMember(path, name);
  return { json: readDocument(member, `${path}.json`) };
}

function readToolChoice(value: unknown, path: string): ToolChoice {
  const [name, member] = readMember(value, path);
  const place = `${path}.${name}`;
  switch (name) {
    case "auto":
      readObject(member, place, noFields);
      return { auto: {} };
    case "any":
      readObject(member, place, noFields);
      return { any: {} };
    case "tool":
      return { tool: { name: readName(readObject(member, place, nameFields).name, `${place}.name`) } };
    default:
      throw refuseMember(path, name);
  }
}

function readGuardrailConfig(value: unknown, streaming: boolean): GuardrailConfig {
  const path = "guardrailConfig";
  const fields = readObject(value, path, streaming ? guardrailStreamFields : guardrailFields);
  const { guardrailIdentifier, guardrailVersion, trace, streamProcessingMode } = fields;
  return {
    ...(guardrailIdentifier != null && {
      guardrailIdentifier: readText(guardrailIdentifier, `${path}.guardrailIdentifier`),
    }),
    ...(guardrailVersion != null && { guardrailVersion: readText(guardrailVersion, `${path}.guardrailVersion`) }),
    ...(trace != null && { trace: readWord(trace, `${path}.trace`, ["enabled", "disabled", "enabled_full"]) }),
    ...(streamProcessingMode != null && {
      streamProcessingMode: readWord(streamProcessingMode, `${path}.streamProcessingMode`, ["sync", "async"]),
    }),
  };
}

function readResponsePaths(value: unknown): readonly string[] {
  const path = "additionalModelResponseFieldPaths";
  const pointers = readList(value, path, (item, place) => {
    const pointer = readName(item, place);
    if (pointer.length > maxResponsePathLength) {
      throw refuseField(place, `must have at most ${maxResponsePathLength} characters`);
    }
    if (!pointer.startsWith("/")) throw refuseField(place, "must be a JSON pointer, which begins with /");
    return pointer;
  });
  if (pointers.length > maxResponsePaths) throw refuseField(path, `must have at most ${maxResponsePaths} items`);
  return pointers;
}

function readPromptVariables(value: unknown): { readonly [name: string]: { readonly text: string } } {
  const path = "promptVariables";
  return readMap(value, path, (item, place) => {
    const [name, member] = readMember(item, place);
    if (name !== "text") throw refuseMember(place, name);
    return { text: readText(member, `${place}.text`) };
  });
}

function readRequestMetadata(value: unknown): { readonly [key: string]: string } {
  const path = "requestMetadata";
  const metadata = readMap(value, path, (item, place) => {
    const text = readText(item, place);
    if (text.length > maxMetadataLength) {
      throw refuseField(place, `must have at most ${maxMetadataLength} characters`);
    }
    return text;
  });
  const keys = Object.keys(metadata);
  if (keys.length > maxMetadataEntries) throw refuseField(path, `must have at most ${maxMetadataEntries} entries`);
  const long = keys.find((key) => key.length > maxMetadataLength);
  if (long !== undefined)
    throw refuseField(at(path, long), `must have a name of at most ${maxMetadataLength} characters`);
  return metadata;
}

function readMap<T>(
  value: unknown,
  path: string,
  readItem: (value: unknown, path: string) => T,
): { readonly [name: string]: T } {
  const entries: [string, T][] = [];
  for (const [name, member] of Object.entries(readAnyObject(value, path))) {
    if (name === "__proto__") throw refuseField(at(path, name), "is a name that is not accepted");
    if (member != null) entries.push([name, readItem(member, at(path, name))]);
  }
  return Object.fromEntries(entries);
}

function readPerformanceConfig(value: unknown): { latency?: "standard" | "optimized" } {
  const path = "performanceConfig";
  const { latency } = readObject(value, path, latencyFields);
  return latency == null ? {} : { latency: readWord(latency, `${path}.latency`, ["standard", "optimized"]) };
}

function readServiceTier(value: unknown): { type: "priority" | "default" | "flex" | "reserved" } {
  const { type } = readObject(value, "serviceTier", typeFields);
  return { type: readWord(type, "serviceTier.type", ["priority", "default", "flex", "reserved"]) };
}

function readOutputConfig(value: unknown): OutputConfig {
  const { textFormat, effort } = readObject(value, "outputConfig", outputFields);
  return {
    ...(textFormat != null && { textFormat: readTextFormat(textFormat, "outputConfig.textFormat") }),
    ...(effort != null && { effort: readEffort(effort, "outputConfig.effort") }),
  };
}

/** A word of at most 16 characters; which ones there are is the model's to say. */
export function readEffort(value: unknown, path: string): string {
  const effort = readName(value, path);
  if (effort.length > maxEffortLength) throw refuseField(path, `must have at most ${maxEffortLength} characters`);
  return effort;
}

function readTextFormat(value: unknown, path: string): NonNullable<OutputConfig["textFormat"]> {
  const { type, structure } = readObject(value, path, textFormatFields);
  const [name, member] = readMember(structure, `${path}.structure`);
  if (name !== "jsonSchema") throw refuseMember(`${path}.structure`, name);
  const place = `${path}.structure.jsonSchema`;
  const schema = readObject(member, place, jsonSchemaFields);
  return {
    type: readWord(type, `${path}.type`, ["json_schema"]),
    structure: {
      jsonSchema: {
        schema: readName(schema.schema, `${place}.schema`),
        ...(schema.name != null && { name: readText(schema.name, `${place}.name`) }),
        ...(schema.description != null && { description: readText(schema.description, `${place}.description`) }),
      },
    },
  };
}
