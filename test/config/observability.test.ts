import { describe, expect, test } from "vitest";
import { observabilitySchema } from "../../src/config/observability.ts";

describe("the section observability", () => {
  test("has the documented defaults with nothing in it", () => {
    expect(observabilitySchema.parse({})).toEqual({
      dimensions: [],
      slow_request_ms: 30_000,
      request_log: {
        enabled: true,
        content: false,
        allow_per_request_content_storage_override: false,
        max_content_bytes: 65_536,
        retention_days: 30,
        max_rows: 10_000_000,
      },
      otel: { endpoint: null, headers: {}, service_name: "bifrost", sample_ratio: 1, content: false },
    });
  });

  test.each([
    ["dimensions.0", { dimensions: ["Env"] }],
    ["dimensions", { dimensions: ["cost-center", "cost_center"] }],
    ["slow_request_ms", { slow_request_ms: -1 }],
    ["request_log", { request_log: { unknown: 1 } }],
    ["request_log.content", { request_log: { content: "yes" } }],
    ["request_log.retention_days", { request_log: { retention_days: 0 } }],
    ["request_log.max_rows", { request_log: { max_rows: 0 } }],
    ["request_log.max_content_bytes", { request_log: { max_content_bytes: 1 } }],
    ["otel.endpoint", { otel: { endpoint: "ftp://collector" } }],
    ["otel.headers.a", { otel: { headers: { a: "x\ny" } } }],
    ["otel.sample_ratio", { otel: { sample_ratio: 2 } }],
  ])("names the path of what is wrong: %s", (path, section) => {
    const { error } = observabilitySchema.safeParse(section);
    expect(error?.issues.map((issue) => issue.path.join("."))).toContain(path);
  });
});
