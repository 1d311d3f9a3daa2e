import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConverseRequest } from "../../../src/bedrock/converse.ts";
import { BedrockError } from "../../../src/bedrock/errors.ts";
import type { Encoded, Target } from "../../../src/providers/dialect.ts";
import { openai } from "../../../src/providers/openai/openai.ts";
import { providerKinds, providerRow } from "../../../src/providers/table.ts";
import { converseRequest } from "../../bedrock/arbitraries.ts";
import { conversation, expectCarried } from "../conversations.ts";
import { targetOf } from "../fixtures.ts";
import { expectAccepted } from "./server.ts";

const kinds = providerKinds.filter((kind) => providerRow(kind)?.dialect === "openai");
const target: fc.Arbitrary<Target> = fc
  .record({
    kind: fc.constantFrom(...kinds, "custom"),
    model: fc.constantFrom("gpt-4o", "gpt-5", "gpt-5.4", "gpt-5.6", "o3", "qwen3-32b", "grok-4.3", "m"),
    streaming: fc.boolean(),
  })
  .map(targetOf);

/** Undefined when the request was refused by the path of a field. */
function tryEncode(request: ConverseRequest, to: Target): Encoded | undefined {
  try {
    return openai.encode(request, to);
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    expect(error.type).toBe("ValidationException");
    expect(error.message).toMatch(/^[a-zA-Z]+(?:\.\w+|\[[^\]]+\])*: /);
    return undefined;
  }
}

describe("any request", () => {
  test("is refused by a path, or becomes a body the server takes, with all that was said", () => {
    let sent = 0;
    fc.assert(
      fc.property(conversation, target, (request, to) => {
        const encoded = tryEncode(request, to);
        if (encoded === undefined) return;
        sent++;
        expectAccepted(JSON.parse(encoded.request.body), to.kind, ["seed", "random_seed", "unheard_of"]);
        expectCarried(request, encoded);
        expect(openai.encode(request, to)).toEqual(encoded);
        for (const path of encoded.ignored) expect(path).toMatch(/^[a-zA-Z]/);
      }),
      { numRuns: 400 },
    );
    expect(sent).toBeGreaterThan(100);
  });

  test("however hostile, never fails in another way", () => {
    fc.assert(
      fc.property(converseRequest, target, (request, to) => void tryEncode(request, to)),
      { numRuns: 300 },
    );
  });
});
