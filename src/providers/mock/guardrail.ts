/** ApplyGuardrail as the mock does it (service model bedrock-runtime 2023-09-30). */
import type { JsonObject } from "../../bedrock/json.ts";
import {
  readAnyObject,
  readList,
  readMember,
  readObject,
  readText,
  readWord,
  refuseMember,
} from "../../bedrock/reading.ts";

const guardrailFields = new Set(["source", "content", "outputScope"]);
const guardTextFields = new Set(["text", "qualifiers"]);

/**
 * A guardrail that has no policies, and so nothing against anything.
 *
 * @throws BedrockError ValidationException naming the field that is wrong
 */
export function applyGuardrail(body: JsonObject): JsonObject {
  const { source, content, outputScope } = readObject(body, "", guardrailFields);
  readWord(source, "source", ["INPUT", "OUTPUT"]);
  if (outputScope != null) readWord(outputScope, "outputScope", ["INTERVENTIONS", "FULL"]);
  const characters = readList(content, "content", countGuarded).reduce((sum, count) => sum + count, 0);
  return {
    usage: {
      topicPolicyUnits: 0,
      contentPolicyUnits: 0,
      wordPolicyUnits: 0,
      sensitiveInformationPolicyUnits: 0,
      sensitiveInformationPolicyFreeUnits: 0,
      contextualGroundingPolicyUnits: 0,
    },
    action: "NONE",
    actionReason: "No action.",
    outputs: [],
    assessments: [],
    guardrailCoverage: { textCharacters: { guarded: characters, total: characters } },
  };
}

function countGuarded(value: unknown, path: string): number {
  const [name, member] = readMember(value, path);
  if (name === "image") {
    readAnyObject(member, `${path}.image`);
    return 0;
  }
  if (name !== "text") throw refuseMember(path, name);
  return readText(readObject(member, `${path}.text`, guardTextFields).text, `${path}.text.text`).length;
}
