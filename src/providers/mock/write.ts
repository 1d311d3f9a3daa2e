/** What the mock's model has said, written as an answer and as a stream. */
import type {
  ContentBlock,
  ConverseEvent,
  ConverseRequest,
  ConverseResponse,
  TokenUsage,
} from "../../bedrock/converse.ts";
import type { JsonValue } from "../../bedrock/json.ts";
import type { Generated } from "./generate.ts";

/** The answer as Converse gives it; members in the order of recorded answers. */
export function writeResponse(
  { reasoning, signature, text, calls, stopReason, stopSequence }: Generated,
  request: ConverseRequest,
  usage: TokenUsage,
  latencyMs: number,
): ConverseResponse {
  const fields = responseFields(request, stopSequence);
  const content: ContentBlock[] = [];
  if (reasoning.length > 0) {
    const reasoningText = { text: reasoning.join(""), ...(signature !== undefined && { signature }) };
    content.push({ reasoningContent: { reasoningText } });
  }
  if (text.length > 0) content.push({ text: text.join("") });
  for (const { toolUseId, name, input } of calls) content.push({ toolUse: { toolUseId, name, input } });
  return {
    metrics: { latencyMs },
    output: { message: { role: "assistant", content } },
    stopReason,
    usage,
    ...(fields !== undefined && { additionalModelResponseFields: fields }),
  };
}

/** The same answer as ConverseStream gives it. A stream takes longer by what its chunks are held up. */
export function writeEvents(
  { reasoning, signature, text, calls, stopReason, stopSequence }: Generated,
  request: ConverseRequest,
  usage: TokenUsage,
  latencyMs: number,
  chunkDelayMs: number,
): readonly ConverseEvent[] {
  const fields = responseFields(request, stopSequence);
  const events: ConverseEvent[] = [{ messageStart: { role: "assistant" } }];
  let contentBlockIndex = 0;
  const stop = (): void => {
    events.push({ contentBlockStop: { contentBlockIndex } });
    contentBlockIndex++;
  };
  if (reasoning.length > 0) {
    for (const word of reasoning) {
      events.push({ contentBlockDelta: { contentBlockIndex, delta: { reasoningContent: { text: word } } } });
    }
    if (signature !== undefined) {
      events.push({ contentBlockDelta: { contentBlockIndex, delta: { reasoningContent: { signature } } } });
    }
    stop();
  }
  if (text.length > 0) {
    for (const word of text) events.push({ contentBlockDelta: { contentBlockIndex, delta: { text: word } } });
    stop();
  }
  for (const { toolUseId, name, fragments: pieces } of calls) {
    events.push({ contentBlockStart: { contentBlockIndex, start: { toolUse: { toolUseId, name } } } });
    for (const input of pieces)
      events.push({ contentBlockDelta: { contentBlockIndex, delta: { toolUse: { input } } } });
    stop();
  }
  const chunks = events.filter((event) => "contentBlockDelta" in event).length;
  events.push(
    { messageStop: { stopReason, ...(fields !== undefined && { additionalModelResponseFields: fields }) } },
    { metadata: { metrics: { latencyMs: latencyMs + chunks * chunkDelayMs }, usage } },
  );
  return events;
}

/** What Claude tells of its own answer when a client asks for it by pointer. Unknown pointers are left out, as on AWS. */
function responseFields(request: ConverseRequest, sequence: string | undefined): JsonValue | undefined {
  const paths = request.additionalModelResponseFieldPaths ?? [];
  const stop = { stop_sequence: sequence ?? null };
  const whole = paths.includes("/stop_sequence");
  const delta = paths.includes("/delta/stop_sequence");
  return whole || delta ? { ...(whole && stop), ...(delta && { delta: stop }) } : undefined;
}
