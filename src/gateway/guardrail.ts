/**
 * A Bedrock guardrail around a model that is not Bedrock's: ApplyGuardrail looks at what goes in and at what comes out.
 * The answer is held until it has been looked at, also where the client asked for a stream.
 */
import type {
  ContentBlock,
  ConverseRequest,
  ConverseResponse,
  ConverseTrace,
  GuardContent,
  GuardrailConfig,
} from "../bedrock/converse.ts";
import { refuseField } from "../bedrock/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../bedrock/json.ts";
import { encodeLabel, matchOperation, type Route } from "../bedrock/operations.ts";
import type { Attempted, Failure } from "./attempt.ts";
import { nonsense } from "./failures.ts";

/** What ApplyGuardrail is asked: the route, and the body. */
export type Apply = (route: Route, body: Buffer) => Promise<Attempted>;

/** The model behind the guardrail, asked without it. */
export type Ask = () => Promise<ConverseResponse | Failure>;

type Verdict = {
  readonly intervened: boolean;
  readonly outputs: readonly string[];
  readonly assessments: readonly JsonValue[];
};

/** What the guardrail is to see of a request, as ApplyGuardrail takes it; undefined for nothing. */
export function guardedInput(request: ConverseRequest): string | undefined {
  return applyBody("INPUT", inputOf(request));
}

/**
 * Asks the model under the guardrail.
 *
 * @param input as {@link guardedInput} makes it
 * @throws BedrockError ValidationException when the guardrail is not named
 */
export async function askGuarded(
  input: Buffer | undefined,
  config: GuardrailConfig,
  apply: Apply,
  ask: Ask,
): Promise<ConverseResponse | Failure> {
  const { guardrailIdentifier: id } = config;
  if (id === undefined || id === "") throw refuseField("guardrailConfig.guardrailIdentifier", "is required");
  const route = routeOf(id, config.guardrailVersion ?? "DRAFT");

  const before = await verdictOf(apply, route, input);
  if ("kind" in before) return before;
  const inputTrace = { inputAssessment: { [id]: before.assessments[0] ?? {} } };
  if (before.intervened) return blocked(before, traced(config, inputTrace));

  const answer = await ask();
  if ("kind" in answer) return answer;
  const texts = answer.output.message.content.flatMap((block) => ("text" in block ? [asText(block.text)] : []));
  const output = applyBody("OUTPUT", texts);
  if (output === undefined) return { ...answer, ...traced(config, inputTrace) };
  const after = await verdictOf(apply, route, Buffer.from(output));
  if ("kind" in after) return after;
  const trace = traced(config, { ...inputTrace, outputAssessments: { [id]: after.assessments } });
  if (!after.intervened) return { ...answer, ...trace };
  const { usage, metrics } = answer;
  return { ...blocked(after, trace), usage, metrics };
}

function routeOf(id: string, version: string): Route {
  const route = matchOperation("POST", `/guardrail/${encodeLabel(id)}/version/${encodeLabel(version)}/apply`);
  if (route === undefined) throw refuseField("guardrailConfig", "names no guardrail");
  return route;
}

function applyBody(source: "INPUT" | "OUTPUT", content: readonly JsonObject[]): string | undefined {
  return content.length === 0 ? undefined : JSON.stringify({ source, content });
}

async function verdictOf(apply: Apply, route: Route, body: Buffer | undefined): Promise<Verdict | Failure> {
  if (body === undefined) return { intervened: false, outputs: [], assessments: [] };
  const attempted = await apply(route, body);
  if (attempted.kind === "failure") return attempted;
  if (attempted.kind !== "answer") throw new Error("ApplyGuardrail does not stream");
  let said: unknown;
  try {
    said = JSON.parse(attempted.body.toString());
  } catch {
    // Without a verdict nothing may pass.
    return nonsense("The guardrail's answer is not JSON.");
  }
  if (!isJsonObject(said) || (said.action !== "NONE" && said.action !== "GUARDRAIL_INTERVENED")) {
    return nonsense("The guardrail's answer has no action.");
  }
  const { outputs, assessments } = said;
  return {
    intervened: said.action === "GUARDRAIL_INTERVENED",
    outputs: Array.isArray(outputs)
      ? outputs.flatMap((one: JsonValue) => (isJsonObject(one) && typeof one.text === "string" ? [one.text] : []))
      : [],
    assessments: Array.isArray(assessments) ? assessments : [],
  };
}

/** What the client marked to be looked at, or else all that its messages say. */
function inputOf({ messages, system = [] }: ConverseRequest): readonly JsonObject[] {
  const blocks = messages.flatMap((message) => message.content);
  const marked = [...system, ...blocks].flatMap((block) =>
    "guardContent" in block ? [asGuard(block.guardContent)] : [],
  );
  return marked.length > 0 ? marked : blocks.flatMap(asInput);
}

function asGuard(content: GuardContent): JsonObject {
  return content;
}

function asInput(block: ContentBlock): JsonObject[] {
  if ("text" in block && block.text !== "") return [asText(block.text)];
  if (
    "image" in block &&
    "bytes" in block.image.source &&
    (block.image.format === "png" || block.image.format === "jpeg")
  )
    return [{ image: { format: block.image.format, source: { bytes: block.image.source.bytes } } }];
  if ("toolResult" in block)
    return block.toolResult.content.flatMap((one) => ("text" in one ? [asText(one.text)] : []));
  return [];
}

function asText(text: string): JsonObject {
  return { text: { text } };
}

function blocked({ outputs }: Verdict, trace: { readonly trace?: ConverseTrace }): ConverseResponse {
  return {
    output: { message: { role: "assistant", content: outputs.map((text) => ({ text })) } },
    stopReason: "guardrail_intervened",
    usage: { inputTokens: 0, outputTokens: 0, totalTokens: 0 },
    metrics: { latencyMs: 0 },
    ...trace,
  };
}

function traced(config: GuardrailConfig, guardrail: JsonObject): { readonly trace?: ConverseTrace } {
  return config.trace === "enabled" || config.trace === "enabled_full" ? { trace: { guardrail } } : {};
}
