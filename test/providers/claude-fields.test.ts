import { describe, expect, test } from "vitest";
import { withoutClaudeFields } from "../../src/providers/claude-fields.ts";

describe("Claude's own fields at other providers", () => {
  test("are left out with notice", () => {
    const ignored: string[] = [];
    const own = {
      metadata: { user_id: "u" },
      context_management: { edits: [] },
      mcp_servers: [],
      container: "c",
      inference_geo: "us",
      seed: 7,
    };
    expect(withoutClaudeFields({ own, topK: 3 }, ignored)).toEqual({
      fields: { own: { seed: 7 }, topK: 3 },
      oneCall: undefined,
    });
    expect(ignored).toEqual(
      ["metadata", "context_management", "mcp_servers", "container", "inference_geo"].map(
        (name) => `additionalModelRequestFields.${name}`,
      ),
    );
  });

  test("say whether one call at a time is wanted", () => {
    const read = (tool_choice: object) => withoutClaudeFields({ own: { tool_choice: { ...tool_choice } } }, []);
    expect(read({ type: "any", disable_parallel_tool_use: true })).toEqual({ fields: { own: {} }, oneCall: true });
    expect(read({ type: "auto", disable_parallel_tool_use: false }).oneCall).toBe(false);
    expect(read({ type: "tool", name: "f" }).oneCall).toBe(false);
  });

  test("are told from fields of the same name that are another's", () => {
    const ignored: string[] = [];
    const own = { metadata: { team: "search" }, tool_choice: { type: "function", function: { name: "f" } } };
    expect(withoutClaudeFields({ own }, ignored)).toEqual({ fields: { own }, oneCall: undefined });
    expect(ignored).toEqual([]);
  });
});
