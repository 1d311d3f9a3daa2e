import fc from "fast-check";
import { expect, test } from "vitest";
import type { ContentBlock, ConverseRequest } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import { anthropic } from "../../../src/providers/anthropic/anthropic.ts";
import { converseRequest } from "../../bedrock/arbitraries.ts";
import { asked, targets } from "./requests.ts";
import { serve } from "./server.ts";
import { send } from "./support.ts";

test("whatever may be asked becomes a body that the server takes, and the same one each time", () => {
  fc.assert(
    fc.property(asked, ({ request, target }) => {
      const sent = send(request, target);
      expect(anthropic.encode(request, target).request).toEqual(sent.request);
    }),
    { numRuns: 500 },
  );
});

test("whatever is said is found in the body, or its path among those that are ignored", () => {
  fc.assert(
    fc.property(asked, ({ request, target }) => {
      const { request: sent, ignored, memo } = send(request, target);
      const sentNames = new Map([...memo.toolNames].map(([now, before]) => [before, now]));
      for (const { path, text, name } of saidIn(request)) {
        if (ignored.some((known) => path.startsWith(known))) continue;
        const wanted = text ?? sentNames.get(name ?? "") ?? name ?? "";
        expect(sent.body, path).toContain(JSON.stringify(wanted).slice(1, -1));
      }
      for (const { path, json } of inputsIn(request)) {
        if (!ignored.includes(path)) expect(sent.body, path).toContain(json);
      }
    }),
    { numRuns: 500 },
  );
});

test("counting takes the same requests", () => {
  fc.assert(
    fc.property(asked, ({ request, target }) => {
      const counted = anthropic.countTokens?.encode(request, target).request.body ?? "";
      const { messages } = send(request, target).body;
      expect(JSON.parse(counted)).toMatchObject({ messages });
      expect(JSON.parse(counted)).not.toHaveProperty("max_tokens");
    }),
    { numRuns: 100 },
  );
});

test("any request of Converse is taken by the server, or refused by a path", () => {
  fc.assert(
    fc.property(converseRequest, fc.constantFrom(...targets), (request, target) => {
      const { guardrailConfig: _guardrail, promptVariables: _variables, ...rest } = request;
      const own = Object.keys(request.additionalModelRequestFields ?? {});
      for (const candidate of [request, rest]) {
        try {
          const { body } = anthropic.encode(candidate, target).request;
          serve(body, target.kind === "vertex" ? "vertex" : "direct", own);
        } catch (error) {
          if (!(error instanceof BedrockError)) throw error;
          expect(error.type).toBe("ValidationException");
          expect(error.message).toMatch(/^[a-zA-Z]+(?:[.[].*)?: /);
        }
      }
    }),
    { numRuns: 500 },
  );
});

interface Said {
  readonly path: string;
  readonly text?: string;
  readonly name?: string;
}

function saidIn({ messages, system = [], toolConfig }: ConverseRequest): readonly Said[] {
  const said: Said[] = [];
  for (const [at, block] of system.entries()) {
    if ("text" in block) said.push({ path: `system[${at}].text`, text: block.text });
  }
  for (const [at, tool] of (toolConfig?.tools ?? []).entries()) {
    if ("toolSpec" in tool) said.push({ path: `toolConfig.tools[${at}]`, name: tool.toolSpec.name });
  }
  for (const [at, { content }] of messages.entries()) {
    for (const [place, block] of content.entries()) {
      const path = `messages[${at}].content[${place}]`;
      for (const text of textsOf(block)) said.push({ path: `${path}.${Object.keys(block).join()}`, text });
      if ("toolUse" in block) said.push({ path, name: block.toolUse.name });
    }
  }
  // White space at the end of what the model is to continue goes; blank text is no text.
  return said
    .filter(({ text }) => text === undefined || text.trim() !== "")
    .map(({ text, ...rest }) => (text === undefined ? rest : { ...rest, text: text.trimEnd() }));
}

function textsOf(block: ContentBlock): readonly string[] {
  if ("text" in block) return [block.text];
  if ("guardContent" in block) return "text" in block.guardContent ? [block.guardContent.text.text] : [];
  if ("citationsContent" in block) return (block.citationsContent.content ?? []).map(({ text }) => text);
  if ("searchResult" in block) {
    const { source, title, content } = block.searchResult;
    return [source, title, ...content.map(({ text }) => text)];
  }
  if ("document" in block) {
    const { source } = block.document;
    if ("text" in source) return [source.text];
    return "content" in source ? source.content.map(({ text }) => text) : [];
  }
  if (!("toolResult" in block)) return [];
  return block.toolResult.content.flatMap((part) => ("json" in part ? [JSON.stringify(part.json)] : textsOf(part)));
}

function inputsIn({ messages }: ConverseRequest): readonly { readonly path: string; readonly json: string }[] {
  return messages.flatMap(({ content }, at) =>
    content.flatMap((block, place) =>
      "toolUse" in block
        ? [{ path: `messages[${at}].content[${place}].toolUse`, json: JSON.stringify(block.toolUse.input) }]
        : [],
    ),
  );
}
