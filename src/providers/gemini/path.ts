/** Where a model's methods are. */
import { refuseField } from "../../bedrock/errors.ts";
import type { Target } from "../dialect.ts";
import { apiPath } from "../table.ts";
import { isVertex } from "./rules.ts";

/**
 * The path of a method, behind the base URL. On Vertex a model is one of Google's (`gemini-3-flash`), a tuned one by its
 * endpoint (`1234567890`, `endpoints/1234567890`), or any by its `publishers/…/models/…`.
 *
 * @param method e.g. `generateContent`
 * @throws BedrockError ValidationException for a model id that is no path
 */
export function methodPath(target: Target, method: string): string {
  if (!isVertex(target)) return apiPath(target.kind, `/${resourceName(target)}:${method}`);
  const { project, region } = target.vertex ?? {};
  const place =
    project === undefined
      ? ""
      : `/projects/${encodeURIComponent(project)}/locations/${encodeURIComponent(region ?? "global")}`;
  return apiPath(target.kind, `${place}/${vertexModel(target.model)}:${method}`);
}

/** `models/NAME`, as the Gemini API calls its models in paths and bodies. */
export function resourceName({ model }: Target): string {
  return segments(/^(?:models|tunedModels)\//.test(model) ? model : `models/${model}`);
}

function vertexModel(model: string): string {
  if (/^\d+$/.test(model)) return `endpoints/${model}`;
  if (/^(?:endpoints|publishers)\//.test(model)) return segments(model);
  return segments(`publishers/google/models/${model.replace(/^models\//, "")}`);
}

function segments(path: string): string {
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    throw refuseField("modelId", "is not a name of a model");
  }
  return parts.map(encodeURIComponent).join("/");
}
