/** The mock in the shapes of Bedrock's catalogue of models (service model bedrock 2023-04-20). */
import type { JsonObject } from "../../bedrock/json.ts";

const region = "us-east-1";
const maxNameLength = 20;

/** The moment of every date the mock gives. */
const since = "2024-01-01T00:00:00Z";

/** The answer of ListFoundationModels: one model, unless the query's filters leave it out. */
export function listModels(query: URLSearchParams): JsonObject {
  const provider = query.get("byProvider");
  const modality = query.get("byOutputModality");
  const inference = query.get("byInferenceType");
  const listed =
    (provider === null || provider.toLowerCase() === providerName.toLowerCase()) &&
    (modality === null || outputModalities.includes(modality)) &&
    (inference === null || inference === "ON_DEMAND") &&
    !query.has("byCustomizationType");
  return { modelSummaries: listed ? [describeModel("mock")] : [] };
}

/** The answer of GetFoundationModel: the mock serves every model. */
export function getModel(identifier: string): JsonObject {
  return { modelDetails: describeModel(bareId(identifier)) };
}

/** The answer of ListInferenceProfiles. */
export function listProfiles(): JsonObject {
  return { inferenceProfileSummaries: [] };
}

/** The answer of GetInferenceProfile: every id is a profile of one model. */
export function getProfile(identifier: string): JsonObject {
  const id = bareId(identifier);
  return {
    inferenceProfileName: id,
    createdAt: since,
    updatedAt: since,
    inferenceProfileArn: `arn:aws:bedrock:${region}:000000000000:inference-profile/${id}`,
    models: [{ modelArn: modelArn(id.replace(/^(?:us|us-gov|eu|apac|jp|au|ca|global)\./, "")) }],
    inferenceProfileId: id,
    status: "ACTIVE",
    type: "SYSTEM_DEFINED",
  };
}

const providerName = "Mock";
const outputModalities = ["TEXT", "EMBEDDING"];

function describeModel(id: string): JsonObject {
  return {
    modelArn: modelArn(id),
    modelId: id,
    modelName: id.slice(0, maxNameLength),
    providerName,
    inputModalities: ["TEXT", "IMAGE"],
    outputModalities,
    responseStreamingSupported: true,
    customizationsSupported: [],
    inferenceTypesSupported: ["ON_DEMAND"],
    modelLifecycle: { status: "ACTIVE", startOfLifeTime: since },
  };
}

function modelArn(id: string): string {
  return `arn:aws:bedrock:${region}::foundation-model/${id}`;
}

/** The id at the end of an ARN, or the id itself. */
function bareId(identifier: string): string {
  return identifier.startsWith("arn:") ? identifier.slice(identifier.lastIndexOf("/") + 1) : identifier;
}
