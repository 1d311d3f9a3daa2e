import type { JsonObject } from "../../bedrock/json.ts";
import { writeTool } from "../chat/tools.ts";
import type { ChatQuirks } from "../chat-quirks.ts";
import type { PreparedTool, PreparedToolChoice } from "../prepared.ts";

/** `undefined` members are left out of the body: several servers refuse an empty list, or a choice without tools. */
export interface ChatTools {
  readonly tools: readonly JsonObject[] | undefined;
  readonly tool_choice: ChatToolChoice | undefined;
}

type ChatToolChoice = "auto" | "required" | { readonly type: "function"; readonly function: { readonly name: string } };

/**
 * @param ignored takes the paths of what the server has no word for
 */
export function writeTools(
  tools: readonly PreparedTool[],
  choice: PreparedToolChoice | undefined,
  quirks: ChatQuirks,
  ignored: string[],
): ChatTools {
  if (tools.length === 0) return { tools: undefined, tool_choice: undefined };
  for (const { cachePoint } of tools) if (cachePoint !== undefined) ignored.push(`${cachePoint.path}.cachePoint`);
  if (choice === undefined) return { tools: tools.map(writeTool), tool_choice: undefined };
  const { requiredChoice, namedChoice } = quirks;
  if (choice.kind === "tool" && namedChoice) {
    return {
      tools: tools.map(writeTool),
      tool_choice: { type: "function", function: { name: choice.name } },
    };
  }
  // The others would only be a temptation.
  const offered = choice.kind === "tool" ? tools.filter((tool) => tool.name === choice.name) : tools;
  ignored.push(...tools.filter((tool) => !offered.includes(tool)).map((tool) => tool.path));
  const isForced = choice.kind !== "auto";
  if (isForced && !requiredChoice) ignored.push("toolConfig.toolChoice");
  // A server that cannot be told to call does not know the field.
  const word = requiredChoice ? (isForced ? "required" : "auto") : undefined;
  return { tools: offered.map(writeTool), tool_choice: word };
}
