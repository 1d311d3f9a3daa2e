/** What all requests to these servers have in common. */
import type { ChatQuirks } from "../chat-quirks.ts";
import type { ProviderRequest, Target } from "../dialect.ts";
import { apiPath } from "../table.ts";

/**
 * The path of a call below the base URL. On Azure a dated API version stands for the older surface, where the deployment
 * is a part of the path.
 *
 * @param call with a leading slash, e.g. `/chat/completions`
 */
function pathFor(target: Target, quirks: ChatQuirks, call: string): string {
  if (!quirks.deployments) return apiPath(target.kind, call);
  const version = target.azure?.apiVersion ?? "";
  const query = version === "" ? "" : `?api-version=${encodeURIComponent(version)}`;
  const place = /^\d{4}-/.test(version) ? `/deployments/${encodeURIComponent(target.model)}` : "/v1";
  return apiPath(target.kind, `${place}${call}${query}`);
}

/** A call of the API with a JSON body. */
export function post(target: Target, quirks: ChatQuirks, call: string, body: object): ProviderRequest {
  return {
    method: "POST",
    path: pathFor(target, quirks, call),
    headers: [
      ["content-type", "application/json"],
      ["accept", target.streaming ? "text/event-stream" : "application/json"],
    ],
    body: JSON.stringify(body),
  };
}

/** Whose reasoning signatures these are: each server is a family of its own. */
export function familyOf(target: Target): string {
  return target.kind;
}
