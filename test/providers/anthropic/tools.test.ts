import { describe, expect, test } from "vitest";
import type { ConverseRequest, OutputConfig, ToolChoice, ToolSpec } from "../../../src/bedrock/converse.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { assistant, call, requestOf, result, user } from "../fixtures.ts";
import { claude, decoded, message, onVertex, opus5, opus55, refusal, send, sonnet45 } from "./support.ts";

const schema = { type: "object", properties: { city: { type: "string", minLength: 2 } } };

function spec(changes: Partial<ToolSpec> = {}): ToolSpec {
  return { name: "weather", description: "Tells the weather", inputSchema: { json: schema }, ...changes };
}

function withTools(toolChoice?: ToolChoice, more: Omit<Partial<ConverseRequest>, "messages"> = {}, changes = {}) {
  return requestOf([user({ text: "hi" })], {
    toolConfig: { tools: [{ toolSpec: spec(changes) }], ...(toolChoice !== undefined && { toolChoice }) },
    ...more,
  });
}

function answerAs(json: JsonObject, names: { name?: string; description?: string } = {}): OutputConfig {
  return { textFormat: { type: "json_schema", structure: { jsonSchema: { schema: JSON.stringify(json), ...names } } } };
}

describe("tools", () => {
  test("are sent as they are", () => {
    expect(send(withTools()).body.tools).toEqual([
      { name: "weather", description: "Tells the weather", input_schema: schema },
    ]);
  });

  test("F11 F10 without an empty description, and no list without tools", () => {
    expect(send(withTools(undefined, {}, { description: " " })).body.tools?.[0]).not.toHaveProperty("description");
    expect(send(requestOf([user({ text: "hi" })])).request.body).not.toContain("tool");
  });

  test("two of one name are refused", () => {
    const twice = requestOf([user({ text: "hi" })], {
      toolConfig: { tools: [{ toolSpec: spec() }, { toolSpec: spec() }] },
    });
    expect(refusal(() => send(twice))).toMatch(/^toolConfig\.tools\[1\]\.toolSpec\.name: /);
  });

  test("assumes that a schema has to say type: object", () => {
    expect(send(withTools(undefined, {}, { inputSchema: { json: {} } })).body.tools?.[0]?.input_schema).toEqual({
      type: "object",
    });
  });

  test("F51 strict ones have a schema that can be held to, where the model has them", () => {
    const strict = withTools(undefined, {}, { strict: true });
    expect(send(strict).body.tools).toEqual([
      {
        name: "weather",
        description: "Tells the weather",
        input_schema: {
          type: "object",
          properties: { city: { type: "string", description: '{"minLength":2}' } },
          additionalProperties: false,
        },
        strict: true,
      },
    ]);
    const path = ["toolConfig.tools[0].toolSpec.strict"];
    expect(send(strict, onVertex()).ignored).toEqual(path);
    expect(send(strict, claude("claude-sonnet-4-20250514")).ignored).toEqual(path);
    expect(send(strict, onVertex()).body.tools?.[0]?.input_schema).toEqual(schema);
  });

  test("F9 of the history are defined anew when the client defines none, and not for calling", () => {
    const { body, memo } = send(requestOf([user({ text: "hi" }), assistant(call("a")), user(result("a"))]));
    expect(body.tools).toEqual([{ name: "weather", input_schema: { type: "object" } }]);
    expect(body.tool_choice).toEqual({ type: "none" });
    expect(memo.tools).toBe(false);
  });
});

describe("the choice", () => {
  test.each([
    [{ auto: {} }, { type: "auto" }],
    [{ any: {} }, { type: "any" }],
    [{ tool: { name: "weather" } }, { type: "tool", name: "weather" }],
    [undefined, undefined],
  ] as const)("%j is %j", (choice: ToolChoice | undefined, sent) => {
    expect(send(withTools(choice)).body.tool_choice).toEqual(sent);
  });

  test("F37 cannot be forced on the newest models: it is listed", () => {
    for (const choice of [{ any: {} }, { tool: { name: "weather" } }]) {
      const { body, ignored } = send(withTools(choice), claude(opus55));
      expect(body.tool_choice).toEqual({ type: "auto" });
      expect(ignored).toEqual(["toolConfig.toolChoice"]);
    }
    expect(send(withTools({ any: {} }), claude(opus5)).ignored).toEqual([]);
  });

  test("one call at a time is taken from the client's own tool_choice", () => {
    const own = (type: string) => ({
      additionalModelRequestFields: { tool_choice: { type, disable_parallel_tool_use: true } },
    });
    expect(send(withTools({ any: {} }, own("any"))).body.tool_choice).toEqual({
      type: "any",
      disable_parallel_tool_use: true,
    });
    expect(send(withTools(undefined, own("auto"))).body.tool_choice).toEqual({
      type: "auto",
      disable_parallel_tool_use: true,
    });
    expect(refusal(() => send(withTools({ auto: {} }, own("any"))))).toMatch(
      /^additionalModelRequestFields\.tool_choice\.type: /,
    );
    expect(send(requestOf([user({ text: "hi" })], own("auto"))).ignored).toEqual([
      "additionalModelRequestFields.tool_choice",
    ]);
  });
});

describe("the answer's schema", () => {
  const outputConfig = answerAs({ type: "object", properties: { n: { type: "integer", minimum: 1 } } });

  test("F52 F53 is a format where the model has one, in the keywords it knows", () => {
    const { body, memo } = send(requestOf([user({ text: "hi" })], { outputConfig }));
    expect(body.output_config).toEqual({
      format: {
        type: "json_schema",
        schema: {
          type: "object",
          properties: { n: { type: "integer", description: '{"minimum":1}' } },
          additionalProperties: false,
        },
      },
    });
    expect(memo).toMatchObject({ schema: true });
    expect(memo.answerTool).toBeUndefined();
  });

  test("stands beside the effort", () => {
    const { body } = send(
      requestOf([user({ text: "hi" })], { outputConfig: { ...outputConfig, effort: "low" } }),
      claude(opus5),
    );
    expect(body.output_config).toMatchObject({ effort: "low", format: { type: "json_schema" } });
  });

  test("its name has no place, its description stands in the schema", () => {
    const named = answerAs({ type: "object" }, { name: "n", description: "what it is" });
    const { body, ignored } = send(requestOf([user({ text: "hi" })], { outputConfig: named }));
    expect(body.output_config?.format?.schema).toMatchObject({ description: "what it is" });
    expect(ignored).toEqual(["outputConfig.textFormat.structure.jsonSchema.name"]);
  });

  test("may be given in Claude's own way", () => {
    const format = { type: "json_schema", schema: { type: "object" } };
    const own = { additionalModelRequestFields: { output_config: { format } } };
    expect(send(requestOf([user({ text: "hi" })], own)).body.output_config?.format).toMatchObject({
      schema: { type: "object", additionalProperties: false },
    });
  });

  describe("F53 else a hidden tool's, and its input is the answer", () => {
    const named = answerAs(
      { type: "object", properties: { n: { minimum: 1 } } },
      { name: "weather", description: "D" },
    );

    test.each([onVertex(), claude("claude-sonnet-4-20250514"), claude("claude-opus-4-1")])(
      "for $kind $model",
      (target) => {
        const { body, memo, ignored } = send(requestOf([user({ text: "hi" })], { outputConfig: named }), target);
        expect(body.tools).toEqual([
          { name: "weather", description: "D", input_schema: { type: "object", properties: { n: { minimum: 1 } } } },
        ]);
        expect(body.tool_choice).toEqual({ type: "tool", name: "weather", disable_parallel_tool_use: true });
        expect(body).not.toHaveProperty("output_config");
        expect(memo.answerTool).toBe("weather");
        expect(ignored).toEqual([]);
      },
    );

    test("beside the client's tools, under a name they do not have", () => {
      const { body, memo } = send(withTools({ auto: {} }, { outputConfig: named }), onVertex());
      expect(body.tools?.map(({ name }) => name)).toEqual(["weather", "weather_1"]);
      expect(body.tool_choice).toEqual({ type: "any", disable_parallel_tool_use: true });
      expect(memo.answerTool).toBe("weather_1");
    });

    test("not where the client wants a call: there is no text then", () => {
      const { body, memo, ignored } = send(withTools({ any: {} }, { outputConfig: named }), onVertex());
      expect(body.tools).toHaveLength(1);
      expect(memo.answerTool).toBeUndefined();
      expect(ignored).toEqual(["outputConfig.textFormat"]);
    });

    test("not where tools cannot be forced: there the format is the only way, on Vertex too", () => {
      const { body, memo } = send(
        requestOf([user({ text: "hi" })], { outputConfig: named }),
        onVertex("claude-opus-5-5"),
      );
      expect(body.output_config?.format?.type).toBe("json_schema");
      expect(memo.answerTool).toBeUndefined();
    });

    test("a budget for thinking gives way to it", () => {
      const { body, ignored } = send(
        requestOf([user({ text: "hi" })], {
          outputConfig: named,
          additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 2000 } },
        }),
        onVertex(),
      );
      expect(body).not.toHaveProperty("thinking");
      expect(ignored).toEqual(["additionalModelRequestFields.thinking"]);
    });

    test("only of an object", () => {
      const list = answerAs({ type: "array" });
      expect(refusal(() => send(requestOf([user({ text: "hi" })], { outputConfig: list }), onVertex()))).toMatch(
        /^outputConfig\.textFormat\.structure\.jsonSchema\.schema: must be of type object/,
      );
    });

    test("its call comes back as text, and ends the turn", () => {
      const { memo } = send(requestOf([user({ text: "hi" })], { outputConfig: named }), onVertex());
      const content = [{ type: "tool_use", id: "toolu_1", name: "weather", input: { n: 1 } }];
      const { response } = decoded(message(content, { stop_reason: "tool_use" }), memo);
      expect(response.output.message.content).toEqual([{ text: '{"n":1}' }]);
      expect(response.stopReason).toBe("end_turn");
    });
  });

  test("a schema nested beyond reason is refused", () => {
    const deep = `${'{"a":'.repeat(50_000)}{}${"}".repeat(50_000)}`;
    const config: OutputConfig = { textFormat: { type: "json_schema", structure: { jsonSchema: { schema: deep } } } };
    expect(refusal(() => send(requestOf([user({ text: "hi" })], { outputConfig: config }), claude(sonnet45)))).toMatch(
      /^outputConfig\.textFormat\.structure\.jsonSchema\.schema.*nested deeper/,
    );
  });
});
