/** Calls as each provider names them. */
import type { ProviderName } from "../fake-providers.ts";
import type { Call } from "./said.ts";

const ids: Readonly<Record<ProviderName, (number: number) => string>> = {
  openai: (number) => `call_9pw1qnYScqvGrCH58HWCvFH${number}`,
  anthropic: (number) => `toolu_01A09q90qw90lq91781286${number}`,
  // Gemini's calls have none.
  gemini: () => "",
  cohere: (number) => `get_weather_8f3k2n4x${number}`,
  mistral: (number) => `D681PevK${number}`,
};

/** The n-th call of a conversation; Gemini signs the first of a step. */
export function callOf(provider: ProviderName, number: number, name: string, input: Call["input"]): Call {
  const signed = provider === "gemini" && number % 10 === 0;
  return { id: ids[provider](number), name, input, ...(signed && { signature: `c2lnbmVk${number}==` }) };
}
