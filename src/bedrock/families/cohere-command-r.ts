/** Cohere Command R and R+: a message, the history before it, and tools. */
import type { BlockDelta, ConverseEvent, ConverseTrace, StopReason, TokenUsage, ToolUse } from "../converse.ts";
import { BedrockError, refuseField } from "../errors.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import {
  readAnyObject,
  readBoolean,
  readList,
  readName,
  readObject,
  readRest,
  readText,
  readWord,
} from "../reading.ts";
import { CallIds, readTool, writeCall } from "./cohere-tools.ts";
import { type Family, type FamilyContext, type FamilyStream, type InvocationMetrics, metricsKey } from "./family.ts";
import { guardrailMembers } from "./guardrail-members.ts";
import { additionalFields, type InferenceNames, readInference } from "./inference.ts";
import { type StopWords, stopWord } from "./stop-words.ts";
import { answerText, cutShort, deltaText, noForm, startName, TextFlow } from "./text-answer.ts";
import { type OpenCall, OpenCalls, parseArguments } from "./tool-arguments.ts";
import { splitSystem, type Turn } from "./turns.ts";
import { promptTokens, usageOf } from "./usage.ts";

const form = { title: "Cohere Command R" };
/** They change what an answer is, and are refused unless they are off. */
const switches = ["search_queries_only", "return_prompt", "raw_prompting"] as const;
const bodyFields = new Set([
  "message",
  "chat_history",
  "preamble",
  "max_tokens",
  "temperature",
  "p",
  "stop_sequences",
  "tools",
  "tool_results",
  ...switches,
]);
const messageFields = new Set(["role", "message"]);
const chatbotFields = new Set(["role", "message", "tool_calls"]);
const toolFields = new Set(["role", "tool_results"]);
const names: InferenceNames = {
  maxTokens: "max_tokens",
  temperature: "temperature",
  topP: "p",
  stop: "stop_sequences",
  maxTemperature: 5,
};
const words: StopWords = {
  complete: "COMPLETE",
  length: "MAX_TOKENS",
  sequence: "STOP_SEQUENCE",
  tools: "COMPLETE",
  filtered: "ERROR_TOXIC",
};

/**
 * `{message, chat_history, preamble, tools, tool_results, …}` →
 * `{response_id, generation_id, text, chat_history, finish_reason, tool_calls?, meta}`.
 *
 * `documents` and the other members that Converse has no place for become additional fields. Reasoning and citations of
 * an answer have no form here and are left out.
 */
export const cohereCommandR: Family = {
  kind: "text",
  name: "cohere-command-r",
  echoes: ["chat_history", "message"],

  read(body) {
    for (const name of switches) refuseSwitch(body[name], name);
    const tools = body.tools == null ? [] : readList(body.tools, "tools", readTool);
    return {
      ...splitSystem(readTurns(body)),
      ...readInference(body, "", names),
      ...(tools.length > 0 && { toolConfig: { tools } }),
      ...additionalFields(readRest(body, bodyFields)),
    };
  },

  write(answer, context) {
    const { content } = answer.output.message;
    const calls = content.flatMap((block) => ("toolUse" in block ? [block.toolUse] : []));
    const text = answerText(
      content.filter((block) => !("toolUse" in block)),
      form,
    );
    return {
      ...writeAnswer({ text, calls, reason: answer.stopReason, usage: answer.usage }, context),
      ...guardrailMembers(answer.stopReason, answer.trace),
    };
  },

  stream: (context) => new CommandRStream(context),
};

// Reading

function refuseSwitch(value: unknown, path: string): void {
  if (value == null || !readBoolean(value, path)) return;
  throw refuseField(path, "must be false: it asks for an answer that is not made here");
}

function readTurns(body: JsonObject): readonly Turn[] {
  const ids = new CallIds();
  const preamble = body.preamble == null ? "" : readText(body.preamble, "preamble");
  const history =
    body.chat_history == null
      ? []
      : readList(body.chat_history, "chat_history", (item, path) => readEntry(item, path, ids)).flat();
  // A result of a call in the history comes before what the user says next; a call that only the result tells of was
  // made because of it.
  const answersHistory = ids.open;
  const results = body.tool_results == null ? [] : ids.readResults(body.tool_results, "tool_results");
  const text = results.length === 0 ? readName(body.message, "message") : readText(body.message ?? "", "message");
  const message = textTurn("user", text);
  return [
    ...textTurn("system", preamble),
    ...history,
    ...(answersHistory ? [...results, ...message] : [...message, ...results]),
  ];
}

function readEntry(value: unknown, path: string, ids: CallIds): readonly Turn[] {
  const role = readWord(readAnyObject(value, path).role, `${path}.role`, ["USER", "CHATBOT", "TOOL"]);
  switch (role) {
    case "USER":
      return textTurn("user", readText(readObject(value, path, messageFields).message, `${path}.message`));
    case "CHATBOT": {
      const { message, tool_calls } = readObject(value, path, chatbotFields);
      const calls = tool_calls == null ? [] : ids.readCalls(tool_calls, `${path}.tool_calls`);
      const text = calls.length > 0 && message == null ? "" : readText(message, `${path}.message`);
      return [
        ...textTurn("assistant", text),
        ...(calls.length > 0 ? [{ role: "assistant" as const, content: calls.map((toolUse) => ({ toolUse })) }] : []),
      ];
    }
    case "TOOL":
      return ids.readResults(readObject(value, path, toolFields).tool_results, `${path}.tool_results`);
  }
}

/** Nothing for an empty text: Converse refuses it, and it says nothing. */
function textTurn(role: Turn["role"], text: string): readonly Turn[] {
  return text === "" ? [] : [{ role, content: [{ text }] }];
}

// Writing

interface Answered {
  readonly text: string;
  readonly calls: readonly Pick<ToolUse, "name" | "input">[];
  readonly reason: StopReason;
  readonly usage: TokenUsage;
}

function writeAnswer({ text, calls, reason, usage }: Answered, { requestId, body }: FamilyContext): JsonObject {
  const toolCalls = calls.length > 0 && { tool_calls: calls.map(writeCall) };
  const history: readonly JsonValue[] = Array.isArray(body?.chat_history) ? body.chat_history : [];
  const counts = { input_tokens: promptTokens(usage), output_tokens: usage.outputTokens };
  return {
    response_id: requestId,
    generation_id: `${requestId}-0`,
    text,
    chat_history: [
      ...history,
      { role: "USER", message: body?.message ?? "" },
      { role: "CHATBOT", message: text, ...toolCalls },
    ],
    finish_reason: stopWord(reason, words),
    ...toolCalls,
    meta: { api_version: { version: "1" }, billed_units: counts, tokens: counts },
  };
}

/** Calls are told of once, all together, when the last one is complete. */
class CommandRStream implements FamilyStream {
  readonly #context: FamilyContext;
  readonly #flow = new TextFlow(form);
  readonly #texts: string[] = [];
  readonly #open = new OpenCalls();
  #calls: readonly Pick<ToolUse, "name" | "input">[] = [];
  #reason: StopReason | undefined;
  #trace: ConverseTrace | undefined;

  constructor(context: FamilyContext) {
    this.#context = context;
  }

  push(event: ConverseEvent): readonly JsonObject[] {
    if ("contentBlockStart" in event) {
      const { contentBlockIndex, start } = event.contentBlockStart;
      if (!("toolUse" in start)) throw noForm(form.title, startName(start));
      this.#open.begin(contentBlockIndex, start.toolUse);
    }
    if ("contentBlockDelta" in event) {
      const { contentBlockIndex, delta } = event.contentBlockDelta;
      return this.#delta(contentBlockIndex, delta);
    }
    if ("metadata" in event) this.#trace = event.metadata.trace;
    return "messageStop" in event ? this.#stop(event.messageStop.stopReason) : [];
  }

  #delta(block: number, delta: BlockDelta): readonly JsonObject[] {
    if ("toolUse" in delta) {
      this.#open.add(block, delta.toolUse.input);
      return [];
    }
    const text = deltaText(delta, this.#flow);
    if (text === "") return [];
    this.#texts.push(text);
    return [{ is_finished: false, event_type: "text-generation", text }];
  }

  #stop(reason: StopReason): readonly JsonObject[] {
    this.#reason = reason;
    this.#calls = this.#open.all.flatMap((call) => finishCall(call, reason));
    if (this.#calls.length === 0) return [];
    return [{ is_finished: false, event_type: "tool-calls-generation", tool_calls: this.#calls.map(writeCall) }];
  }

  end(metrics: InvocationMetrics): readonly JsonObject[] {
    const reason = this.#reason;
    if (reason === undefined) throw cutShort();
    const answered = { text: this.#texts.join(""), calls: this.#calls, reason, usage: usageOf(metrics) };
    return [
      {
        is_finished: true,
        event_type: "stream-end",
        finish_reason: stopWord(reason, words),
        response: writeAnswer(answered, this.#context),
        ...guardrailMembers(reason, this.#trace),
        [metricsKey]: metrics,
      },
    ];
  }
}

/** A call that the end of the tokens cut off is no call: nobody could run it. */
function finishCall({ name, pieces }: OpenCall, reason: StopReason): readonly Pick<ToolUse, "name" | "input">[] {
  const input = parseArguments(pieces.join(""));
  if (input !== undefined) return [{ name, input }];
  if (reason === "max_tokens" || reason === "model_context_window_exceeded") return [];
  throw new BedrockError("ModelErrorException", "The model's answer calls a tool with arguments that are not JSON.");
}
