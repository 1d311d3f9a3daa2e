/** Tools, the choice among them and the answer's format, as the chat formats write them. */
import type { JsonSchemaDefinition, OutputConfig, Tool, ToolChoice, ToolConfig } from "../converse.ts";
import { refuseField } from "../errors.ts";
import {
  type Fields,
  readAnyObject,
  readBoolean,
  readJsonObject,
  readList,
  readName,
  readObject,
  readText,
  readWord,
} from "../reading.ts";

const toolFields = new Set(["type", "function"]);
const functionFields = new Set(["name", "description", "parameters", "strict"]);
const choiceFields = new Set(["type", "function"]);
const nameFields = new Set(["name"]);
const typeFields = new Set(["type"]);
const formatFields = new Set(["type", "json_schema"]);
const schemaFields = new Set(["name", "description", "schema", "strict"]);

/** What the words of `tool_choice` mean. */
export type ChoiceWords = Readonly<Record<string, "auto" | "any" | "none">>;

/**
 * Reads `tools` and `tool_choice`. A choice of none leaves the tools out, which says the same; no tools leave the
 * choice out, unless it asks for one.
 *
 * @param named whether the choice may be one function
 */
export function readToolMembers(
  body: Fields,
  words: ChoiceWords,
  named: boolean,
): { readonly toolConfig?: ToolConfig } {
  const tools = body.tools == null ? [] : readList(body.tools, "tools", readTool);
  const choice = body.tool_choice == null ? undefined : readChoice(body.tool_choice, "tool_choice", words, named);
  if (tools.length === 0 && (choice === undefined || choice === "none" || "auto" in choice)) return {};
  if (tools.length === 0) throw refuseField("tool_choice", "needs tools to choose from");
  if (choice === "none") return {};
  return { toolConfig: { tools, ...(choice !== undefined && { toolChoice: choice }) } };
}

function readTool(value: unknown, path: string): Tool {
  const fields = readObject(value, path, toolFields);
  readWord(fields.type, `${path}.type`, ["function"]);
  const place = `${path}.function`;
  const { name, description, parameters, strict } = readObject(fields.function, place, functionFields);
  return {
    toolSpec: {
      name: readName(name, `${place}.name`),
      // Converse refuses an empty description, and it says as much as none.
      ...(description != null && description !== "" && { description: readText(description, `${place}.description`) }),
      inputSchema: {
        json:
          parameters == null ? { type: "object", properties: {} } : readJsonObject(parameters, `${place}.parameters`),
      },
      ...(strict != null && { strict: readBoolean(strict, `${place}.strict`) }),
    },
  };
}

function readChoice(value: unknown, path: string, words: ChoiceWords, named: boolean): ToolChoice | "none" {
  if (typeof value === "string" || !named) {
    const meaning = words[readWord(value, path, Object.keys(words))];
    if (meaning === "auto") return { auto: {} };
    return meaning === "any" ? { any: {} } : "none";
  }
  const fields = readObject(value, path, choiceFields);
  readWord(fields.type, `${path}.type`, ["function"]);
  const { name } = readObject(fields.function, `${path}.function`, nameFields);
  return { tool: { name: readName(name, `${path}.function.name`) } };
}

/**
 * Reads `response_format`.
 *
 * @returns `json` for an answer that is JSON of any shape, which Converse has no member for
 */
export function readFormat(value: unknown, path: string): OutputConfig | "json" | undefined {
  if (value == null) return undefined;
  const type = readWord(readAnyObject(value, path).type, `${path}.type`, ["text", "json_object", "json_schema"]);
  if (type === "json_schema") {
    const { json_schema } = readObject(value, path, formatFields);
    const jsonSchema = readSchema(json_schema, `${path}.json_schema`);
    return { textFormat: { type, structure: { jsonSchema } } };
  }
  readObject(value, path, typeFields);
  return type === "text" ? undefined : "json";
}

/** `strict` is not carried: a schema in Converse is always kept to. */
function readSchema(value: unknown, path: string): JsonSchemaDefinition {
  const { name, description, schema, strict } = readObject(value, path, schemaFields);
  if (strict != null) readBoolean(strict, `${path}.strict`);
  return {
    schema: JSON.stringify(readJsonObject(schema, `${path}.schema`)),
    ...(name != null && { name: readName(name, `${path}.name`) }),
    ...(description != null && { description: readText(description, `${path}.description`) }),
  };
}
