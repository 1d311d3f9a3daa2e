/** The configuration as it may be shown: only what is known to be no secret. */

/** Text under any other name is hidden, so that a new field is hidden until somebody has thought about it. */
const shown = new Set([
  "aliases",
  "allow",
  "allowed_models",
  "allowed_origins",
  "api_version",
  "base_url",
  "blacklisted_models",
  "cel_expression",
  "customer_id",
  "deny",
  "description",
  "dimensions",
  "embedding_model",
  "endpoint",
  "endpoints",
  "expires_at",
  "fallbacks",
  "id",
  "key_id",
  "key_ids",
  "kind",
  "load_balancing",
  "match_type",
  "model",
  "model_name",
  "model_path",
  "models",
  "name",
  "on_failure",
  "profile",
  "project_id",
  "provider",
  "region",
  "request_reset_duration",
  "reset_duration",
  "role_arn",
  "scope",
  "scope_id",
  "service_name",
  "session_name",
  "team_id",
  "token_reset_duration",
  "ttl",
  "type",
  "unpriced_models",
  "valid_until",
]);

/** Objects whose members' names are the operator's own: their values go by the name of the object. */
const records = new Set(["aliases", "endpoints", "extra_headers", "headers", "required_headers", "input"]);

const hidden = "****";

/**
 * A copy without secrets. Numbers, switches, `null` and the names of fields are shown.
 *
 * @param name of the field whose value it is
 */
export function mask(value: unknown, name = ""): unknown {
  if (typeof value === "string") return value === "" || shown.has(name) ? value : hidden;
  if (Array.isArray(value)) return value.map((item) => mask(item, name));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, member]): [string, unknown] => [
    key,
    mask(member, records.has(name) ? name : key),
  ]);
  return Object.fromEntries(entries);
}
