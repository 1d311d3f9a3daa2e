import { z } from "zod";
import { documentedSchema } from "./schema.ts";

/** The configuration file's JSON Schema (draft 2020-12) as it stands in `config.schema.json`. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(documentedSchema, { io: "input", unrepresentable: "any" });
  return `${JSON.stringify({ title: "Bifrost configuration", ...schema }, undefined, 2)}\n`;
}
