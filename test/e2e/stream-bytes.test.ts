import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect as connectH2 } from "node:http2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chunkStream, stream } from "../support/answers.ts";
import { type FakeBedrock, startFakeBedrock } from "../support/fake-bedrock.ts";
import { anthropicFrames, chunkFrame, converseFrames, decodeFrames, exceptionFrame } from "../support/frames.ts";
import { type RunningGateway, relayConfig, startGateway } from "../support/gateway.ts";
import { send, sendOn, userTurn } from "../support/raw-http.ts";
import { inParallel, sleep, until } from "../support/wait.ts";

let fake: FakeBedrock;
let gateway: RunningGateway;

beforeAll(async () => {
  fake = await startFakeBedrock();
  gateway = await startGateway({ config: relayConfig(fake.url) });
}, 30_000);
beforeEach(() => fake.reset());
afterEach(() => expect(fake.violations).toEqual([]));
afterAll(async () => {
  await gateway?.stop();
  await fake?.[Symbol.asyncDispose]();
}, 30_000);

const path = (action: string, model = "vendor.model") => `/bedrock/model/${model}/${action}`;

describe("A07 a stream cut at every byte offset into two reads", () => {
  test.each([
    ["converse-stream", Buffer.concat(converseFrames({ pieces: ["Łódź", "😀"] })), "end"],
    ["invoke-with-response-stream", Buffer.concat(anthropicFrames(["Hi"])), "end"],
    [
      "converse-stream",
      Buffer.concat([...converseFrames().slice(0, 2), exceptionFrame("throttlingException", "Slow down.")]),
      "destroy",
    ],
  ] as const)(
    "of %s gives the very bytes of the uncut stream",
    async (action, bytes, ending) => {
      fake.when(action, stream([bytes], ending));
      const uncut = await send(gateway.url, path(action, action), { body: userTurn("hi") });
      expect(uncut.body.equals(bytes)).toBe(true);
      const offsets = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);
      const wrong: number[] = [];
      await inParallel(offsets, 32, async (offset) => {
        const model = `cut-at-${offset}`;
        fake.when(model, stream([bytes.subarray(0, offset), 5, bytes.subarray(offset)], ending));
        const cut = await send(gateway.url, path(action, model), { body: userTurn("hi") });
        if (cut.status !== 200 || !cut.body.equals(bytes)) wrong.push(offset);
      });
      expect(wrong).toEqual([]);
    },
    40_000,
  );

  test("and into single bytes, on both ports", async () => {
    const bytes = Buffer.concat(converseFrames({ pieces: ["one"] }));
    fake.when("dust", stream(Array.from(bytes, (byte) => Buffer.of(byte))));
    const session = connectH2(gateway.h2url);
    const answers = [
      await send(gateway.url, path("converse-stream", "dust"), { body: userTurn("hi") }),
      await sendOn(session, path("converse-stream", "dust"), { body: userTurn("hi") }),
    ];
    session.destroy();
    for (const answer of answers) expect(answer.body.equals(bytes)).toBe(true);
  });
});

describe("events on their way", () => {
  test.each(["http/1.1", "h2"])("reach the client over %s before the next one leaves upstream", async (protocol) => {
    const frames = converseFrames();
    let delivered = 0;
    // A gateway that waits for more before it sends on waits for ever.
    async function* oneByOne() {
      let sent = 0;
      for (const [index, frame] of frames.entries()) {
        yield frame;
        sent += frame.length;
        await until(`event ${index + 1} at the client`, () => delivered >= sent);
      }
    }
    fake.queue(stream(oneByOne()));
    const request = {
      body: userTurn("hi"),
      onBytes: (bytes: number) => {
        delivered += bytes;
      },
    };
    const session = protocol === "h2" ? connectH2(gateway.h2url) : undefined;
    const answer =
      session === undefined
        ? await send(gateway.url, path("converse-stream"), request)
        : await sendOn(session, path("converse-stream"), request);
    session?.destroy();
    expect(decodeFrames(answer.body)).toHaveLength(frames.length);
  });
});

const megabyte = 1024 * 1024;

/** About 50 MB of frames of very different sizes, and their hash. */
function bigStream(): { readonly parts: Buffer[]; readonly sha256: string; readonly bytes: number } {
  const parts: Buffer[] = [];
  const hash = createHash("sha256");
  let bytes = 0;
  const push = (frame: Buffer) => {
    parts.push(frame);
    hash.update(frame);
    bytes += frame.length;
  };
  const sizes = [700_000, 12, 90_000, 3, 16_384, 250_000, 1, 40_000];
  for (let index = 0; bytes < 50 * megabyte; index++) {
    const text = randomBytes((sizes[index % sizes.length] ?? 1) / 2).toString("hex");
    push(chunkFrame({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }));
  }
  push(anthropicFrames().at(-1) ?? Buffer.alloc(0));
  return { parts, sha256: hash.digest("hex"), bytes };
}

describe("A22 a 50 MB stream", () => {
  test.each(["http/1.1", "h2"])(
    "under random back-pressure over %s arrives with the same SHA-256, and a slow reader pauses its upstream",
    async (protocol) => {
      const big = bigStream();
      fake.when("big", chunkStream(big.parts));
      const hash = createHash("sha256");
      let received = 0;
      let ahead = 0;
      const readable = await openStream(protocol, path("invoke-with-response-stream", "big"));
      const request = await fake.seen("big");
      // A reader that stands still for a moment: what is under way must stop growing.
      await sleep(700);
      const stalledAt = request.bytesSent;
      await sleep(300);
      expect(request.bytesSent - stalledAt).toBe(0);
      expect(stalledAt).toBeLessThan(big.bytes / 2);
      for await (const chunk of readable) {
        if (!Buffer.isBuffer(chunk)) throw new Error("a stream of bytes was expected");
        hash.update(chunk);
        received += chunk.length;
        ahead = Math.max(ahead, request.bytesSent - received);
        if (Math.random() < 0.02) await sleep(Math.random() * 25);
      }
      expect(received).toBe(big.bytes);
      expect(hash.digest("hex")).toBe(big.sha256);
      expect(ahead).toBeLessThan(25 * megabyte);
    },
    40_000,
  );
});

function openStream(protocol: string, to: string): Promise<AsyncIterable<unknown>> {
  return new Promise((resolve, reject) => {
    if (protocol === "h2") {
      const session = connectH2(gateway.h2url);
      session.on("error", reject);
      const open = session.request({ ":method": "POST", ":path": to });
      open.on("response", () => resolve(open));
      open.on("close", () => session.destroy());
      open.end("{}");
      return;
    }
    const { hostname, port } = new URL(gateway.url);
    const outgoing = httpRequest({ hostname, port, path: to, method: "POST" }, resolve);
    outgoing.on("error", reject);
    outgoing.end("{}");
  });
}
