import { describe, expect, test } from "vitest";
import type { Tool, ToolChoice } from "../../../src/bedrock/converse.ts";
import { requestOf, user } from "../fixtures.ts";
import { answerOf, asContent, bodyOf, collected, decoded, encoded, geminiTarget } from "./support.ts";

const old = geminiTarget("gemini-2.5-flash");

function tool(name: string, strict?: boolean): Tool {
  return {
    toolSpec: {
      name,
      description: `does ${name}`,
      inputSchema: { json: { type: "object" } },
      ...(strict !== undefined && { strict }),
    },
  };
}

const request = (tools: readonly Tool[], toolChoice?: ToolChoice) =>
  requestOf([user({ text: "hi" })], { toolConfig: { tools, ...(toolChoice && { toolChoice }) } });

const answerSchema = (schema: string) =>
  ({ textFormat: { type: "json_schema", structure: { jsonSchema: { schema, name: "report" } } } }) as const;

describe("functions", () => {
  test("are declared in one list, in their order", () => {
    expect(bodyOf(request([tool("b"), tool("a")])).tools).toEqual([
      {
        functionDeclarations: [
          { name: "b", description: "does b", parametersJsonSchema: { type: "object" } },
          { name: "a", description: "does a", parametersJsonSchema: { type: "object" } },
        ],
      },
    ]);
  });

  test("F11 without a description have none", () => {
    const bare: Tool = { toolSpec: { name: "a", description: " ", inputSchema: { json: {} } } };
    expect(bodyOf(request([bare])).tools).toEqual([
      { functionDeclarations: [{ name: "a", parametersJsonSchema: { type: "object" } }] },
    ]);
  });

  test("F10 none, no list", () => {
    const body = bodyOf(requestOf([user({ text: "hi" })]));
    expect(body.tools).toBeUndefined();
    expect(body.toolConfig).toBeUndefined();
  });

  test("F56 keep the order of their schemas' members", () => {
    const schema = { type: "object", required: ["z"], properties: { z: { type: "string" }, a: { type: "string" } } };
    const { request: sent } = encoded(request([{ toolSpec: { name: "a", inputSchema: { json: schema } } }]));
    expect(sent.body).toContain(JSON.stringify(schema));
  });
});

describe("the choice", () => {
  const modeOf = (tools: readonly Tool[], choice?: ToolChoice) => {
    const { json, ignored } = encoded(request(tools, choice));
    return { config: JSON.parse(JSON.stringify(json.toolConfig ?? null))?.functionCallingConfig, ignored };
  };

  test("auto, any, and one tool", () => {
    expect(modeOf([tool("a")]).config).toBeUndefined();
    expect(modeOf([tool("a")], { auto: {} }).config).toEqual({ mode: "AUTO" });
    expect(modeOf([tool("a")], { any: {} }).config).toEqual({ mode: "ANY" });
    expect(modeOf([tool("a"), tool("b")], { tool: { name: "b" } }).config).toEqual({
      mode: "ANY",
      allowedFunctionNames: ["b"],
    });
  });

  test("F51 a strict tool is asked for by the mode", () => {
    expect(modeOf([tool("a"), tool("b", true)]).config).toEqual({ mode: "VALIDATED" });
    expect(modeOf([tool("a", true)], { auto: {} }).config).toEqual({ mode: "VALIDATED" });
    expect(modeOf([tool("a", false)]).config).toBeUndefined();
  });

  test("F51 a forced call wins over strictness, which is reported", () => {
    expect(modeOf([tool("a", true)], { any: {} })).toEqual({
      config: { mode: "ANY" },
      ignored: ["toolConfig.tools[0].toolSpec.strict"],
    });
  });
});

describe("tools the provider runs", () => {
  const grounding: Tool = { systemTool: { name: "nova_grounding" } };

  test("are Google's search and code execution", () => {
    expect(bodyOf(request([grounding])).tools).toEqual([{ googleSearch: {} }]);
    expect(bodyOf(request([grounding, { systemTool: { name: "nova_code_interpreter" } }], { auto: {} })).tools).toEqual(
      [{ googleSearch: {} }, { codeExecution: {} }],
    );
  });

  test("others are refused", () => {
    expect(() => bodyOf(request([{ systemTool: { name: "nova_memory" } }]))).toThrow(
      /^toolConfig\.tools\[0\]\.systemTool: /,
    );
  });

  test("assumes that they cannot be offered together with functions", () => {
    expect(() => bodyOf(request([tool("a"), grounding]))).toThrow(/^toolConfig\.tools\[1\]\.systemTool: .*together/);
  });

  test("cannot be forced", () => {
    expect(() => bodyOf(request([grounding], { any: {} }))).toThrow(/^toolConfig\.toolChoice: /);
  });
});

describe("an answer that follows a schema", () => {
  const schema = '{"type":"object","properties":{"z":{"type":"string"},"a":{"const":"x"}},"required":["z"]}';
  const sent = { type: "object", properties: { z: { type: "string" }, a: { enum: ["x"] } }, required: ["z"] };
  const format = { responseMimeType: "application/json", responseJsonSchema: sent };

  test("is asked for by type and schema", () => {
    const { json, memo } = encoded(requestOf([user({ text: "hi" })], { outputConfig: answerSchema(schema) }));
    expect(json.generationConfig).toEqual(format);
    expect(memo.schema).toBe(true);
  });

  test("Claude's way of asking for it is understood too", () => {
    const fields = { output_config: { format: { type: "json_schema", schema: { type: "object", not: {} } } } };
    const { json, ignored } = encoded(requestOf([user({ text: "hi" })], { additionalModelRequestFields: fields }));
    expect(json.generationConfig).toEqual({ ...format, responseJsonSchema: { type: "object" } });
    expect(ignored).toEqual(["additionalModelRequestFields.output_config.format.schema.not"]);
  });

  test("assumes Gemini 3 takes it beside tools", () => {
    const { json } = encoded({ ...request([tool("a")]), outputConfig: answerSchema(schema) });
    expect(json.generationConfig).toEqual(format);
    expect(json.toolConfig).toBeUndefined();
  });

  test("F53 for older models beside tools it is one more function, which must be called if none of the others is", () => {
    const { json, memo } = encoded({ ...request([tool("report")]), outputConfig: answerSchema(schema) }, old);
    expect(json.generationConfig).toBeUndefined();
    expect(json.toolConfig).toEqual({ functionCallingConfig: { mode: "ANY" } });
    expect(json.tools).toHaveProperty("[0].functionDeclarations[1]", {
      name: "report_2",
      description: "Gives the final answer to the user.",
      parametersJsonSchema: JSON.parse(schema),
    });
    expect(memo.answerTool).toBe("report_2");
    const answer = answerOf([{ functionCall: { name: "report_2", args: { z: "x" } } }]);
    expect(decoded(answer, memo)).toMatchObject({
      output: { message: { content: [{ text: '{"z":"x"}' }] } },
      stopReason: "end_turn",
    });
    const stream = collected([answer], memo);
    expect(asContent(stream)).toEqual([{ text: '{"z":"x"}' }]);
    expect(stream.stopReason).toBe("end_turn");
  });

  test("assumes a forced call and a schema exclude each other: the call wins, the schema is reported", () => {
    for (const target of [old, geminiTarget()]) {
      const { json, ignored, memo } = encoded(
        { ...request([tool("a")], { any: {} }), outputConfig: answerSchema(schema) },
        target,
      );
      expect(json.generationConfig).toBeUndefined();
      expect(ignored).toEqual(["outputConfig.textFormat.structure.jsonSchema.schema"]);
      expect(memo.schema).toBe(false);
    }
  });

  test("for older models it cannot stand beside the provider's own tools", () => {
    const both = { ...request([{ systemTool: { name: "nova_grounding" } }]), outputConfig: answerSchema(schema) };
    expect(() => bodyOf(both, old)).toThrow(/^outputConfig\.textFormat\.structure\.jsonSchema\.schema: /);
    expect(bodyOf(both).generationConfig).toEqual(format);
  });

  test("a function's answer is an object: another schema is refused there", () => {
    const both = { ...request([tool("a")]), outputConfig: answerSchema('{"type":"array"}') };
    expect(() => bodyOf(both, old)).toThrow(/^outputConfig\.textFormat\.structure\.jsonSchema\.schema: /);
  });
});
