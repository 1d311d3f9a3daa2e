/**
 * Where traces go: what the configuration says, and where it says nothing, OpenTelemetry's environment variables.
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
import type { ObservabilityConfig } from "../config/observability.ts";
import { attribute } from "./semconv.ts";

export interface OtelSettings {
  /** With its path. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the process, e.g. `service.name`. */
  readonly resource: ReadonlyMap<string, string>;
  readonly sampleRatio: number;
  readonly content: boolean;
}

const defaultServiceName = "bifrost";
const tracesPath = "v1/traces";

/**
 * @param onProblem told of a variable that cannot be used
 * @returns undefined where no traces are wanted
 */
export function otelSettings(
  { otel }: Pick<ObservabilityConfig, "otel">,
  environment: NodeJS.ProcessEnv,
  onProblem: (message: string) => void,
): OtelSettings | undefined {
  const url = endpointOf(otel.endpoint, environment, onProblem);
  if (url === undefined) return undefined;
  const given = {
    ...pairs("OTEL_EXPORTER_OTLP_HEADERS", environment, onProblem),
    ...pairs("OTEL_EXPORTER_OTLP_TRACES_HEADERS", environment, onProblem),
  };
  const headers: Record<string, string> = {};
  for (const [name, value] of [...Object.entries(given), ...Object.entries(otel.headers)])
    headers[name.toLowerCase()] = value;
  const resource = new Map(Object.entries(pairs("OTEL_RESOURCE_ATTRIBUTES", environment, onProblem)));
  const named = environment.OTEL_SERVICE_NAME ?? resource.get(attribute.serviceName);
  // The configuration has a name always; where it is the default, the environment may know a better one.
  const isDefault = otel.service_name === defaultServiceName;
  resource.set(attribute.serviceName, isDefault && named !== undefined && named !== "" ? named : otel.service_name);
  return { url, headers, resource, sampleRatio: otel.sample_ratio, content: otel.content };
}

function endpointOf(
  configured: string | null,
  environment: NodeJS.ProcessEnv,
  onProblem: (message: string) => void,
): string | undefined {
  if (configured !== null) {
    const url = new URL(configured);
    return url.pathname === "/" ? new URL(tracesPath, url).href : url.href;
  }
  if (environment.OTEL_SDK_DISABLED?.toLowerCase() === "true" || environment.OTEL_TRACES_EXPORTER === "none")
    return undefined;
  const name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  const own = environment[name] ?? "";
  const common = environment.OTEL_EXPORTER_OTLP_ENDPOINT ?? "";
  const given = own === "" ? common : own;
  if (given === "") return undefined;
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) {
    onProblem(`${own === "" ? "OTEL_EXPORTER_OTLP_ENDPOINT" : name} is no http or https URL: no traces are sent.`);
    return undefined;
  }
  const protocol = environment.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? environment.OTEL_EXPORTER_OTLP_PROTOCOL ?? "";
  if (protocol === "grpc") onProblem("Traces are sent over OTLP/HTTP (JSON), not gRPC: its port is usually 4318.");
  return own === "" ? new URL(tracesPath, common.endsWith("/") ? common : `${common}/`).href : own;
}

/** `key=value,key=value`, percent-encoded. */
function pairs(
  name: string,
  environment: NodeJS.ProcessEnv,
  onProblem: (message: string) => void,
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of (environment[name] ?? "").split(",")) {
    if (pair.trim() === "") continue;
    const at = pair.indexOf("=");
    const key = pair.slice(0, at).trim();
    try {
      if (at < 1 || key === "") throw new URIError("no key");
      found[decodeURIComponent(key)] = decodeURIComponent(pair.slice(at + 1).trim());
    } catch {
      // Its value may be a secret: only the variable is named.
      onProblem(`${name} has a part that is not of the form key=value, percent-encoded; it is left out.`);
    }
  }
  return found;
}
