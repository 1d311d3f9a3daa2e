/** The mock's model: an intended answer, said token by token within the request's limits. */
import { createHash } from "node:crypto";
import type { ConverseRequest, StopReason } from "../../bedrock/converse.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import { fragments, takeWords } from "./words.ts";

/** What the mock means to say, before limits. */
export interface Intent {
  readonly reasoning: string;
  readonly text: string;
  readonly calls: readonly Call[];
  readonly maxTokens: number;
}

export interface Call {
  readonly name: string;
  readonly input: JsonObject;
}

/** The answer token by token. */
export interface Generated {
  readonly reasoning: readonly string[];
  /** Given once the reasoning is whole. */
  readonly signature: string | undefined;
  readonly text: readonly string[];
  readonly calls: readonly GeneratedCall[];
  readonly stopReason: StopReason;
  readonly stopSequence: string | undefined;
}

export interface GeneratedCall extends Call {
  readonly toolUseId: string;
  readonly fragments: readonly string[];
}

/** Says it token by token: reasoning, text, tool calls, until a limit is met. A call that does not fit is left out. */
export function generate(intent: Intent, request: ConverseRequest): Generated {
  let left = intent.maxTokens;
  const reasoning = takeWords(intent.reasoning, left);
  left -= reasoning.words.length;
  const signature = intent.reasoning !== "" && reasoning.whole ? hash(intent.reasoning, "base64") : undefined;
  const begun = { reasoning: reasoning.words, signature, calls: [], stopSequence: undefined };
  if (!reasoning.whole) return { ...begun, text: [], stopReason: "max_tokens" };

  const text = takeWords(intent.text, left);
  left -= text.words.length;
  const stop = findStop(text.words, request.inferenceConfig?.stopSequences ?? []);
  if (stop !== undefined) {
    const { words } = takeWords(stop.before, Number.POSITIVE_INFINITY);
    return { ...begun, text: words, stopReason: "stop_sequence", stopSequence: stop.sequence };
  }
  if (!text.whole) return { ...begun, text: text.words, stopReason: "max_tokens" };

  const calls: GeneratedCall[] = [];
  for (const [index, call] of intent.calls.entries()) {
    const json = JSON.stringify(call.input);
    const pieces = fragments(json);
    if (pieces.length > left) return { ...begun, text: text.words, calls, stopReason: "max_tokens" };
    left -= pieces.length;
    const place = `${request.messages.length}:${index}:${call.name}:${json}`;
    calls.push({ ...call, toolUseId: `tooluse_${hash(place, "base64url").slice(0, 22)}`, fragments: pieces });
  }
  return { ...begun, text: text.words, calls, stopReason: calls.length > 0 ? "tool_use" : "end_turn" };
}

/** The sequence that occurs first, and the text before it. */
function findStop(
  words: readonly string[],
  sequences: readonly string[],
): { readonly sequence: string; readonly before: string } | undefined {
  if (sequences.length === 0) return undefined;
  const text = words.join("");
  let at = text.length;
  let found: string | undefined;
  for (const sequence of sequences) {
    // Only an earlier place is of interest; one that starts earlier may well end later.
    const place = text.slice(0, at - 1 + sequence.length).indexOf(sequence);
    if (place === -1) continue;
    at = place;
    found = sequence;
  }
  return found === undefined ? undefined : { sequence: found, before: text.slice(0, at) };
}

function hash(text: string, encoding: "base64" | "base64url"): string {
  return createHash("sha256").update(text).digest(encoding);
}
