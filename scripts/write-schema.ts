/** Writes config.schema.json, the configuration file's JSON Schema for editors, from the schema that the gateway reads with. */
import { writeFileSync } from "node:fs";
import { jsonSchemaText } from "../src/config/json-schema.ts";

const file = new URL("../config.schema.json", import.meta.url);
writeFileSync(file, jsonSchemaText());
