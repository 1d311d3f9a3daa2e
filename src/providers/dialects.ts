/** The dialects by name. */
import { anthropic } from "./anthropic/anthropic.ts";
import { cohere } from "./cohere/cohere.ts";
import type { Dialect, DialectName } from "./dialect.ts";
import { gemini } from "./gemini/gemini.ts";
import { mistral } from "./mistral/mistral.ts";
import { openai } from "./openai/openai.ts";

export const dialects: Readonly<Record<DialectName, Dialect>> = { openai, anthropic, gemini, mistral, cohere };
