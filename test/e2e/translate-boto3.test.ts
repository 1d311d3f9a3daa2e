import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type FakeProviders, providerNames, startFakeProviders } from "../support/fake-providers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { callOf } from "../support/providers/tools.ts";
import { findBoto3, runPython } from "../support/python.ts";

const boto3 = findBoto3();

describe.skipIf(boto3 === undefined)(`boto3 ${boto3} with models of other providers`, () => {
  let fakes: FakeProviders;
  let gateway: RunningGateway;

  beforeAll(async () => {
    fakes = await startFakeProviders();
    gateway = await startGateway({ config: { providers: fakes.config() }, withoutH2: true });
  }, 30_000);
  beforeEach(() => fakes.reset());
  afterEach(() => expect(fakes.violations()).toEqual([]));
  afterAll(async () => {
    await gateway?.stop();
    await fakes?.[Symbol.asyncDispose]();
  }, 30_000);

  test("converses in turns of tools, with image and document, whole and streamed; invokes, embeds and counts", async () => {
    const cities = [{ city: "Łódź" }, { city: "Kraków" }];
    for (const name of providerNames) {
      const turns = [
        { text: "Let me look.", calls: cities.map((input, index) => callOf(name, index, "get_weather", input)) },
        { calls: [callOf(name, 10, "get_weather", { city: "Gdańsk" })] },
        { text: "Rain, żółw." },
      ];
      fakes[name].queue(...turns, ...turns, { text: "Hello from Anthropic Messages." });
    }
    const { result } = await runPython("translate.py", gateway.url);
    const ofEach = <T>(value: (name: string) => T) =>
      Object.fromEntries(providerNames.map((name) => [name, value(name)]));
    const conversation = ofEach((name) => ({
      // Cohere's plan beside its calls is reasoning.
      said: name === "cohere" ? ["Rain, żółw."] : ["Let me look.", "Rain, żółw."],
      stops: ["tool_use", "tool_use", "end_turn"],
      calls: [...cities, { city: "Gdańsk" }].map((input) => ["get_weather", input]),
    }));
    expect(result).toEqual({
      whole: conversation,
      streamed: conversation,
      invoked: ofEach(() => ["Hello from Anthropic Messages.", "message_start", 9]),
      embedded: { openai: [3, 4, 0.5], gemini: [3, 4, 0.5], cohere: [3, 4, 0.5], mistral: [3, 4, 0.5] },
      counted: { ...ofEach(() => expect.any(Number)), anthropic: 42, gemini: 42 },
    });
  });

  test("raises AWS's exceptions for a provider's failures, retries them, and ends what it leaves", async () => {
    const story = { text: "Once upon a time there was a turtle." };
    for (const name of providerNames) {
      const fake = fakes[name];
      for (const status of [401, 429, 500]) fake.when(`fails-with-${status}`, fake.failure(status, "Sorry."));
      const upTo = fake.wire.events(story, "m").length - 3;
      fake.when("cut-off", fake.stream(story, { upTo, ending: "destroy" }));
    }
    let asked = 0;
    fakes.openai.when("busy-twice", () => (++asked <= 2 ? fakes.openai.failure(500, "Busy.") : { text: "At last." }));
    const endless = { text: "x".repeat(40_000) };
    fakes.gemini.when("endless", fakes.gemini.stream(endless, { pauseMs: 5, ending: "hang" }));

    const { result } = await runPython("translate_failures.py", gateway.url);
    const left = Date.now();
    const ofEach = <T>(value: T) => Object.fromEntries(providerNames.map((name) => [name, value]));
    expect(result).toEqual({
      refused: ofEach([
        [429, "ThrottlingException", 429],
        [500, "ServiceUnavailableException", 503],
        [401, "ServiceUnavailableException", 503],
      ]),
      cut: ofEach([true, "modelStreamErrorException"]),
      unknown: expect.stringContaining("messages[0].content[0].video"),
      retries: 2,
    });
    const request = await fakes.gemini.seen("endless");
    await expect.poll(() => request.closedAt, { timeout: 2000 }).toBeDefined();
    expect((request.closedAt ?? 0) - left).toBeLessThan(1000);
  });
});
