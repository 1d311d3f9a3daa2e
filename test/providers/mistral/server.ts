/** What La Plateforme accepts: it stands for the server that answers 422 for a key it does not know. */
import { z } from "zod";

const text = z.strictObject({ type: z.literal("text"), text: z.string() });
const thinking = z.strictObject({
  type: z.literal("thinking"),
  thinking: z.array(text).min(1),
  closed: z.boolean().optional(),
});
const image = z.strictObject({ type: z.literal("image_url"), image_url: z.string().startsWith("data:image/") });
const document = z.strictObject({
  type: z.literal("document_url"),
  document_url: z.string().startsWith("data:application/pdf;base64,"),
  document_name: z.string().optional(),
});
const id = z.string().regex(/^[a-zA-Z0-9]{9}$/);
const filled = z.string().min(1);
const jsonText = z.string().refine((value) => typeof JSON.parse(value) === "object");

const message = z.discriminatedUnion("role", [
  z.strictObject({ role: z.literal("system"), content: filled }),
  z.strictObject({
    role: z.literal("user"),
    content: z.union([filled, z.array(z.union([text, image, document])).min(1)]),
  }),
  z.strictObject({
    role: z.literal("assistant"),
    content: z.union([filled, z.null(), z.array(z.union([text, thinking])).min(1)]),
    tool_calls: z
      .array(
        z.strictObject({
          id,
          type: z.literal("function"),
          function: z.strictObject({ name: z.string().regex(/^[\w-]{1,64}$/), arguments: jsonText }),
        }),
      )
      .min(1)
      .optional(),
    prefix: z.literal(true).optional(),
  }),
  z.strictObject({ role: z.literal("tool"), tool_call_id: id, name: filled, content: filled }),
]);

type Message = z.infer<typeof message>;

const tool = z.strictObject({
  type: z.literal("function"),
  function: z.strictObject({
    name: z.string().regex(/^[\w-]{1,64}$/),
    description: filled.optional(),
    parameters: z.record(z.string(), z.unknown()),
    strict: z.boolean().optional(),
  }),
});

const request = z.strictObject({
  model: filled,
  messages: z.array(message).min(1),
  tools: z.array(tool).min(1).optional(),
  tool_choice: z.enum(["auto", "any"]).optional(),
  max_tokens: z.int().min(1).optional(),
  temperature: z.number().min(0).max(1.5).optional(),
  top_p: z.number().min(0).max(1).optional(),
  stop: z.array(filled).min(1).optional(),
  stream: z.literal(true).optional(),
  response_format: z
    .union([
      z.strictObject({ type: z.literal("json_object") }),
      z.strictObject({
        type: z.literal("json_schema"),
        json_schema: z.strictObject({
          name: z.string().regex(/^[\w-]{1,64}$/),
          description: z.string().optional(),
          schema: z.record(z.string(), z.unknown()),
          strict: z.boolean(),
        }),
      }),
    ])
    .optional(),
  reasoning_effort: z.enum(["none", "high"]).optional(),
  random_seed: z.int().optional(),
  safe_prompt: z.boolean().optional(),
  presence_penalty: z.number().optional(),
  frequency_penalty: z.number().optional(),
  parallel_tool_calls: z.boolean().optional(),
});

export type MistralRequest = z.infer<typeof request>;

/** @throws when the server would refuse the body */
export function accept(body: string): MistralRequest {
  const read = request.parse(JSON.parse(body));
  checkOrder(read.messages);
  if (read.tool_choice !== undefined && read.tools === undefined) throw new Error("tool_choice without tools");
  if (read.temperature === 0 && (read.top_p ?? 1) < 1) throw new Error("top_p must be 1 when using greedy sampling");
  return read;
}

/** Who may follow whom, and that each call has one result. */
function checkOrder(messages: readonly Message[]): void {
  const followers = {
    start: ["system", "user"],
    system: ["user"],
    user: ["assistant"],
    assistant: ["user", "tool"],
    tool: ["assistant", "tool"],
  } as const;
  let before: keyof typeof followers = "start";
  let waiting: string[] = [];
  const used = new Set<string>();
  for (const current of messages) {
    const allowed: readonly string[] = followers[before];
    if (!allowed.includes(current.role))
      throw new Error(`3230: Unexpected role '${current.role}' after role '${before}'`);
    if (current.role === "tool") {
      if (waiting.shift() !== current.tool_call_id) throw new Error("a result without its call, or out of order");
    } else if (waiting.length > 0) {
      throw new Error("Not the same number of function calls and responses");
    }
    if (current.role === "assistant") {
      waiting = (current.tool_calls ?? []).map((call) => call.id);
      for (const call of waiting) {
        if (used.has(call)) throw new Error("Duplicate tool call id");
        used.add(call);
      }
      if (current.content === null && waiting.length === 0) throw new Error("neither content nor calls");
      if (current.prefix === true && current !== messages.at(-1)) throw new Error("prefix within the conversation");
    }
    before = current.role;
  }
  const last = messages.at(-1);
  if (waiting.length > 0) throw new Error("Not the same number of function calls and responses");
  if (last?.role === "assistant" && last.prefix !== true) throw new Error("Expected last role User or Tool");
  if (last?.role === "system") throw new Error("Expected last role User or Tool");
}
