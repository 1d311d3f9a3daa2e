import { describe, expect, test } from "vitest";
import type { ContentBlock, ConverseRequest } from "../../../src/bedrock/converse.ts";
import { wrapSignature } from "../../../src/providers/provenance.ts";
import { assistant, call, requestOf, result, user } from "../fixtures.ts";
import { claude, send } from "./support.ts";

const point = { cachePoint: { type: "default" } } as const;
const hour = { cachePoint: { type: "default", ttl: "1h" } } as const;
const ephemeral = { type: "ephemeral" };

function contentOf(content: readonly ContentBlock[]) {
  const { body, ignored } = send(requestOf([user(...content)]));
  return { content: body.messages[0]?.content, ignored };
}

describe("F55 a cache point", () => {
  test("marks the block before it: in tools, system and messages", () => {
    const { body } = send(
      requestOf([user({ text: "a" }, point, { text: "b" }), assistant(call("c"), point), user(result("c"), hour)], {
        system: [{ text: "s" }, hour],
        toolConfig: { tools: [{ toolSpec: { name: "weather", inputSchema: { json: schema } } }, point] },
      }),
    );
    expect(body.tools).toEqual([{ name: "weather", input_schema: schema, cache_control: ephemeral }]);
    expect(body.system).toEqual([{ type: "text", text: "s", cache_control: { type: "ephemeral", ttl: "1h" } }]);
    // One more than the API takes: the first of the messages' gives way.
    expect(body.messages[0]?.content).toEqual([
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ]);
    expect(body.messages[1]?.content).toMatchObject([{ type: "tool_use", cache_control: ephemeral }]);
    expect(body.messages[2]?.content).toMatchObject([{ cache_control: { type: "ephemeral", ttl: "1h" } }]);
  });

  const schema = { type: "object" };

  test("at the beginning, or behind nothing but blanks, is listed", () => {
    expect(contentOf([point, { text: "a" }])).toEqual({
      content: [{ type: "text", text: "a" }],
      ignored: ["messages[0].content[0].cachePoint"],
    });
    expect(contentOf([{ text: " " }, point, { text: "a" }]).ignored).toEqual(["messages[0].content[1].cachePoint"]);
  });

  test("replaces another one on the same block", () => {
    expect(contentOf([{ text: "a" }, point, hour])).toEqual({
      content: [{ type: "text", text: "a", cache_control: { type: "ephemeral", ttl: "1h" } }],
      ignored: ["messages[0].content[1].cachePoint"],
    });
  });

  test("behind thinking, which cannot be marked, marks what stands before", () => {
    const signature = wrapSignature("anthropic", claude(), "x");
    const reasoning = { reasoningContent: { reasoningText: { text: "t", signature } } };
    const { body } = send(
      requestOf([user({ text: "a" }), assistant({ text: "b" }, reasoning, point, call("c")), user(result("c"))]),
    );
    expect(body.messages[1]?.content).toMatchObject([
      { type: "text", cache_control: ephemeral },
      { type: "thinking" },
      { type: "tool_use" },
    ]);
    expect(body.messages[1]?.content[1]).not.toHaveProperty("cache_control");
    const alone = send(requestOf([user({ text: "a" }), assistant(reasoning, point, call("c")), user(result("c"))]));
    expect(alone.ignored).toEqual(["messages[1].content[1].cachePoint"]);
  });

  test("behind a blank text whose thinking was not kept is listed", () => {
    const foreign = { reasoningContent: { reasoningText: { text: "t", signature: "foreign" } } };
    const { body, ignored } = send(
      requestOf([user({ text: "a" }), assistant(foreign, { text: " " }, point), user({ text: "b" })]),
    );
    expect(body.messages).toHaveLength(1);
    expect(ignored).toEqual(["messages[1].content[0].reasoningContent", "messages[1].content[2].cachePoint"]);
  });
});

describe("F55 of more than four cache points", () => {
  function withPoints(inSystem: number, inMessages: number, own = {}): ConverseRequest {
    const blocks = (count: number) => Array.from({ length: count }, (_, at) => [{ text: `t${at}` }, point]).flat();
    return requestOf([user(...blocks(inMessages), { text: "end" })], {
      system: blocks(inSystem),
      additionalModelRequestFields: own,
    });
  }

  test("the earliest of the messages are listed", () => {
    const { ignored, body } = send(withPoints(1, 5));
    expect(ignored).toEqual(["messages[0].content[1].cachePoint", "messages[0].content[3].cachePoint"]);
    expect(body.messages[0]?.content.filter((block) => "cache_control" in block)).toHaveLength(3);
  });

  test("then the earliest of the system", () => {
    const { ignored } = send(withPoints(5, 1));
    expect(ignored).toEqual(["messages[0].content[1].cachePoint", "system[1].cachePoint"]);
  });

  test("the client's own cache_control is one of them", () => {
    const { ignored } = send(withPoints(0, 4, { cache_control: ephemeral }), claude(), ["cache_control"]);
    expect(ignored).toEqual(["messages[0].content[1].cachePoint"]);
  });
});
