/** Writes Converse events as the events of an Anthropic stream, one for each chunk. */
import type { BlockDelta, BlockStart, ConverseEvent, StopReason, StreamMetadata } from "../converse.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import { writeCitation } from "./anthropic-messages-citations.ts";
import { messageHead, redactedThinking, refuseBlock, writeStop, writeUsage } from "./anthropic-messages-write.ts";
import { type FamilyContext, type FamilyStream, type InvocationMetrics, metricsKey } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { cutShort } from "./text-answer.ts";
import { usageOf } from "./usage.ts";

type Kind = "text" | "tool_use" | "thinking" | "redacted_thinking";

interface OpenBlock {
  readonly kind: Kind;
  /** The block's index in Converse. */
  readonly from: number;
  /** Redacted thinking comes whole, in the block's start, so its bytes are held until the block ends. */
  readonly redacted: Buffer[];
}

/**
 * One block at a time. Converse begins text and thinking with their first delta and counts tokens at the very end;
 * Anthropic announces every block, and counts in `message_start`, which therefore says zero, and in `message_delta`.
 */
export class AnthropicMessagesStream implements FamilyStream {
  readonly #context: FamilyContext;
  #open: OpenBlock | undefined;
  #index = 0;
  #stop: { readonly stopReason: StopReason; readonly additionalModelResponseFields?: JsonValue } | undefined;
  #metadata: StreamMetadata | undefined;

  constructor(context: FamilyContext) {
    this.#context = context;
  }

  push(event: ConverseEvent): readonly JsonObject[] {
    if ("messageStart" in event) return [this.#messageStart()];
    if ("contentBlockStart" in event) {
      const { contentBlockIndex, start } = event.contentBlockStart;
      return this.#start(contentBlockIndex, start);
    }
    if ("contentBlockDelta" in event) {
      const { contentBlockIndex, delta } = event.contentBlockDelta;
      return this.#delta(contentBlockIndex, delta);
    }
    if ("contentBlockStop" in event) return this.#close();
    if ("messageStop" in event) {
      this.#stop = event.messageStop;
      return this.#close();
    }
    this.#metadata = event.metadata;
    return [];
  }

  end(metrics: InvocationMetrics): readonly JsonObject[] {
    if (this.#stop === undefined) throw cutShort();
    const { stopReason, additionalModelResponseFields: more } = this.#stop;
    const usage = this.#metadata?.usage ?? usageOf(metrics);
    return [
      { type: "message_delta", delta: writeStop(stopReason, more, this.#context), usage: writeUsage(usage) },
      { type: "message_stop", ...guardrailMembers(stopReason, this.#metadata?.trace), [metricsKey]: metrics },
    ];
  }

  #messageStart(): JsonObject {
    return {
      type: "message_start",
      message: {
        ...messageHead(this.#context),
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: writeUsage({ inputTokens: 0, outputTokens: 0 }),
      },
    };
  }

  #start(from: number, start: BlockStart): readonly JsonObject[] {
    if (!("toolUse" in start)) throw refuseBlock(start);
    const { toolUseId, name, type } = start.toolUse;
    if (type === "server_tool_use") throw refuseBlock({ [type]: name });
    const began = this.#begin(from, "tool_use", { type: "tool_use", id: toolUseId, name, input: {} });
    // Recorded streams have an empty first fragment, and there are readers who count on one.
    return [...began, this.#deltaOf({ type: "input_json_delta", partial_json: "" })];
  }

  #delta(from: number, delta: BlockDelta): readonly JsonObject[] {
    if ("text" in delta) {
      const began = this.#ensure(from, "text", { type: "text", text: "" });
      return [...began, this.#deltaOf({ type: "text_delta", text: delta.text })];
    }
    if ("citation" in delta) {
      const began = this.#ensure(from, "text", { type: "text", text: "" });
      return [...began, this.#deltaOf({ type: "citations_delta", citation: writeCitation(delta.citation) })];
    }
    if ("toolUse" in delta) {
      if (this.#open?.kind !== "tool_use" || this.#open.from !== from) throw refuseBlock(delta);
      const { input } = delta.toolUse;
      return input === "" ? [] : [this.#deltaOf({ type: "input_json_delta", partial_json: input })];
    }
    if (!("reasoningContent" in delta)) throw refuseBlock(delta);
    const reasoning = delta.reasoningContent;
    if ("redactedContent" in reasoning) return this.#holdRedacted(from, reasoning.redactedContent);
    const began = this.#ensure(from, "thinking", { type: "thinking", thinking: "", signature: "" });
    return "text" in reasoning
      ? [...began, this.#deltaOf({ type: "thinking_delta", thinking: reasoning.text })]
      : [...began, this.#deltaOf({ type: "signature_delta", signature: reasoning.signature })];
  }

  #deltaOf(delta: JsonObject): JsonObject {
    return { type: "content_block_delta", index: this.#index, delta };
  }

  /** Begins the block unless it is the one that is open. */
  #ensure(from: number, kind: Kind, block: JsonObject): readonly JsonObject[] {
    if (this.#open?.from === from && this.#open.kind === kind) return [];
    return this.#begin(from, kind, block);
  }

  #begin(from: number, kind: Kind, content_block: JsonObject): readonly JsonObject[] {
    const closed = this.#close();
    this.#open = { kind, from, redacted: [] };
    return [...closed, { type: "content_block_start", index: this.#index, content_block }];
  }

  #holdRedacted(from: number, base64: string): readonly JsonObject[] {
    const bytes = Buffer.from(base64, "base64");
    if (this.#open?.from === from && this.#open.kind === "redacted_thinking") {
      this.#open.redacted.push(bytes);
      return [];
    }
    const closed = this.#close();
    this.#open = { kind: "redacted_thinking", from, redacted: [bytes] };
    return closed;
  }

  #close(): readonly JsonObject[] {
    const open = this.#open;
    if (open === undefined) return [];
    const index = this.#index;
    this.#open = undefined;
    this.#index += 1;
    const stop = { type: "content_block_stop", index };
    if (open.kind !== "redacted_thinking") return [stop];
    return [
      { type: "content_block_start", index, content_block: redactedThinking(Buffer.concat(open.redacted)) },
      stop,
    ];
  }
}
