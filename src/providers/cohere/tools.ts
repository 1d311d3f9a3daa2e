/** Tools, the choice among them, and the answer's schema, which at Cohere depend on each other. */
import { isJsonObject, type JsonObject } from "../../bedrock/json.ts";
import { writeTool } from "../chat/tools.ts";
import type { AnswerSchema, Prepared, PreparedTool } from "../prepared.ts";

export interface ToolFields {
  readonly fields: JsonObject;
  /** The hidden tool whose input is the answer. */
  readonly answerTool?: string;
}

/**
 * `tools`, `strict_tools`, `tool_choice` and `response_format`.
 *
 * - A choice of one tool is that tool alone, and `REQUIRED`. There is no word for `auto`.
 * - `response_format` is refused beside tools: there the answer becomes the input of a hidden tool, and every answer a
 *   call. Where the client demands a call of its own tools, there is no answer to be formed.
 * - `strict_tools` is for all tools at once, and refused when one of them requires no argument.
 *
 * @param ignored takes the paths of what is left out
 */
export function writeTools({ tools, toolChoice, schema }: Prepared, ignored: string[]): ToolFields {
  if (tools.length === 0) return { fields: schema === undefined ? {} : { response_format: responseFormat(schema) } };
  const chosen = toolChoice?.kind === "tool" ? tools.filter((tool) => tool.name === toolChoice.name) : tools;
  for (const tool of tools) if (!chosen.includes(tool)) ignored.push(tool.path);
  const free = toolChoice === undefined || toolChoice.kind === "auto";
  if (!free && schema !== undefined) ignored.push("outputConfig.textFormat");
  const answer = free && schema !== undefined ? answerToolOf(schema, chosen) : undefined;
  const all = answer === undefined ? chosen : [...chosen, answer];
  const fields = {
    tools: all.map(defineTool),
    ...(isStrict(all, ignored) && { strict_tools: true }),
    ...((!free || answer !== undefined) && { tool_choice: "REQUIRED" }),
  };
  return { fields, ...(answer !== undefined && { answerTool: answer.name }) };
}

function responseFormat({ schema }: AnswerSchema): JsonObject {
  return { type: "json_object", json_schema: schema };
}

function answerToolOf({ name, description, schema }: AnswerSchema, tools: readonly PreparedTool[]): PreparedTool {
  const taken = new Set(tools.map((tool) => tool.name));
  let free = name;
  for (let number = 1; taken.has(free); number++) free = `${name.slice(0, 60)}_${number}`;
  const purpose = "Gives the final answer to the user.";
  return { name: free, description: `${purpose} ${description ?? ""}`.trim(), schema, path: "outputConfig.textFormat" };
}

function isStrict(tools: readonly PreparedTool[], ignored: string[]): boolean {
  const asking = tools.filter((tool) => tool.strict === true);
  if (tools.every(requiresSomething)) return asking.length > 0;
  ignored.push(...asking.map((tool) => `${tool.path}.strict`));
  return false;
}

function requiresSomething({ schema }: PreparedTool): boolean {
  return Array.isArray(schema.required) && schema.required.length > 0;
}

/** Without `strict`, which is for all tools at once. */
function defineTool({ name, description, schema, path }: PreparedTool): JsonObject {
  return writeTool({ name, ...(description !== undefined && { description }), schema: objectSchema(schema), path });
}

/** A schema has to say that it is an object's; one without parameters says it with an empty list of them. */
function objectSchema(schema: JsonObject): JsonObject {
  const typed = schema.type === undefined ? { type: "object", ...schema } : schema;
  return typed.type !== "object" || isJsonObject(typed.properties) ? typed : { ...typed, properties: {} };
}
