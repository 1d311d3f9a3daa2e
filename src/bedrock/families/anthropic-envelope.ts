/** The members of Anthropic's bodies that say how to read the rest. */
import { refuseField } from "../errors.ts";
import { type Fields, readName } from "../reading.ts";

/**
 * Checks `anthropic_version`, which may be any text, and refuses `model` and `stream`: Bedrock calls both extraneous,
 * and passed on they would change the model or the operation behind the gateway.
 */
export function readEnvelope(fields: Fields): void {
  if (fields.anthropic_version != null) readName(fields.anthropic_version, "anthropic_version");
  if (fields.model != null) throw refuseField("model", "stands in the path, not in the body");
  if (fields.stream != null) throw refuseField("stream", "is not a field here; call InvokeModelWithResponseStream");
}
