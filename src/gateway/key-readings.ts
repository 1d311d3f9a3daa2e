/** What the metrics say of each configured key. */
import type { KeyStateName } from "../keys/health.ts";
import type { Reading } from "../telemetry/metrics.ts";
import type { Provider } from "./providers.ts";

const inService: ReadonlySet<KeyStateName> = new Set(["healthy", "degraded"]);

/** One reading a key: 1 while it is in service, 0 while it cools down, is refused, disabled, or its circuit is open. */
export function keyReadings(providers: readonly Provider[], now: number): readonly Reading[] {
  return providers.flatMap((provider) =>
    provider.kind === "mock"
      ? []
      : provider.pool.ring.health(now).map(
          ({ id, name, state }): Reading => ({
            name: "bifrost_provider_key_up",
            help: "Whether a key is in service.",
            labels: { provider: provider.name, key_id: id, key_name: name },
            value: inService.has(state) ? 1 : 0,
            aggregate: "max",
          }),
        ),
  );
}
