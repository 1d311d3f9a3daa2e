/** The effective tools of a request: those of `toolConfig`, as the conversation has added and removed them. */
import type { ConverseRequest, Message, ToolConfig, ToolReference } from "../bedrock/converse.ts";
import { refuseField } from "../bedrock/errors.ts";
import { isJsonObject } from "../bedrock/json.ts";
import { quote } from "../bedrock/reading.ts";
import { cachePart } from "./blocks.ts";
import type { PreparedTool, PreparedToolChoice, Turn } from "./prepared.ts";
import type { Rules } from "./rules.ts";
import type { ToolNames } from "./tool-names.ts";

/**
 * @param ignored takes the paths of what is left out
 * @throws BedrockError ValidationException for a system tool without an equivalent, a schema that is no object, or a
 *   change that names no defined tool
 */
export function readTools(
  request: ConverseRequest,
  rules: Rules,
  names: ToolNames,
  ignored: string[],
): readonly PreparedTool[] {
  const defined = readDefined(request.toolConfig, rules, names, ignored);
  const removed = readRemoved(request.messages, new Set(defined.map((tool) => tool.name)), names);
  return defined.filter((tool) => !removed.has(tool.name));
}

/**
 * The choice, when there are tools to choose from.
 *
 * @throws BedrockError ValidationException when it names a tool that is not there
 */
export function readToolChoice(
  config: ToolConfig | undefined,
  tools: readonly PreparedTool[],
  names: ToolNames,
): PreparedToolChoice | undefined {
  const choice = config?.toolChoice;
  if (choice === undefined) return undefined;
  if ("tool" in choice) {
    const name = names.send(choice.tool.name);
    if (tools.some((tool) => tool.name === name)) return { kind: "tool", name };
    throw refuseField("toolConfig.toolChoice.tool.name", `there is no tool ${quote(choice.tool.name)}`);
  }
  if (tools.length === 0) return undefined;
  return { kind: "auto" in choice ? "auto" : "any" };
}

/** Definitions for the calls of a history that comes without: as little as a provider needs to accept them. */
export function toolsOfHistory(turns: readonly Turn[]): readonly PreparedTool[] {
  const tools = new Map<string, PreparedTool>();
  for (const block of turns.flatMap((turn) => turn.blocks)) {
    if (block.kind !== "toolUse" || tools.has(block.name)) continue;
    tools.set(block.name, { name: block.name, schema: { type: "object" }, path: block.path });
  }
  return [...tools.values()];
}

function readDefined(
  config: ToolConfig | undefined,
  rules: Rules,
  names: ToolNames,
  ignored: string[],
): readonly PreparedTool[] {
  const tools: PreparedTool[] = [];
  for (const [index, tool] of (config?.tools ?? []).entries()) {
    const path = `toolConfig.tools[${index}]`;
    if ("cachePoint" in tool) {
      const last = tools.pop();
      if (last === undefined || !rules.cachePoints) ignored.push(`${path}.cachePoint`);
      if (last === undefined) continue;
      tools.push(rules.cachePoints ? { ...last, cachePoint: cachePart(tool.cachePoint.ttl, path) } : last);
      continue;
    }
    if ("systemTool" in tool) {
      const { name } = tool.systemTool;
      if (!rules.systemTools.has(name)) {
        throw refuseField(`${path}.systemTool`, `the provider has no equivalent of ${quote(name)}`);
      }
      tools.push({ name, schema: {}, path: `${path}.systemTool`, systemTool: name });
      continue;
    }
    const { name, description, inputSchema, strict } = tool.toolSpec;
    const at = `${path}.toolSpec`;
    if (!isJsonObject(inputSchema.json)) throw refuseField(`${at}.inputSchema.json`, "must be an object");
    if (strict === true && !rules.strictTools) ignored.push(`${at}.strict`);
    tools.push({
      name: names.send(name),
      ...(description !== undefined && description.trim() !== "" && { description }),
      schema: inputSchema.json,
      ...(strict !== undefined && rules.strictTools && { strict }),
      path: at,
    });
  }
  return tools;
}

/** Follows the conversation's changes; what was removed last and not added again is out. */
function readRemoved(
  messages: readonly Message[],
  defined: ReadonlySet<string>,
  names: ToolNames,
): ReadonlySet<string> {
  const changedTool = ({ name }: ToolReference, path: string): string => {
    const sent = name === undefined ? undefined : names.send(name);
    if (sent !== undefined && defined.has(sent)) return sent;
    throw refuseField(`${path}.tool`, "must name a tool of toolConfig.tools");
  };
  const removed = new Set<string>();
  for (const [index, message] of messages.entries()) {
    for (const [place, block] of message.content.entries()) {
      const path = `messages[${index}].content[${place}]`;
      if ("toolRemoval" in block) removed.add(changedTool(block.toolRemoval.tool, `${path}.toolRemoval`));
      if ("toolAddition" in block) removed.delete(changedTool(block.toolAddition.tool, `${path}.toolAddition`));
    }
  }
  return removed;
}
