import type { ConverseRequest } from "../bedrock/converse.ts";
import { isJsonObject, type JsonValue } from "../bedrock/json.ts";
import { reasoningFields } from "./reasoning.ts";

/** The paths of everything the client said of the model's reasoning, for a model that has no use for it. */
export function reasoningPaths({ outputConfig, additionalModelRequestFields }: ConverseRequest): readonly string[] {
  const paths: string[] = outputConfig?.effort === undefined ? [] : ["outputConfig.effort"];
  for (const name of reasoningFields) {
    const value = additionalModelRequestFields?.[name];
    if (value == null || (name === "output_config" && !saysEffort(value))) continue;
    paths.push(`additionalModelRequestFields.${name}${name === "output_config" ? ".effort" : ""}`);
  }
  return paths;
}

/** The object's other member is the answer's schema. */
function saysEffort(outputConfig: JsonValue): boolean {
  return isJsonObject(outputConfig) && outputConfig.effort != null;
}
