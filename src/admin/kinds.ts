/** The kinds of entities and what they are called where. */
import type { EntityKind } from "../store/store.ts";

interface KindNames {
  /** Of the path. */
  readonly segment: string;
  /** For people. */
  readonly singular: string;
  /** Of the OpenAPI description. */
  readonly schema: string;
  /** Of ids that are made here. */
  readonly idPrefix: string;
}

export const kinds: { readonly [Kind in EntityKind]: KindNames } = {
  customers: { segment: "customers", singular: "customer", schema: "Customer", idPrefix: "customer" },
  teams: { segment: "teams", singular: "team", schema: "Team", idPrefix: "team" },
  virtual_keys: { segment: "virtual-keys", singular: "virtual key", schema: "VirtualKey", idPrefix: "vk" },
  model_limits: { segment: "model-limits", singular: "model limit", schema: "ModelLimit", idPrefix: "limit" },
  routing_rules: { segment: "routing-rules", singular: "routing rule", schema: "RoutingRule", idPrefix: "rule" },
  pricing_overrides: {
    segment: "pricing-overrides",
    singular: "pricing override",
    schema: "PricingOverride",
    idPrefix: "price",
  },
};

export type LimitedKind = "customers" | "teams" | "virtual_keys" | "model_limits";

export function hasLimits(kind: EntityKind): kind is LimitedKind {
  return kind === "customers" || kind === "teams" || kind === "virtual_keys" || kind === "model_limits";
}
