/** A gateway in front of the fake providers, and what tests of the translation ask it. */
import type { ConverseStreamOutput } from "@aws-sdk/client-bedrock-runtime";
import type { ProviderName } from "./fake-providers.ts";

/** A model of each provider that takes what Converse has: temperature, stop sequences, tools, images. */
export const models: Readonly<Record<ProviderName, string>> = {
  openai: "gpt-4o",
  anthropic: "claude-sonnet-4-5",
  gemini: "gemini-3-flash-preview",
  cohere: "command-a-03-2025",
  mistral: "mistral-large-latest",
};

/** The id a client names it by. */
export function modelIdOf(provider: ProviderName): string {
  return `${provider}/${models[provider]}`;
}

export interface StreamedBlock {
  text: string;
  reasoning: string;
  signature: string;
  redacted: Uint8Array | undefined;
  readonly call: { readonly id: string; readonly name: string } | undefined;
  input: string;
}

/** The blocks of a stream put together, and a complaint about everything that is out of order. */
export function assemble(events: readonly ConverseStreamOutput[]): {
  readonly blocks: readonly StreamedBlock[];
  readonly faults: readonly string[];
  readonly stopReason: string | undefined;
  readonly usage: object | undefined;
} {
  const blocks: StreamedBlock[] = [];
  const faults: string[] = [];
  let open: number | undefined;
  let place: "before" | "message" | "stopped" | "over" = "before";
  let stopReason: string | undefined;
  let usage: object | undefined;
  const begin = (index: number | undefined, call: StreamedBlock["call"]) => {
    if (place !== "message" || open !== undefined || index !== blocks.length) faults.push(`block ${index} begins`);
    open = index;
    blocks.push({ text: "", reasoning: "", signature: "", redacted: undefined, call, input: "" });
  };
  for (const event of events) {
    if (event.messageStart !== undefined) {
      if (place !== "before") faults.push("a second messageStart");
      place = "message";
    } else if (event.contentBlockStart !== undefined) {
      const { contentBlockIndex, start } = event.contentBlockStart;
      begin(contentBlockIndex, { id: String(start?.toolUse?.toolUseId), name: String(start?.toolUse?.name) });
    } else if (event.contentBlockDelta !== undefined) {
      const { contentBlockIndex, delta } = event.contentBlockDelta;
      if (open === undefined && contentBlockIndex === blocks.length) begin(contentBlockIndex, undefined);
      const block = blocks.at(-1);
      if (block === undefined || open !== contentBlockIndex) faults.push(`a delta of block ${contentBlockIndex}`);
      if (block === undefined) continue;
      block.text += delta?.text ?? "";
      block.input += delta?.toolUse?.input ?? "";
      block.reasoning += delta?.reasoningContent?.text ?? "";
      block.signature += delta?.reasoningContent?.signature ?? "";
      block.redacted = delta?.reasoningContent?.redactedContent ?? block.redacted;
    } else if (event.contentBlockStop !== undefined) {
      if (open !== event.contentBlockStop.contentBlockIndex) faults.push("the end of a block that is not open");
      open = undefined;
    } else if (event.messageStop !== undefined) {
      if (place !== "message" || open !== undefined) faults.push("messageStop");
      place = "stopped";
      stopReason = event.messageStop.stopReason;
    } else if (event.metadata !== undefined) {
      if (place !== "stopped") faults.push("metadata");
      place = "over";
      usage = event.metadata.usage;
    }
  }
  if (place !== "over") faults.push("no end");
  return { blocks, faults, stopReason, usage };
}
