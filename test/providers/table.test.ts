import { describe, expect, test } from "vitest";
import {
  apiPath,
  authHeader,
  baseUrlFor,
  chatQuirksOf,
  dialectNameFor,
  isProviderKind,
  providerKinds,
  providerRow,
} from "../../src/providers/table.ts";

describe("every provider", () => {
  test.each(providerKinds.map((kind) => [kind] as const))("%s has a base URL that is one, or none", (kind) => {
    const row = providerRow(kind);
    expect(row?.apiPrefix).toMatch(/^(?:\/[\w/]+)?$/);
    if (row?.baseUrl === undefined) return;
    expect(URL.canParse(row.baseUrl)).toBe(true);
    expect(row.baseUrl).not.toMatch(/\/$/);
    expect(row.baseUrl.startsWith("https://") || row.keyOptional).toBe(true);
  });
});

describe("the base URL", () => {
  test.each([
    ["openai", null, "https://api.openai.com"],
    ["openai", "https://api.openai.com/v1", "https://api.openai.com"],
    ["openai", "https://api.openai.com/v1/", "https://api.openai.com"],
    ["vllm", "http://127.0.0.1:8000", "http://127.0.0.1:8000"],
    ["vllm", "http://127.0.0.1:8000/proxy/v1", "http://127.0.0.1:8000/proxy"],
    ["vllm", null, undefined],
    ["groq", "https://api.groq.com/openai/v1", "https://api.groq.com/openai"],
    ["gemini", "https://generativelanguage.googleapis.com/v1beta", "https://generativelanguage.googleapis.com"],
    ["cohere", "https://api.cohere.com/v2", "https://api.cohere.com"],
    ["azure", "https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com"],
    ["azure", "https://r.openai.azure.com/openai", "https://r.openai.azure.com"],
    ["azure", "https://r.openai.azure.com", "https://r.openai.azure.com"],
    ["perplexity", "https://api.perplexity.ai", "https://api.perplexity.ai"],
  ])("%s, configured %j: %s", (kind, configured, base) => {
    expect(baseUrlFor(kind, configured)).toBe(base);
  });

  test.each([
    ["us-central1", "https://us-central1-aiplatform.googleapis.com"],
    ["global", "https://aiplatform.googleapis.com"],
    ["eu", "https://aiplatform.eu.rep.googleapis.com"],
    ["evil.com/", undefined],
    ["", undefined],
  ])("Vertex in %j", (region, base) => {
    expect(baseUrlFor("vertex", undefined, region)).toBe(base);
  });
});

test("the API's own path begins with the version", () => {
  expect(apiPath("groq", "/chat/completions")).toBe("/v1/chat/completions");
  expect(apiPath("perplexity", "/chat/completions")).toBe("/chat/completions");
  expect(apiPath("cohere", "/chat")).toBe("/v2/chat");
});

test("Claude on Vertex speaks Anthropic's dialect", () => {
  expect(dialectNameFor({ kind: "vertex", model: "claude-sonnet-4-5@20250929" })).toBe("anthropic");
  expect(dialectNameFor({ kind: "vertex", model: "gemini-2.5-pro" })).toBe("gemini");
  expect(dialectNameFor({ kind: "nobody", model: "x" })).toBeUndefined();
});

test("names of objects' own members are no providers", () => {
  for (const name of ["toString", "__proto__", "constructor"]) {
    expect(isProviderKind(name)).toBe(false);
    expect(providerRow(name)).toBeUndefined();
  }
});

test("a key goes where the provider looks for it", () => {
  expect(authHeader("bearer", "k")).toEqual(["authorization", "Bearer k"]);
  expect(authHeader("google-oauth", "t")).toEqual(["authorization", "Bearer t"]);
  expect(authHeader("x-goog-api-key", "k")).toEqual(["x-goog-api-key", "k"]);
});

test("F68 xAI counts reasoning apart, and F36 DeepSeek wants it back on calls", () => {
  expect(chatQuirksOf("xai").reasoningApart).toBe(true);
  expect(chatQuirksOf("deepseek").reasoningOut).toBe("reasoning_content_on_calls");
});
