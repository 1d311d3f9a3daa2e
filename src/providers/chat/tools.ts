/** Tools and calls as OpenAI's chat completions write them; Mistral and Cohere took over the shape. */
import type { JsonObject } from "../../bedrock/json.ts";
import type { PreparedTool, ToolUsePart } from "../prepared.ts";

/** A tool's definition. */
export function writeTool({ name, description, schema, strict }: PreparedTool): JsonObject {
  return {
    type: "function",
    function: {
      name,
      ...(description !== undefined && { description }),
      parameters: schema,
      ...(strict !== undefined && { strict }),
    },
  };
}

/** A call of an earlier turn. */
export function writeCall({ id, name, input }: ToolUsePart): JsonObject {
  return { id, type: "function", function: { name, arguments: JSON.stringify(input) } };
}
