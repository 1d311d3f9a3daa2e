/** Values the tests of translation begin with. */
import type { ConverseRequest, Message } from "../../src/bedrock/converse.ts";
import type { Memo, Target } from "../../src/providers/dialect.ts";
import type { Rules } from "../../src/providers/rules.ts";
import { allImages, textOnly } from "../../src/providers/rules.ts";
import { bedrockIds } from "../../src/providers/tool-ids.ts";
import { commonNames } from "../../src/providers/tool-names.ts";

export function targetOf(changes: Partial<Target> = {}): Target {
  return { provider: "test", kind: "openai", model: "test-model", streaming: false, seed: "seed-1", ...changes };
}

export function memoOf(changes: Partial<Memo> = {}): Memo {
  return {
    target: targetOf(),
    toolNames: new Map(),
    tools: false,
    schema: false,
    stops: [],
    responsePaths: [],
    inputTokens: 7,
    ...changes,
  };
}

/** Rules that carry images and text; change what a test is about. */
export function rulesOf(changes: Partial<Rules> = {}): Rules {
  return { ...textOnly, family: "test", ids: bedrockIds, names: commonNames, images: allImages, ...changes };
}

export function requestOf(
  messages: readonly Message[],
  changes: Omit<Partial<ConverseRequest>, "messages"> = {},
): ConverseRequest {
  return { messages, ...changes };
}

export function user(...content: Message["content"]): Message {
  return { role: "user", content };
}

export function assistant(...content: Message["content"]): Message {
  return { role: "assistant", content };
}

export function call(toolUseId: string, name = "weather", input: Record<string, string> = {}): Message["content"][0] {
  return { toolUse: { toolUseId, name, input } };
}

export function result(toolUseId: string, text = `result of ${toolUseId}`): Message["content"][0] {
  return { toolResult: { toolUseId, content: [{ text }] } };
}
