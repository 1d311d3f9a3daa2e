import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import type { JsonObject } from "../../../src/bedrock/json.ts";
import { requestOf, user } from "../fixtures.ts";
import { claude, haiku3, onVertex, opus5, refusal, send, sonnet46 } from "./support.ts";

function ask(changes: Omit<Partial<ConverseRequest>, "messages"> = {}) {
  return requestOf([user({ text: "hi" })], changes);
}

function fields(additionalModelRequestFields: JsonObject) {
  return ask({ additionalModelRequestFields });
}

describe("the request", () => {
  test("goes to the Messages API with its version", () => {
    const { request } = send(ask());
    expect(request).toMatchObject({
      method: "POST",
      path: "/v1/messages",
      headers: [
        ["content-type", "application/json"],
        ["anthropic-version", "2023-06-01"],
      ],
    });
  });

  test("says stream only when it is to be streamed", () => {
    expect(send(ask(), claude(undefined, { streaming: true })).body.stream).toBe(true);
    expect(send(ask()).body).not.toHaveProperty("stream");
  });

  test("F54 betas stand in a header, each once", () => {
    const { request, body } = send(
      fields({ anthropic_beta: ["a-2025-01-01", "b", "a-2025-01-01"], anthropic_version: "x" }),
    );
    expect(request.headers).toContainEqual(["anthropic-beta", "a-2025-01-01,b"]);
    expect(body).not.toHaveProperty("anthropic_beta");
    expect(body).not.toHaveProperty("anthropic_version");
  });

  test("a beta that would break the header is refused by its path", () => {
    expect(refusal(() => send(fields({ anthropic_beta: ["a", "b\r\nx-api-key: 1"] })))).toMatch(
      /^additionalModelRequestFields\.anthropic_beta\[1\]: /,
    );
  });

  test("F56 keeps the order of keys, and is the same each time", () => {
    const schema = { type: "object", properties: { z: { type: "string" }, a: { type: "number" } }, required: ["z"] };
    const request = requestOf(
      [
        user({ text: "hi" }),
        {
          role: "assistant",
          content: [{ toolUse: { toolUseId: "t", name: "f", input: { z: 1, a: { y: 1, b: 2 } } } }],
        },
      ],
      { toolConfig: { tools: [{ toolSpec: { name: "f", inputSchema: { json: schema } } }] } },
    );
    const { body } = send(request).request;
    expect(body).toContain(JSON.stringify(schema));
    expect(body).toContain('"input":{"z":1,"a":{"y":1,"b":2}}');
    expect(send(request).request.body).toBe(body);
  });
});

describe("maxTokens", () => {
  test("F49 is the model's longest answer unless the client says otherwise", () => {
    expect(send(ask()).body.max_tokens).toBe(64_000);
    expect(send(ask(), claude(haiku3)).body.max_tokens).toBe(4096);
    expect(send(ask(), claude("alias", { baseModel: haiku3 })).body.max_tokens).toBe(4096);
    expect(send(ask({ inferenceConfig: { maxTokens: 5 } })).body.max_tokens).toBe(5);
  });
});

describe("sampling", () => {
  test("F45 a temperature above 1, which other families know, is 1", () => {
    expect(send(ask({ inferenceConfig: { temperature: 5 } })).body.temperature).toBe(1);
    expect(send(ask({ inferenceConfig: { temperature: 0 } })).body.temperature).toBe(0);
  });

  test("F44 beside a temperature topP is left out, but for older models", () => {
    const both = ask({ inferenceConfig: { temperature: 0.5, topP: 0.9 } });
    const { body, ignored } = send(both);
    expect(body.temperature).toBe(0.5);
    expect(body).not.toHaveProperty("top_p");
    expect(ignored).toEqual(["inferenceConfig.topP"]);
    expect(send(both, claude(haiku3)).body).toMatchObject({ temperature: 0.5, top_p: 0.9 });
    expect(send(ask({ inferenceConfig: { topP: 0.9 } })).body.top_p).toBe(0.9);
  });

  test("F39 the newest models take none of it", () => {
    const { body, ignored } = send(
      ask({ inferenceConfig: { temperature: 0.5, topP: 0.9 }, additionalModelRequestFields: { top_k: 5 } }),
      claude(opus5),
    );
    expect(body).not.toHaveProperty("temperature");
    expect(body).not.toHaveProperty("top_p");
    expect(body).not.toHaveProperty("top_k");
    expect(ignored).toEqual([
      "inferenceConfig.temperature",
      "inferenceConfig.topP",
      "additionalModelRequestFields.top_k",
    ]);
  });

  test("a value of 1 says nothing, and its absence is not worth mentioning", () => {
    expect(send(ask({ inferenceConfig: { temperature: 1, topP: 1 } }), claude(opus5)).ignored).toEqual([]);
  });

  test("beside thinking only a high topP is taken", () => {
    const thinking = { thinking: { type: "enabled", budget_tokens: 2000 }, topK: 5 };
    const { body, ignored } = send(
      ask({ inferenceConfig: { temperature: 0.5, topP: 0.97 }, additionalModelRequestFields: thinking }),
    );
    expect(body.top_p).toBe(0.97);
    expect(ignored).toEqual(["inferenceConfig.temperature", "additionalModelRequestFields.topK"]);
    const low = ask({
      inferenceConfig: { topP: 0.5 },
      additionalModelRequestFields: { thinking: { type: "adaptive" } },
    });
    expect(send(low, claude(sonnet46)).ignored).toEqual(["inferenceConfig.topP"]);
  });

  test.each([{ top_k: 7 }, { topK: 7 }, { k: 7 }, { inferenceConfig: { topK: 7 } }])("top_k from %j", (named) => {
    expect(send(fields(named)).body.top_k).toBe(7);
  });
});

describe("stop sequences", () => {
  test("F48 all of them are sent", () => {
    const stopSequences = Array.from({ length: 20 }, (_, number) => `stop ${number}`);
    expect(send(ask({ inferenceConfig: { stopSequences } })).body.stop_sequences).toEqual(stopSequences);
  });

  test("assumes that blank ones are refused: the gateway cuts the text at those itself (F47)", () => {
    const { body, memo } = send(ask({ inferenceConfig: { stopSequences: ["\n\n", "END"] } }));
    expect(body.stop_sequences).toEqual(["END"]);
    expect(memo.stops).toEqual(["\n\n"]);
    expect(send(ask({ inferenceConfig: { stopSequences: ["\n"] } })).body).not.toHaveProperty("stop_sequences");
  });
});

describe("the service tier", () => {
  test("assumes that priority is auto and default is standard_only", () => {
    expect(send(ask({ serviceTier: { type: "priority" } })).body.service_tier).toBe("auto");
    expect(send(ask({ serviceTier: { type: "default" } })).body.service_tier).toBe("standard_only");
  });

  test.each(["flex", "reserved"] as const)("%s has no equivalent", (type) => {
    const { body, ignored } = send(ask({ serviceTier: { type } }));
    expect(body).not.toHaveProperty("service_tier");
    expect(ignored).toEqual(["serviceTier"]);
  });

  test("the model's own field wins over it", () => {
    const request = ask({
      serviceTier: { type: "priority" },
      additionalModelRequestFields: { service_tier: "standard_only" },
    });
    expect(send(request).body.service_tier).toBe("standard_only");
    expect(send(request).ignored).toEqual(["serviceTier"]);
  });

  test("on Vertex there is no such field", () => {
    expect(send(ask({ serviceTier: { type: "priority" } }), onVertex()).ignored).toEqual(["serviceTier"]);
  });
});

describe("the model's own fields", () => {
  test("are passed as they are", () => {
    const own = { metadata: { user_id: "u" }, context_management: { edits: [{ type: "clear_tool_uses_20250919" }] } };
    const { request, ignored } = send(fields(own), claude(), ["metadata", "context_management"]);
    expect(JSON.parse(request.body)).toMatchObject(own);
    expect(ignored).toEqual([]);
  });

  test("F50 null is no value", () => {
    expect(send(fields({ metadata: null, top_k: null, thinking: null })).request.body).not.toContain("null");
  });

  test.each(["model", "messages", "system", "tools", "max_tokens", "stream", "temperature", "stop_sequences"])(
    "%s is the gateway's to write",
    (name) => {
      expect(refusal(() => send(fields({ [name]: 1 })))).toMatch(`additionalModelRequestFields.${name}: `);
    },
  );
});

describe("what has no place", () => {
  test("is listed", () => {
    const { ignored } = send(ask({ requestMetadata: { a: "b" }, performanceConfig: { latency: "optimized" } }));
    expect(ignored).toEqual(["requestMetadata", "performanceConfig.latency"]);
  });

  test.each([
    [{ guardrailConfig: { guardrailIdentifier: "g" } }, /^guardrailConfig: /],
    [{ promptVariables: { a: { text: "b" } } }, /^promptVariables: /],
    [{ toolConfig: { tools: [{ systemTool: { name: "nova_grounding" } }] } }, /^toolConfig\.tools\[0\]\.systemTool: /],
  ])("%j is refused", (changes, message) => {
    expect(refusal(() => send(ask(changes)))).toMatch(message);
  });
});
