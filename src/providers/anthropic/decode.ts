/** A complete message as a Converse answer. */
import type { JsonValue } from "../../bedrock/json.ts";
import { AnswerWriter, listOf } from "../answer.ts";
import type { Answer, Memo, ProviderAnswer, ProviderFailure } from "../dialect.ts";
import { readInnerFailure } from "../failures.ts";
import { isFailure, nonsense, readJson } from "../nonsense.ts";
import { countOf } from "../usage.ts";
import { blockOf } from "./block.ts";
import { citationOf } from "./citations.ts";
import { hints } from "./failure.ts";
import { family } from "./rules.ts";
import { readStopReason, readTier, readUsage } from "./usage.ts";

export function decode(answer: ProviderAnswer, memo: Memo): Answer | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = readInnerFailure(body, memo.target, hints);
  if (failure !== undefined) return failure;
  const { content, stop_reason, stop_sequence = null, usage } = body;
  if (!Array.isArray(content) || typeof stop_reason !== "string") {
    return nonsense("The provider's answer is not a message with content and a stop reason.");
  }
  const writer = new AnswerWriter(memo, family);
  for (const block of listOf(content)) {
    if (!writeBlock(writer, block)) return nonsense("The provider's message has a block that cannot be read.");
  }
  writer.usage(readUsage(usage));
  const tier = readTier(usage);
  if (tier !== undefined) writer.serviceTier(tier);
  // A client that also streams asks for the members as they stand there.
  return writer.finish(readStopReason(stop_reason), { delta: { stop_reason, stop_sequence }, ...body });
}

/** The count of `/messages/count_tokens`. */
export function decodeCount(answer: ProviderAnswer, memo: Memo): number | ProviderFailure {
  const body = readJson(answer);
  if (isFailure(body)) return body;
  const failure = readInnerFailure(body, memo.target, hints);
  return failure ?? countOf(body.input_tokens) ?? nonsense("The provider's answer has no number of input tokens.");
}

/** False for a block that is not what its type says. Blocks of the provider's own tools are not for the client. */
function writeBlock(writer: AnswerWriter, value: JsonValue): boolean {
  const block = blockOf(value);
  switch (block?.type) {
    case undefined:
      return false;
    case "text":
      writer.text(
        block.text,
        block.citations.map(citationOf).filter((citation) => citation !== undefined),
      );
      return true;
    case "thinking":
      writer.reasoning(block.thinking, block.signature);
      return true;
    case "redacted_thinking":
      writer.redacted(block.data);
      return true;
    case "tool_use":
      writer.call(block.id, block.name, block.input);
      return true;
    case "other":
      return true;
  }
}
