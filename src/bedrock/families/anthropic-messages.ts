/** Anthropic Messages on InvokeModel, the body that Anthropic's own SDKs send. */
import { readAnthropicMessages } from "./anthropic-messages-read.ts";
import { AnthropicMessagesStream } from "./anthropic-messages-stream.ts";
import { writeAnthropicMessage } from "./anthropic-messages-write.ts";
import type { Family } from "./family.ts";

export const anthropicMessages: Family = {
  kind: "text",
  name: "anthropic-messages",
  echoes: ["stop_sequences"],
  read: readAnthropicMessages,
  write: writeAnthropicMessage,
  stream: (context) => new AnthropicMessagesStream(context),
};
