/** AI21 Jamba: chat messages whose content is text. */
import type { JsonObject } from "../json.ts";
import { ChatStream, chatStopWord, hasCalls, writeChatMessage, writeChatUsage } from "./chat-answer.ts";
import { type ChatForm, readChat } from "./chat-request.ts";
import type { Family } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { usageOf } from "./usage.ts";

const title = "AI21 Jamba";
const form: ChatForm = {
  roles: ["system", "user", "assistant", "tool"],
  parts: false,
  choices: { auto: "auto", required: "any", none: "none" },
  namedChoice: true,
  maxTemperature: 2,
};

/** A chat body → `{id, choices: [{index, message, finish_reason}], usage}`; in a stream, OpenAI's deltas. */
export const ai21Jamba: Family = {
  kind: "text",
  name: "ai21-jamba",

  read: (body) => readChat(body, form),

  write(answer, context) {
    const { content } = answer.output.message;
    return {
      id: answerId(context.requestId),
      choices: [
        {
          index: 0,
          message: writeChatMessage(content, title),
          finish_reason: chatStopWord(answer.stopReason, hasCalls(content)),
        },
      ],
      usage: writeChatUsage(answer.usage),
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream(context) {
    const id = answerId(context.requestId);
    const chunk = (delta: JsonObject, stop: string | null): JsonObject => ({
      id,
      choices: [{ index: 0, delta, finish_reason: stop }],
    });
    return new ChatStream({
      title,
      wholeCalls: false,
      first: chunk({ role: "assistant" }, null),
      piece: (delta) => chunk(delta, null),
      last: (stop, metrics) => [{ ...chunk({}, stop), usage: writeChatUsage(usageOf(metrics)) }],
    });
  },
};

function answerId(requestId: string): string {
  return `chatcmpl-${requestId}`;
}
