import { describe, expect, test } from "vitest";
import { observabilitySchema } from "../../src/config/observability.ts";
import { otelSettings } from "../../src/telemetry/otel-settings.ts";

function read(otel: object, environment: NodeJS.ProcessEnv = {}) {
  const problems: string[] = [];
  const settings = otelSettings(observabilitySchema.parse({ otel }), environment, (problem) => problems.push(problem));
  return { settings, problems };
}

describe("without an endpoint", () => {
  test("there are no traces", () => {
    expect(read({}).settings).toBeUndefined();
    expect(read({}, { OTEL_EXPORTER_OTLP_ENDPOINT: "", OTEL_SERVICE_NAME: "x" }).settings).toBeUndefined();
  });

  test.each([{ OTEL_SDK_DISABLED: "true" }, { OTEL_TRACES_EXPORTER: "none" }])("or switched off: %j", (off) => {
    expect(read({}, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", ...off }).settings).toBeUndefined();
  });
});

describe("the endpoint", () => {
  test.each([
    ["http://collector:4318", "http://collector:4318/v1/traces"],
    ["http://collector:4318/", "http://collector:4318/v1/traces"],
    ["http://collector:4318/prefix", "http://collector:4318/prefix/v1/traces"],
    ["http://collector:4318/prefix/", "http://collector:4318/prefix/v1/traces"],
  ])("of OTEL_EXPORTER_OTLP_ENDPOINT %s is %s", (OTEL_EXPORTER_OTLP_ENDPOINT, url) => {
    expect(read({}, { OTEL_EXPORTER_OTLP_ENDPOINT }).settings?.url).toBe(url);
  });

  test("of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT stands as it is, before the common one", () => {
    const environment = {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://common:4318",
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://own:4318/x",
    };
    expect(read({}, environment).settings?.url).toBe("http://own:4318/x");
  });

  test("of the configuration wins", () => {
    const environment = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://own:4318/x", OTEL_SDK_DISABLED: "true" };
    expect(read({ endpoint: "https://conf/v1/traces" }, environment).settings?.url).toBe("https://conf/v1/traces");
    expect(read({ endpoint: "https://conf:4318" }).settings?.url).toBe("https://conf:4318/v1/traces");
  });

  test.each(["nonsense", "ftp://c", "//c"])("that is no URL is said, without repeating it: %s", (wrong) => {
    const { settings, problems } = read({}, { OTEL_EXPORTER_OTLP_ENDPOINT: wrong });
    expect(settings).toBeUndefined();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain("OTEL_EXPORTER_OTLP_ENDPOINT");
  });

  test("with gRPC asked for is used with HTTP, and that is said", () => {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
    const { settings, problems } = read({}, environment);
    expect(settings?.url).toBe("http://c:4317/v1/traces");
    expect(problems).toHaveLength(1);
  });
});

describe("headers and resource", () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = "http://c:4318";

  test("come from the environment percent-decoded; the configuration's win", () => {
    const environment = {
      OTEL_EXPORTER_OTLP_ENDPOINT,
      OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Basic%20abc, x-a = 1 ,x-b=2",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-b=3",
    };
    const { settings, problems } = read({ headers: { "X-A": "configured" } }, environment);
    expect(settings?.headers).toEqual({ authorization: "Basic abc", "x-a": "configured", "x-b": "3" });
    expect(problems).toEqual([]);
  });

  test("that cannot be read are left out, and their value is not repeated", () => {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: "secret,=secret,a=%zz,b=1" };
    const { settings, problems } = read({}, environment);
    expect(settings?.headers).toEqual({ b: "1" });
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toMatch(/secret|%zz/);
  });

  test.each([
    [{}, {}, "bifrost"],
    [{}, { OTEL_RESOURCE_ATTRIBUTES: "service.name=res" }, "res"],
    [{}, { OTEL_RESOURCE_ATTRIBUTES: "service.name=res", OTEL_SERVICE_NAME: "named" }, "named"],
    [{ service_name: "conf" }, { OTEL_SERVICE_NAME: "named" }, "conf"],
  ])("name the service: %j %j %s", (otel, environment, name) => {
    const { settings } = read(otel, { OTEL_EXPORTER_OTLP_ENDPOINT, ...environment });
    expect(settings?.resource.get("service.name")).toBe(name);
  });

  test("carry what else the environment says of the process", () => {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=a%2Cb" };
    expect(read({}, environment).settings?.resource.get("deployment.environment.name")).toBe("a,b");
  });
});
