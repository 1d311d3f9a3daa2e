/** Tools, the choice among them, and how an answer that follows a schema is asked for beside them. */
import { refuseField } from "../../bedrock/errors.ts";
import type { JsonObject } from "../../bedrock/json.ts";
import type { AnswerSchema, Prepared, PreparedTool } from "../prepared.ts";
import { geminiNames, sendableName } from "../tool-names.ts";
import type { ModelTraits } from "./models.ts";
import { parametersSchema, responseSchema } from "./schema.ts";

const systemTools: ReadonlyMap<string, JsonObject> = new Map([
  ["nova_grounding", { googleSearch: {} }],
  ["nova_code_interpreter", { codeExecution: {} }],
]);

export interface ToolPlan {
  readonly tools: readonly JsonObject[];
  readonly toolConfig: JsonObject | undefined;
  /** `responseMimeType` and `responseJsonSchema`. */
  readonly format: JsonObject;
  /** The function whose arguments are the answer. */
  readonly answerTool: string | undefined;
  /** The schema has been asked for, one way or the other. */
  readonly schema: boolean;
}

/**
 * @param schemaPath where the client's schema stands
 * @param ignored takes the paths of what is left out
 * @throws BedrockError ValidationException for what Gemini cannot combine
 */
export function planTools(prepared: Prepared, traits: ModelTraits, schemaPath: string, ignored: string[]): ToolPlan {
  const { tools, toolChoice, schema } = prepared;
  const functions = tools.filter((tool) => tool.systemTool === undefined);
  const [system] = tools.filter((tool) => tool.systemTool !== undefined);
  if (system !== undefined && functions.length > 0) {
    throw refuseField(system.path, "the provider cannot offer it together with other tools");
  }
  if (system !== undefined && toolChoice !== undefined && toolChoice.kind !== "auto") {
    throw refuseField("toolConfig.toolChoice", "the provider runs this tool itself, when it sees fit");
  }
  const forced = toolChoice !== undefined && toolChoice.kind !== "auto";
  const plan = planAnswer(schema, { tools, forced, traits, schemaPath, ignored });
  const declared = [...functions.map(declaration), ...plan.declarations];
  return {
    tools: [
      ...tools.flatMap((tool) => systemToolOf(tool)),
      ...(declared.length === 0 ? [] : [{ functionDeclarations: declared }]),
    ],
    toolConfig: plan.answerTool === undefined ? toolConfig(prepared, functions, ignored) : callingConfig("ANY"),
    format: plan.format,
    answerTool: plan.answerTool,
    schema: plan.format.responseMimeType !== undefined || plan.answerTool !== undefined,
  };
}

function systemToolOf({ systemTool }: PreparedTool): readonly JsonObject[] {
  const tool = systemTool === undefined ? undefined : systemTools.get(systemTool);
  return tool === undefined ? [] : [tool];
}

function declaration({ name, description, schema, path }: PreparedTool): JsonObject {
  return {
    name,
    ...(description !== undefined && { description }),
    parametersJsonSchema: parametersSchema(schema, `${path}.inputSchema.json`),
  };
}

function toolConfig(
  { toolChoice }: Prepared,
  functions: readonly PreparedTool[],
  ignored: string[],
): JsonObject | undefined {
  if (functions.length === 0) return undefined;
  const strict = functions.filter((tool) => tool.strict === true);
  if (toolChoice === undefined) return strict.length === 0 ? undefined : callingConfig("VALIDATED");
  if (toolChoice.kind === "auto") return callingConfig(strict.length === 0 ? "AUTO" : "VALIDATED");
  // Only VALIDATED holds the model to the schemas, and only ANY makes it call: the call is what the client relies on.
  ignored.push(...strict.map((tool) => `${tool.path}.strict`));
  return callingConfig("ANY", toolChoice.kind === "tool" ? [toolChoice.name] : undefined);
}

function callingConfig(mode: "AUTO" | "ANY" | "VALIDATED", allowed?: readonly string[]): JsonObject {
  return { functionCallingConfig: { mode, ...(allowed !== undefined && { allowedFunctionNames: allowed }) } };
}

interface AnswerPlan {
  readonly format: JsonObject;
  readonly declarations: readonly JsonObject[];
  readonly answerTool: string | undefined;
}

const noPlan: AnswerPlan = { format: {}, declarations: [], answerTool: undefined };

function planAnswer(
  schema: AnswerSchema | undefined,
  {
    tools,
    forced,
    traits,
    schemaPath,
    ignored,
  }: {
    tools: readonly PreparedTool[];
    forced: boolean;
    traits: ModelTraits;
    schemaPath: string;
    ignored: string[];
  },
): AnswerPlan {
  if (schema === undefined) return noPlan;
  if (forced) {
    // The answer is a call, and Google refuses a format beside it.
    ignored.push(schemaPath);
    return noPlan;
  }
  if (tools.length === 0 || traits.schemaBesideTools) {
    const responseJsonSchema = responseSchema(schema.schema, schemaPath, ignored);
    return { ...noPlan, format: { responseMimeType: "application/json", responseJsonSchema } };
  }
  if (tools.some((tool) => tool.systemTool !== undefined)) {
    throw refuseField(schemaPath, "the model cannot follow a schema while it uses the provider's tools");
  }
  const answerTool = freeName(schema.name, tools);
  const answer = {
    name: answerTool,
    description: schema.description ?? "Gives the final answer to the user.",
    parametersJsonSchema: parametersSchema(schema.schema, schemaPath),
  };
  return { format: {}, declarations: [answer], answerTool };
}

/** Begins as Gemini wants names to begin, and is none of the tools'. */
function freeName(wanted: string, tools: readonly PreparedTool[]): string {
  const taken = new Set(tools.map((tool) => tool.name));
  const base = sendableName(wanted, geminiNames);
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base.slice(0, 56)}_${number}`;
  return name;
}
