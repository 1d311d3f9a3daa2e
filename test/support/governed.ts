/** A gateway whose clients have virtual keys, in front of a fake Bedrock that costs a dollar for a thousand tokens. */
import type { FakeBedrock } from "./fake-bedrock.ts";
import { type RunningGateway, relayConfig } from "./gateway.ts";
import { send } from "./raw-http.ts";

/** What the fake's answers cost by {@link thousandth}: 12 tokens in, 6 out. USD. */
export const answerUsd = 0.018;

/** A tenth of a cent for each token of any model. */
export const thousandth = {
  model: "*",
  match_type: "wildcard",
  input_cost_per_token: 0.001,
  output_cost_per_token: 0.001,
};

/** @param governance the section; everything costs {@link thousandth} */
export function governedConfig(
  fake: Pick<FakeBedrock, "url">,
  governance: object,
  changes: { readonly client?: object; readonly network?: object; readonly more?: object } = {},
): object {
  const more = { governance: { pricing_overrides: [thousandth], ...governance }, ...changes.more };
  return relayConfig(fake.url, { ...changes, more });
}

/** One limit as the quota page tells of it. */
export interface Quota {
  readonly holder: string;
  readonly kind: string;
  readonly max_limit: number;
  readonly current_usage: number;
  readonly reserved: number;
  readonly remaining: number;
}

/** What is left of a virtual key's limits. */
export async function quotaOf({ url }: Pick<RunningGateway, "url">, value: string): Promise<readonly Quota[]> {
  const { status, body } = await send(url, "/api/governance/virtual-keys/quota", {
    method: "GET",
    headers: { "x-bf-vk": value },
  });
  if (status !== 200) throw new Error(`the quota page answers ${status}: ${body.toString()}`);
  return (JSON.parse(body.toString()) as { readonly limits: readonly Quota[] }).limits;
}
