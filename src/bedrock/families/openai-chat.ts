/** OpenAI's chat completions, as gpt-oss, Qwen, Kimi and others take them on Bedrock. */
import type { JsonObject } from "../json.ts";
import { isJsonObject } from "../json.ts";
import { ChatStream, chatStopWord, hasCalls, writeChatMessage, writeChatUsage } from "./chat-answer.ts";
import { type ChatForm, readChat } from "./chat-request.ts";
import type { Family, FamilyContext } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { usageOf } from "./usage.ts";

const title = "OpenAI chat";
const form: ChatForm = {
  roles: ["system", "developer", "user", "assistant", "tool"],
  parts: true,
  choices: { auto: "auto", required: "any", none: "none" },
  namedChoice: true,
  maxTemperature: 2,
};

/**
 * A chat completion's body → `chat.completion`, or `chat.completion.chunk` for each piece. `created` is 0, since a
 * family knows no time. With `stream_options.include_usage` the last chunk holds the usage and no choice.
 */
export const openaiChat: Family = {
  kind: "text",
  name: "openai-chat",
  echoes: ["stream_options"],

  read: (body) => readChat(body, form),

  write(answer, context) {
    const { content } = answer.output.message;
    return {
      ...head(context, "chat.completion"),
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
    const chunk = (delta: JsonObject, stop: string | null): JsonObject => ({
      ...head(context, "chat.completion.chunk"),
      choices: [{ index: 0, delta, finish_reason: stop }],
    });
    return new ChatStream({
      title,
      wholeCalls: false,
      first: chunk({ role: "assistant", content: "" }, null),
      piece: (delta) => chunk(delta, null),
      last(stop, metrics) {
        const end = chunk({}, stop);
        if (!wantsUsage(context)) return [end];
        const usage = writeChatUsage(usageOf(metrics));
        return [end, { ...head(context, "chat.completion.chunk"), choices: [], usage }];
      },
    });
  },
};

function head({ requestId, modelId }: FamilyContext, object: string): JsonObject {
  return { id: `chatcmpl-${requestId}`, object, created: 0, model: modelId };
}

function wantsUsage({ body }: FamilyContext): boolean {
  const options = body?.stream_options;
  return isJsonObject(options) && options.include_usage === true;
}
