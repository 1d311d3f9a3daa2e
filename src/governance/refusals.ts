/** Refusals as their clients read them. */
import type { LimitRefusal } from "./ledger.ts";

/** Why a request may not go on. The message says what to do, and is meant for the client. */
export type Refusal =
  | {
      readonly kind: "identity";
      readonly reason: "unknown" | "inactive" | "expired";
      readonly message: string;
    }
  | { readonly kind: "permission"; readonly what: "provider" | "model"; readonly message: string }
  /** The price of the model is unknown, and the virtual key wants none of those. */
  | { readonly kind: "unpriced"; readonly message: string }
  /** A budget has no room: waiting for a moment does not help, unless `isPassing`. */
  | ({ readonly kind: "budget"; readonly message: string } & LimitRefusal)
  /** Requests, tokens or requests at a time. */
  | ({ readonly kind: "rate"; readonly message: string } & LimitRefusal);

export function identityRefusal(reason: "unknown" | "inactive" | "expired"): Refusal {
  const what = {
    unknown: "is not known to this gateway, or no longer valid",
    inactive: "is not active",
    expired: "has expired",
  };
  return { kind: "identity", reason, message: `The virtual key ${what[reason]}.` };
}

export function permissionRefusal(what: "provider" | "model", provider: string, model: string | undefined): Refusal {
  const named = what === "provider" ? `the provider ${provider}` : `the model ${JSON.stringify(model)} of ${provider}`;
  return { kind: "permission", what, message: `This virtual key may not use ${named}.` };
}

export function unpricedRefusal(provider: string, model: string | undefined): Refusal {
  const message = `The price of ${provider}/${model ?? "?"} is unknown, and this virtual key refuses models without a price.`;
  return { kind: "unpriced", message };
}

export function limitRefusal(refused: LimitRefusal): Refusal {
  const { limit } = refused;
  return { kind: limit.kind === "budget" ? "budget" : "rate", message: messageOf(refused), ...refused };
}

function messageOf({ limit, used, spent, max, isPassing, until }: LimitRefusal): string {
  const { holder, kind, duration } = limit;
  if (kind === "concurrency")
    return `There are ${used} requests running of ${max} that ${holder.name} may have at a time.`;
  const resets = `It resets at ${new Date(until).toISOString()}.`;
  const limits = kind === "budget" ? "budget" : `limit of ${kind}`;
  const amounts = kind === "budget" ? `${usd(spent)} of ${usd(max)}` : `${spent} of ${max}`;
  const running = used > spent ? ` and ${kind === "budget" ? usd(used - spent) : used - spent} reserved` : "";
  const advice = isPassing ? "Running requests hold the rest; try again when they have ended." : resets;
  return `The ${limits} of ${holder.name} has no room for this request: ${amounts} used${running} per ${duration}. ${advice}`;
}

function usd(micro: number): string {
  return `$${(micro / 1e6).toFixed(micro % 10_000 === 0 ? 2 : 6)}`;
}
