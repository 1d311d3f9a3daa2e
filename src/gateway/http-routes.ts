/** Where each operation is served, as the metrics call it. */
import { operations, pathTemplate } from "../bedrock/operations.ts";
import type { HttpRoute } from "../telemetry/metrics.ts";

/** By the operation's name. */
export function httpRoutes(): ReadonlyMap<string, HttpRoute> {
  return new Map(
    operations.map((operation) => [
      operation.name,
      { path: `/bedrock${pathTemplate(operation)}`, method: operation.method },
    ]),
  );
}
