/** What Cohere's chat accepts: it stands for the server that refuses a field it does not know. */
import { z } from "zod";

const filled = z.string().min(1);
const text = z.strictObject({ type: z.literal("text"), text: filled });
const thinking = z.strictObject({ type: z.literal("thinking"), thinking: filled });
const image = z.strictObject({
  type: z.literal("image_url"),
  image_url: z.strictObject({ url: z.string().startsWith("data:image/") }),
});
const jsonText = z.string().refine((value) => typeof JSON.parse(value) === "object");
const name = z.string().regex(/^[\w-]{1,64}$/);

const message = z.discriminatedUnion("role", [
  z.strictObject({ role: z.literal("system"), content: filled }),
  z.strictObject({ role: z.literal("user"), content: z.union([filled, z.array(z.union([text, image])).min(1)]) }),
  z.strictObject({
    role: z.literal("assistant"),
    content: z.union([filled, z.array(z.union([text, thinking])).min(1)]).optional(),
    tool_plan: filled.optional(),
    tool_calls: z
      .array(
        z.strictObject({
          id: filled,
          type: z.literal("function"),
          function: z.strictObject({ name, arguments: jsonText }),
        }),
      )
      .min(1)
      .optional(),
  }),
  z.strictObject({ role: z.literal("tool"), tool_call_id: filled, content: filled }),
]);

const objectSchema = z.looseObject({ type: z.literal("object"), properties: z.record(z.string(), z.unknown()) });

const request = z.strictObject({
  model: filled,
  stream: z.boolean(),
  messages: z.array(message).min(1),
  tools: z
    .array(
      z.strictObject({
        type: z.literal("function"),
        function: z.strictObject({ name, description: filled.optional(), parameters: objectSchema }),
      }),
    )
    .min(1)
    .optional(),
  strict_tools: z.literal(true).optional(),
  tool_choice: z.literal("REQUIRED").optional(),
  documents: z
    .array(
      z.union([
        z.string(),
        z.strictObject({ id: filled.optional(), data: z.union([z.string(), z.record(z.string(), z.unknown())]) }),
      ]),
    )
    .min(1)
    .optional(),
  citation_options: z.strictObject({ mode: z.enum(["FAST", "ACCURATE", "OFF"]) }).optional(),
  response_format: z
    .strictObject({ type: z.literal("json_object"), json_schema: z.record(z.string(), z.unknown()).optional() })
    .optional(),
  max_tokens: z.int().min(1).optional(),
  temperature: z.number().min(0).max(1).optional(),
  p: z.number().min(0.01).max(0.99).optional(),
  k: z.int().min(0).max(500).optional(),
  stop_sequences: z.array(filled).min(1).max(5).optional(),
  thinking: z
    .strictObject({ type: z.enum(["enabled", "disabled"]), token_budget: z.int().min(1).optional() })
    .optional(),
  seed: z.int().optional(),
  frequency_penalty: z.number().optional(),
  presence_penalty: z.number().optional(),
  safety_mode: z.enum(["CONTEXTUAL", "STRICT", "OFF"]).optional(),
  logprobs: z.boolean().optional(),
  priority: z.int().optional(),
});

export type CohereRequest = z.infer<typeof request>;

/** @throws when the server would refuse the body */
export function accept(body: string): CohereRequest {
  const read = request.parse(JSON.parse(body));
  const { messages, tools, documents, response_format: format, thinking: thinks, model } = read;
  checkOrder(messages);
  if (read.tool_choice !== undefined && tools === undefined) throw new Error("tool_choice without tools");
  if (format !== undefined && (tools ?? documents) !== undefined)
    throw new Error("response_format beside tools or documents");
  if (read.strict_tools === true && tools?.some((tool) => !requires(tool.function.parameters))) {
    throw new Error("strict_tools with a tool that requires nothing");
  }
  if (thinks !== undefined && !model.includes("reasoning")) throw new Error("thinking of a model that does not think");
  return read;
}

function requires({ required }: Record<string, unknown>): boolean {
  return Array.isArray(required) && required.length > 0;
}

function checkOrder(messages: CohereRequest["messages"]): void {
  let waiting: string[] = [];
  for (const current of messages) {
    if (current.role === "tool") {
      if (waiting.shift() !== current.tool_call_id) throw new Error("a result without its call, or out of order");
    } else if (waiting.length > 0) {
      throw new Error("a call without its result");
    }
    if (current.role !== "assistant") continue;
    waiting = (current.tool_calls ?? []).map((call) => call.id);
    if (current.content === undefined && waiting.length === 0) throw new Error("neither content nor calls");
  }
  const last = messages.at(-1)?.role;
  if (waiting.length > 0 || (last !== "user" && last !== "tool"))
    throw new Error("the last message must be the user's");
}
