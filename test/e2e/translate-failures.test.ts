import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  type ConverseStreamOutput,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dummy, protocols, runtimeClient } from "../support/clients.ts";
import {
  type FakeProviders,
  keyOf,
  type ProviderName,
  providerNames,
  startFakeProviders,
} from "../support/fake-providers.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { type RawAnswer, send, userTurn } from "../support/raw-http.ts";
import { modelIdOf } from "../support/translated.ts";
import { collect, rejection, sleep } from "../support/wait.ts";

const second = "canary-second-key-NeverInLogs0123456789";

let fakes: FakeProviders;
let gateway: RunningGateway;
/** Retries, two keys, and little patience. */
let patient: RunningGateway;

beforeAll(async () => {
  fakes = await startFakeProviders({ moreKeys: [second] });
  const impatience = { stream_idle_timeout_in_seconds: 1, default_request_timeout_in_seconds: 1 };
  const retries = { max_retries: 2, retry_backoff_initial: 5, retry_backoff_max: 10, ...impatience };
  const keys = (name: ProviderName) => [
    { name: "one", value: keyOf(name) },
    { name: "two", value: second, weight: 0 },
  ];
  const env = { BIFROST_LOG_LEVEL: "trace" };
  [gateway, patient] = await Promise.all([
    startGateway({ config: { providers: fakes.config() }, env }),
    startGateway({ config: { providers: fakes.config({ network: retries, keys }) }, env }),
  ]);
}, 60_000);
beforeEach(() => fakes.reset());
afterEach(() => expect(fakes.violations()).toEqual([]));
afterAll(async () => {
  await Promise.all([gateway?.stop(), patient?.stop()]);
  await fakes?.[Symbol.asyncDispose]();
}, 30_000);

const post = (name: ProviderName, action = "converse", to = gateway, model = modelIdOf(name)): Promise<RawAnswer> =>
  send(to.url, `/bedrock/model/${encodeURIComponent(model)}/${action}`, { body: userTurn("hi") });

function errorOf({ status, headers, body }: RawAnswer): [status: number, type: string, message: string] {
  return [status, String(headers["x-amzn-errortype"]), String(JSON.parse(body.toString()).message)];
}

/** What a stream gave before it failed, and how. */
async function untilFailure(stream: AsyncIterable<ConverseStreamOutput> | undefined) {
  const events: ConverseStreamOutput[] = [];
  const error = await rejection(
    (async () => {
      for await (const event of stream ?? []) events.push(event);
    })(),
  );
  return { events, error };
}

const messages = [{ role: "user" as const, content: [{ text: "hi" }] }];
const story = { text: "Once upon a time there was a turtle." };

describe.each(protocols)("A16 a stream that is cut off, over %s", (protocol) => {
  test.each(providerNames)("by %s ends with modelStreamErrorException", async (name) => {
    const client = runtimeClient(gateway, protocol);
    for (const ending of ["end", "destroy"] as const) {
      const upTo = fakes[name].wire.events(story, "m").length - 3;
      fakes[name].queue(fakes[name].stream(story, { upTo, ending }));
      const { stream } = await client.send(new ConverseStreamCommand({ modelId: modelIdOf(name), messages }));
      const { events, error } = await untilFailure(stream);
      expect(error).toMatchObject({ name: "ModelStreamErrorException" });
      expect(events.some((event) => event.contentBlockDelta?.delta?.text !== undefined)).toBe(true);
      expect(events.some((event) => event.messageStop !== undefined || event.metadata !== undefined)).toBe(false);
    }
    client.destroy();
    expect(await gateway.metric("bifrost_requests_total", { outcome: "error" })).toBeGreaterThan(0);
  });
});

describe("a stream that fails in the middle", () => {
  test.each(["openai", "anthropic", "gemini", "mistral"] as const)(
    "by %s's word ends with an exception of its kind",
    async (name) => {
      const word = {
        openai: "rate_limit_exceeded",
        anthropic: "overloaded_error",
        gemini: "UNAVAILABLE",
        mistral: "rate_limit_error",
      };
      const client = runtimeClient(gateway, "h2");
      const tail = fakes[name].wire.errorEvent("Too busy to go on.", word[name]);
      fakes[name].queue(fakes[name].stream(story, { upTo: 5, tail, ending: "hang" }));
      const { stream } = await client.send(new ConverseStreamCommand({ modelId: modelIdOf(name), messages }));
      const { error } = await untilFailure(stream);
      client.destroy();
      const throttled = name === "openai" || name === "mistral";
      expect(error).toMatchObject({ name: throttled ? "ThrottlingException" : "ServiceUnavailableException" });
      expect(String(error)).toContain("Too busy to go on.");
      // The upstream would hang: its call has been ended.
      await expect.poll(() => fakes[name].requests[0]?.closedAt, { timeout: 2000 }).toBeDefined();
    },
  );

  test("by Cohere's reason to finish as well", async () => {
    const tail = fakes.cohere.wire.errorEvent("It broke.", "");
    fakes.cohere.queue(fakes.cohere.stream(story, { upTo: 5, tail }));
    const answer = await post("cohere", "converse-stream");
    expect(answer.body.toString("latin1")).toMatch(/modelStreamErrorException.*It broke\./s);
  });

  test.each(providerNames)("through garbage in %s's stream ends with modelStreamErrorException", async (name) => {
    fakes[name].queue(fakes[name].stream(story, { upTo: 5, tail: "data: {not json\n\n", ending: "hang" }));
    const answer = await post(name, "converse-stream");
    expect(answer.status).toBe(200);
    expect(answer.body.toString("latin1")).toContain("modelStreamErrorException");
  });

  test("is not asked again, of nobody", async () => {
    for (const name of providerNames) {
      fakes[name].queue(fakes[name].stream(story, { upTo: 5, ending: "destroy" }));
      await post(name, "converse-stream", patient);
      expect(fakes[name].requests).toHaveLength(1);
    }
  });
});

describe("a stream that fails before it begins", () => {
  test.each(providerNames)("at %s is an HTTP error", async (name) => {
    fakes[name].queue(fakes[name].failure(400, "The temperature is not to our liking."));
    expect(errorOf(await post(name, "converse-stream"))).toEqual([
      400,
      "ValidationException",
      expect.stringContaining("The temperature is not to our liking."),
    ]);
    fakes[name].queue(fakes[name].stream(story, { upTo: 0 }));
    const [status, type] = errorOf(await post(name, "converse-stream"));
    expect([status, type]).toEqual([424, "ModelStreamErrorException"]);
    fakes[name].queue(fakes[name].stream(story, { upTo: 0, ending: "destroy" }));
    expect(errorOf(await post(name, "converse-stream")).slice(0, 2)).toEqual([503, "ServiceUnavailableException"]);
  });

  test.each(["openai", "anthropic", "gemini", "mistral"] as const)(
    "inside %s's 200 is an HTTP error too",
    async (name) => {
      const word = {
        openai: "rate_limit_exceeded",
        anthropic: "rate_limit_error",
        gemini: "RESOURCE_EXHAUSTED",
        mistral: "rate_limit_error",
      };
      const event = fakes[name].wire.errorEvent("Slow down.", word[name]);
      for (const ending of ["end", "hang"] as const) {
        // Google's event has a status of its own, which counts more than the word.
        const tail = event.replace('"code":503', '"code":429');
        fakes[name].queue(fakes[name].stream(story, { upTo: 0, tail, ending }));
        expect(errorOf(await post(name, "converse-stream"))).toEqual([429, "ThrottlingException", "Slow down."]);
      }
    },
  );
});

describe("an answer of status 200 that is none", () => {
  test.each(providerNames)("of %s is an HTTP error", async (name) => {
    const answer = (text: string, type = "application/json") => ({
      kind: "unary" as const,
      status: 200,
      headers: { "content-type": type },
      body: Buffer.from(text),
    });
    const error = JSON.stringify(
      fakes[name].wire.refusal(429, "Too many.", name === "openai" ? "rate_limit_exceeded" : undefined),
    );
    for (const text of ["", "{", "[]", "{}", "null", '"text"', "<html>Sorry</html>", error]) {
      fakes[name].queue(answer(text), answer(text));
      for (const action of ["converse", "converse-stream"]) {
        const { status, headers, body } = await post(name, action);
        expect([text, action, status >= 400 && status < 600]).toEqual([text, action, true]);
        expect(headers["x-amzn-errortype"]).toBeDefined();
        expect(body.toString()).not.toContain("undefined");
      }
    }
    fakes[name].queue(answer("<html>Sorry</html>", "text/html"));
    expect(errorOf(await post(name)).slice(0, 2)).toEqual([424, "ModelErrorException"]);
  });
});

describe("a provider's refusals in AWS's terms", () => {
  const cases: readonly (readonly [status: number, expectedStatus: number, type: string])[] = [
    [400, 400, "ValidationException"],
    [401, 503, "ServiceUnavailableException"],
    [403, 403, "AccessDeniedException"],
    [404, 404, "ResourceNotFoundException"],
    [422, 400, "ValidationException"],
    [429, 429, "ThrottlingException"],
    [500, 503, "ServiceUnavailableException"],
    [503, 503, "ServiceUnavailableException"],
    [529, 503, "ServiceUnavailableException"],
    [418, 424, "ModelErrorException"],
  ];

  test("reach the SDK as its own exceptions, and a waiting time with them", async () => {
    const client = runtimeClient(gateway, "http/1.1");
    for (const name of providerNames) {
      const model = `${name}/busy`;
      fakes[name].when("busy", fakes[name].failure(429, "Slow down.", { headers: { "retry-after": "7" } }));
      const error = await rejection(client.send(new ConverseCommand({ modelId: model, messages })));
      expect(error).toMatchObject({ name: "ThrottlingException", $metadata: { httpStatusCode: 429 } });
    }
    client.destroy();
    const cooling = await post("openai", "converse", gateway, "openai/busy");
    expect(cooling.status).toBe(429);
    const wait = Number(cooling.headers["retry-after"]);
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(7);
  });

  test.each(cases)("status %i becomes %i %s", async (status, expectedStatus, type) => {
    for (const name of providerNames) {
      const model = `${name}/of-status-${status}`;
      fakes[name].when(`of-status-${status}`, fakes[name].failure(status, `It was a ${status}.`));
      for (const action of ["converse", "converse-stream"]) {
        const [gotStatus, gotType, message] = errorOf(await post(name, action, gateway, model));
        expect([name, action, gotStatus, gotType]).toEqual([name, action, expectedStatus, type]);
        // Of a refused key the client learns only that it was not its own.
        if (status !== 401) expect(message).toContain(`It was a ${status}.`);
        else expect(message).not.toContain("It was a 401.");
      }
    }
  });

  test("are repeated by the SDK until the provider answers", async () => {
    const client = new BedrockRuntimeClient({
      region: "us-west-2",
      endpoint: `${gateway.url}/bedrock`,
      credentials: dummy,
      maxAttempts: 3,
      requestHandler: new NodeHttpHandler(),
    });
    for (const name of providerNames) {
      const broken = fakes[name].failure(500, "Internal error.");
      fakes[name].queue(broken, broken);
      const answer = await client.send(new ConverseCommand({ modelId: modelIdOf(name), messages }));
      expect(answer.$metadata.attempts).toBe(3);
      expect(fakes[name].requests).toHaveLength(3);
    }
    client.destroy();
  });

  test.each(providerNames)("content that %s's policy forbids is an answer, as on Bedrock", async (name) => {
    fakes[name].queue({ text: "I would", stop: "filtered" }, { text: "I would", stop: "filtered" });
    const whole = await post(name);
    expect(JSON.parse(whole.body.toString())).toMatchObject({ stopReason: "content_filtered" });
    const streamed = await post(name, "converse-stream");
    expect(streamed.body.toString("latin1")).toContain('"stopReason":"content_filtered"');
  });

  test("a prompt that Azure's filter forbids is an empty answer", async () => {
    const filtered = fakes.openai.failure(400, "The prompt was filtered.", { word: "content_filter" });
    fakes.openai.queue(filtered, filtered);
    const whole = await post("openai");
    expect(whole.status).toBe(200);
    expect(JSON.parse(whole.body.toString())).toMatchObject({
      output: { message: { content: [] } },
      stopReason: "content_filtered",
    });
    const streamed = await post("openai", "converse-stream");
    expect(streamed.body.toString("latin1")).toMatch(/messageStart.*content_filtered.*metadata/s);
  });
});

describe("with repetitions and a second key", () => {
  test.each(providerNames)("%s is asked again after a 500, with the same key", async (name) => {
    fakes[name].queue(fakes[name].failure(500, "Internal error."), { text: "Here." });
    const answer = await post(name, "converse-stream", patient);
    expect(answer.status).toBe(200);
    expect(answer.headers["x-bifrost-attempts"]).toBe("2");
    expect(new Set(fakes[name].requests.map((request) => request.key))).toEqual(new Set([keyOf(name)]));
  });

  test.each(providerNames)("%s is asked with the other key after a 429, also one inside a 200", async (name) => {
    const model = `${name}/with-429`;
    const word = {
      openai: "rate_limit_exceeded",
      anthropic: "rate_limit_error",
      gemini: "RESOURCE_EXHAUSTED",
      cohere: "",
      mistral: "rate_limit_error",
    };
    const inside = fakes[name].wire.errorEvent("Slow down.", word[name]).replace('"code":503', '"code":429');
    const throttled = fakes[name].stream(story, { upTo: 0, tail: inside });
    const plain = fakes[name].failure(429, "Slow down.");
    const first = name === "cohere" ? plain : throttled;
    fakes[name].when("with-429", ({ key }) => (key === keyOf(name) ? first : { text: "Here." }));
    const answer = await post(name, "converse-stream", patient, model);
    expect(answer.status).toBe(200);
    expect(answer.body.toString("latin1")).toContain("Here");
    expect(answer.headers["x-bifrost-attempts"]).toBe("2");
  });

  test.each(providerNames)("a 400 of %s is not repeated", async (name) => {
    fakes[name].queue(fakes[name].failure(400, "No."), { text: "not asked" });
    expect((await post(name, "converse", patient)).status).toBe(400);
    expect(fakes[name].requests).toHaveLength(1);
  });

  // Last: a refused key is not asked again.
  test.each(providerNames)("%s is asked with the other key after a 401", async (name) => {
    const model = `${name}/with-401`;
    fakes[name].when("with-401", ({ key }) =>
      key === second ? { text: "Here." } : fakes[name].failure(401, "Bad key."),
    );
    const answer = await post(name, "converse", patient, model);
    expect(answer.status).toBe(200);
    expect(answer.headers["x-bifrost-key"]).toBe("two");
    expect(answer.headers["x-bifrost-attempts"]).toBe("2");
  });
});

describe("time", () => {
  test("an answer that does not begin is a ModelTimeoutException", async () => {
    fakes.openai.queue({ kind: "unary", status: 200, headers: {}, body: Buffer.alloc(0), delayMs: 5000 });
    expect(errorOf(await post("openai", "converse", patient)).slice(0, 2)).toEqual([408, "ModelTimeoutException"]);
    await expect.poll(() => fakes.openai.requests[0]?.closedAt, { timeout: 1000 }).toBeDefined();
  });

  test("a stream that falls silent ends with an exception", async () => {
    fakes.gemini.queue(fakes.gemini.stream(story, { upTo: 3, ending: "hang" }));
    const client = runtimeClient(patient, "h2");
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: modelIdOf("gemini"), messages }));
    const { error, events } = await untilFailure(stream);
    client.destroy();
    expect(events.length).toBeGreaterThan(1);
    expect(error).toMatchObject({ name: expect.stringMatching(/ModelStreamErrorException|ModelTimeoutException/) });
  });

  test("the client's own deadline ends the call upstream", async () => {
    fakes.anthropic.queue(fakes.anthropic.stream(story, { pauseMs: 100 }));
    const path = `/bedrock/model/${encodeURIComponent(modelIdOf("anthropic"))}/converse-stream`;
    const answer = await send(gateway.url, path, { body: userTurn("hi"), headers: { "x-bf-timeout-ms": "350" } });
    const endedAt = Date.now();
    expect(answer.body.toString("latin1")).toContain("modelStreamErrorException");
    await expect.poll(() => fakes.anthropic.requests[0]?.closedAt, { timeout: 1000 }).toBeDefined();
    expect((fakes.anthropic.requests[0]?.closedAt ?? 0) - endedAt).toBeLessThan(1000);
  });

  test("each event reaches the client before the next one leaves the provider", async () => {
    const left: number[] = [];
    const events = fakes.openai.wire.events({ text: "abcdefghijkl" }, "m").map((event) => Buffer.from(event));
    async function* spaced() {
      for (const event of events) {
        yield 100;
        left.push(Date.now());
        yield event;
      }
    }
    fakes.openai.queue({
      kind: "stream",
      headers: { "content-type": "text/event-stream" },
      parts: spaced(),
      ending: "end",
    });
    const client = runtimeClient(gateway, "h2");
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: modelIdOf("openai"), messages }));
    const arrived: number[] = [];
    for await (const event of stream ?? []) if (event.contentBlockDelta !== undefined) arrived.push(Date.now());
    client.destroy();
    expect(arrived).toHaveLength(3);
    // The first event only opens the message.
    for (const [index, at] of arrived.entries()) expect(at).toBeLessThan(left[index + 2] ?? 0);
  });
});

describe.each(protocols)("a client that leaves a stream over %s", (protocol) => {
  test.each(providerNames)("ends %s's call within a second", async (name) => {
    const endless = { text: "x".repeat(20_000) };
    fakes[name].queue(fakes[name].stream(endless, { pauseMs: 10, ending: "hang" }));
    const abort = new AbortController();
    const client = runtimeClient(gateway, protocol);
    const command = new ConverseStreamCommand({ modelId: modelIdOf(name), messages });
    const { stream } = await client.send(command, { abortSignal: abort.signal });
    const seen = (async () => {
      let events = 0;
      for await (const _ of stream ?? []) if (++events === 3) return;
    })();
    await seen;
    abort.abort();
    client.destroy();
    const leftAt = Date.now();
    await expect.poll(() => fakes[name].requests[0]?.closedAt, { timeout: 3000 }).toBeDefined();
    const request = fakes[name].requests[0];
    expect((request?.closedAt ?? 0) - leftAt).toBeLessThan(1000);
    expect(request?.aborted).toBe(true);
  });

  test("ends a call that has not answered yet", async () => {
    fakes.cohere.queue({ kind: "unary", status: 200, headers: {}, body: Buffer.alloc(0), delayMs: 10_000 });
    const abort = new AbortController();
    const client = runtimeClient(gateway, protocol);
    const call = client.send(new ConverseCommand({ modelId: modelIdOf("cohere"), messages }), {
      abortSignal: abort.signal,
    });
    await fakes.cohere.seen("command-a-03-2025");
    abort.abort();
    client.destroy();
    await expect(call).rejects.toThrow();
    await expect.poll(() => fakes.cohere.requests[0]?.closedAt, { timeout: 1000 }).toBeDefined();
  });
});

describe("an upstream that forgets to close", () => {
  test.each(["openai", "anthropic", "cohere", "mistral"] as const)("is let go after %s's last event", async (name) => {
    fakes[name].queue(fakes[name].stream(story, { ending: "hang" }));
    const answer = await post(name, "converse-stream");
    expect(answer.status).toBe(200);
    expect(answer.body.toString("latin1")).toContain("metadata");
    await expect.poll(() => fakes[name].requests[0]?.closedAt, { timeout: 1500 }).toBeDefined();
  });
});

describe("back-pressure", () => {
  test("a client that does not read makes the provider wait, and loses nothing", async () => {
    const text = "0123456789abcdef".repeat(1024);
    const chunks = 1500;
    const events = [
      ...fakes.openai.wire.events({ text: "" }, "m").slice(0, 1),
      ...Array.from(
        { length: chunks },
        () => fakes.openai.wire.events({ text: "" }, "m")[0]?.replace('"content":""', `"content":"${text}"`) ?? "",
      ),
      ...fakes.openai.wire.events({ text: "" }, "m").slice(1),
    ].map((event) => Buffer.from(event));
    fakes.openai.queue({
      kind: "stream",
      headers: { "content-type": "text/event-stream" },
      parts: events,
      ending: "end",
    });
    const total = events.reduce((sum, event) => sum + event.length, 0);
    const client = runtimeClient(gateway, "http/1.1");
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: modelIdOf("openai"), messages }));
    await sleep(700);
    const [request] = fakes.openai.requests;
    const before = request?.bytesSent ?? 0;
    await sleep(300);
    expect(request?.bytesSent).toBe(before);
    expect(before).toBeLessThan(total / 2);
    let received = 0;
    for (const event of await collect(stream)) received += event.contentBlockDelta?.delta?.text?.length ?? 0;
    client.destroy();
    expect(received).toBe(chunks * text.length);
  });
});

test("no key of a provider is in the log or in an answer that repeats it", async () => {
  for (const name of providerNames) {
    fakes[name].queue(fakes[name].failure(400, `You sent the key ${keyOf(name)}.`));
    const tail = fakes[name].wire.errorEvent(`Your key ${keyOf(name)} is tired.`, "server_error");
    fakes[name].queue(fakes[name].stream(story, { upTo: 5, tail }));
    expect((await post(name)).body.toString()).not.toContain(keyOf(name));
    expect((await post(name, "converse-stream")).body.toString("latin1")).not.toContain(keyOf(name));
  }
  for (const one of [gateway, patient]) expect(one.output()).not.toMatch(/canary/);
  for (const one of [gateway, patient]) expect(one.logs.filter((line) => Number(line.level) >= 50)).toEqual([]);
});
