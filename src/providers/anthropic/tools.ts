/** Tools, the choice between them, and the answer's schema, which may have to be a tool. */
import type { ConverseRequest } from "../../bedrock/converse.ts";
import { refuseField } from "../../bedrock/errors.ts";
import type { JsonObject, JsonValue } from "../../bedrock/json.ts";
import { readBoolean, readObject, readText } from "../../bedrock/reading.ts";
import type { AnswerSchema, Prepared, PreparedTool } from "../prepared.ts";
import type { Marked } from "./cache.ts";
import type { ClaudeModel } from "./models.ts";
import { constrainedSchema } from "./schema.ts";

export interface Tooling {
  readonly tools: readonly Marked[];
  /** `tool_choice` of the body. */
  readonly choice?: JsonObject;
  /** The model has to call a tool. */
  readonly forced: boolean;
  /** `output_config.format` of the body. */
  readonly format?: JsonObject;
  /** The hidden tool whose input is the answer. */
  readonly answerTool?: string;
}

const parallelField = "additionalModelRequestFields.tool_choice";
const choiceFields = new Set(["type", "name", "disable_parallel_tool_use"]);

/**
 * @param native whether the API takes the answer's schema itself
 * @param ignored takes the paths of what is left out
 * @throws BedrockError ValidationException for two tools of one name, a schema that no tool can have, or a second choice
 *   beside the first
 */
export function planTools(
  prepared: Prepared,
  request: ConverseRequest,
  model: ClaudeModel,
  native: boolean,
  ignored: string[],
): Tooling {
  const { schema, toolChoice, fields, memo } = prepared;
  refuseSameNames(prepared.tools);
  const format = schema === undefined || !native ? undefined : writeFormat(schema);
  const forced = toolChoice !== undefined && toolChoice.kind !== "auto";
  const hidden = schema === undefined || native || forced ? undefined : hiddenTool(schema, prepared.tools);
  if (schema !== undefined && forced && !native) ignored.push(schemaPath(request));
  if (native && request.outputConfig?.textFormat?.structure.jsonSchema.name !== undefined) {
    ignored.push("outputConfig.textFormat.structure.jsonSchema.name");
  }
  const alone = readAlone(fields.own.tool_choice, toolChoice?.kind ?? "auto");
  if (alone && !memo.tools) ignored.push(parallelField);
  const tools = [...prepared.tools, ...(hidden === undefined ? [] : [hidden])].map(writeTool);
  if (hidden !== undefined) {
    const type = memo.tools ? { type: "any" } : { type: "tool", name: hidden.name };
    return { tools, choice: { ...type, ...oneCall }, forced: true, answerTool: hidden.name };
  }
  const refused = forced && model.refusesForcedTools;
  if (refused) ignored.push("toolConfig.toolChoice");
  const choice = memo.tools ? chooseTool(refused ? { kind: "auto" } : toolChoice, alone) : onlyHistory(tools);
  return {
    tools,
    forced: forced && !refused,
    ...(choice !== undefined && { choice }),
    ...(format !== undefined && { format }),
  };
}

function refuseSameNames(tools: readonly PreparedTool[]): void {
  const seen = new Set<string>();
  for (const { name, path } of tools) {
    if (seen.has(name)) throw refuseField(`${path}.name`, "is the name of another tool as well");
    seen.add(name);
  }
}

const oneCall = { disable_parallel_tool_use: true };

function chooseTool(choice: Prepared["toolChoice"], alone: boolean): JsonObject | undefined {
  if (choice === undefined) return alone ? { type: "auto", ...oneCall } : undefined;
  const type = choice.kind === "tool" ? { type: "tool", name: choice.name } : { type: choice.kind };
  return alone ? { ...type, ...oneCall } : type;
}

/** Tools that only explain the calls of the history are not for calling. */
function onlyHistory(tools: readonly Marked[]): JsonObject | undefined {
  return tools.length === 0 ? undefined : { type: "none" };
}

/** The client's own `tool_choice` says, beside what Converse can say as well, that one call at a time is wanted. */
function readAlone(own: JsonValue | undefined, kind: "auto" | "any" | "tool"): boolean {
  if (own === undefined) return false;
  const { type, disable_parallel_tool_use: alone } = readObject(own, parallelField, choiceFields);
  if (type != null && readText(type, `${parallelField}.type`) !== kind) {
    throw refuseField(`${parallelField}.type`, `must say the same as toolConfig.toolChoice, ${kind}`);
  }
  return alone != null && readBoolean(alone, `${parallelField}.disable_parallel_tool_use`);
}

function writeTool({ name, description, schema, strict, cachePoint }: PreparedTool): Marked {
  const json = {
    name,
    ...(description !== undefined && { description }),
    input_schema: strict === true ? constrainedSchema(ofObject(schema)) : ofObject(schema),
    ...(strict !== undefined && { strict }),
  };
  return { json, ...(cachePoint !== undefined && { cachePoint }) };
}

/** The API insists on `type: object`; clients leave it out for tools without arguments. */
function ofObject(schema: JsonObject): JsonObject {
  return schema.type === undefined ? { type: "object", ...schema } : schema;
}

// The answer's schema

function writeFormat({ schema, description }: AnswerSchema): JsonObject {
  const described = description === undefined || schema.description !== undefined ? schema : { ...schema, description };
  return { type: "json_schema", schema: constrainedSchema(described) };
}

function hiddenTool({ name, description, schema }: AnswerSchema, tools: readonly PreparedTool[]): PreparedTool {
  const path = "outputConfig.textFormat.structure.jsonSchema.schema";
  const input = ofObject(schema);
  if (input.type !== "object") throw refuseField(path, "must be of type object for this model");
  return {
    name: freeName(name, tools),
    description: description ?? "Give your answer to the user by calling this tool.",
    schema: input,
    path,
  };
}

function freeName(name: string, tools: readonly PreparedTool[]): string {
  for (let number = 0; ; number++) {
    const candidate = number === 0 ? name : `${name.slice(0, 56)}_${number}`;
    if (!tools.some((tool) => tool.name === candidate)) return candidate;
  }
}

function schemaPath({ outputConfig }: ConverseRequest): string {
  return outputConfig?.textFormat === undefined
    ? "additionalModelRequestFields.output_config.format"
    : "outputConfig.textFormat";
}
