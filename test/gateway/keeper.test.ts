import { describe, expect, test, vi } from "vitest";
import { eventsOf } from "../../src/bedrock/converse-events.ts";
import { BedrockError } from "../../src/bedrock/errors.ts";
import { SemanticCache } from "../../src/cache/cache.ts";
import type { Attempted, FrameSink, FrameSource } from "../../src/gateway/attempt.ts";
import { converseWriter } from "../../src/gateway/client-format.ts";
import { failure } from "../../src/gateway/failures.ts";
import { type AnswerReader, Keeper } from "../../src/gateway/keeper.ts";
import { readConverseFrames, readWholeConverse } from "../../src/gateway/kept-answer.ts";
import { configOf, facts, optionsOf } from "../cache/kit.ts";
import { converseFrames } from "../support/frames.ts";

const reader: AnswerReader = { whole: readWholeConverse, frames: readConverseFrames };
const answer = {
  output: { message: { role: "assistant" as const, content: [{ text: "Hello." }] } },
  stopReason: "end_turn" as const,
  usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 },
  metrics: { latencyMs: 4 },
};

async function setUp(withReader = true, problems: string[] = []) {
  const config = configOf();
  const cache = new SemanticCache({ config, ask: () => Promise.reject(new Error("no owner")) });
  const found = await cache.lookup(facts("hi"), optionsOf(config));
  if (found.kind !== "miss") throw new Error("it was to be a miss");
  const store = vi.spyOn(cache, "store");
  const release = vi.spyOn(cache, "release");
  const { ticket } = found;
  const onProblem = (problem: string) => void problems.push(problem);
  const keeper = new Keeper({ cache, ticket, reader: withReader ? reader : undefined, onProblem });
  return { keeper, store, release, ticket };
}

const whole = (body: string | Uint8Array, status = 200): Attempted => ({
  kind: "answer",
  status,
  headers: [],
  body,
  usage: undefined,
});

/** A stream that hands out these frames, and then ends or breaks. */
class Frames implements FrameSource {
  readonly #frames: readonly Uint8Array[];
  readonly #failure: BedrockError | undefined;
  readonly #exception: string | undefined;

  constructor(frames: readonly Uint8Array[], failed?: BedrockError, exception?: string) {
    this.#frames = frames;
    this.#failure = failed;
    this.#exception = exception;
  }

  start(sink: FrameSink): void {
    for (const frame of this.#frames) sink.frames(frame, false);
    sink.end(this.#failure);
  }

  resume(): void {
    throw new Error("nobody paused");
  }

  cancel(): void {
    // Nothing is on its way.
  }

  usage() {
    return { usage: undefined, estimated: false };
  }

  exception(): string | undefined {
    return this.#exception;
  }

  stopReason(): undefined {
    return undefined;
  }
}

/** Reads a watched stream to its end. */
function read(attempted: Attempted): Uint8Array[] {
  if (attempted.kind !== "stream") throw new Error("it was to be a stream");
  const got: Uint8Array[] = [];
  attempted.source.start({
    frames: (bytes) => {
      got.push(bytes);
      return true;
    },
    end: () => undefined,
  });
  return got;
}

const streamOf = (source: FrameSource): Attempted => ({ kind: "stream", headers: [], source });
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const broken = new BedrockError("ModelStreamErrorException", "broken");

describe("an answer beside which the cache listens", () => {
  test("is kept when it is whole, after the client has it", async () => {
    const { keeper, store, ticket } = await setUp();
    const attempted = whole(Buffer.from(JSON.stringify(answer)));
    expect(keeper.watch(attempted)).toBe(attempted);
    expect(store).not.toHaveBeenCalled();
    await nextTurn();
    expect(store).toHaveBeenCalledExactlyOnceWith(ticket, answer);
  });

  test("is kept from the frames that pass, which are the same frames", async () => {
    const { keeper, store } = await setUp();
    const frames = converseFrames();
    expect(read(keeper.watch(streamOf(new Frames(frames))))).toEqual(frames);
    await nextTurn();
    expect(store.mock.calls[0]?.[1]).toMatchObject({
      output: { message: { content: [{ text: "Once upon a time, the end." }] } },
    });
  });

  test("is kept as it was written, whole or in events, the last writing", async () => {
    for (const streams of [false, true]) {
      const { keeper, store } = await setUp(false);
      const tapped = keeper.tap({ kind: "text", form: undefined, ...converseWriter });
      const abandoned = tapped.stream(0);
      for (const event of eventsOf(answer).slice(0, 2)) abandoned.encode(event);
      if (streams) {
        const stream = tapped.stream(0);
        const frames = eventsOf(answer).flatMap((event) => stream.encode(event));
        expect(stream.stopReason()).toBe("end_turn");
        read(keeper.watch(streamOf(new Frames(frames))));
      } else keeper.watch(whole(tapped.answer(answer).body));
      await nextTurn();
      expect(store.mock.calls[0]?.[1]).toEqual(answer);
    }
  });

  test.each<[string, (keeper: Keeper) => void]>([
    ["a failure", (keeper) => keeper.watch(failure("nobody", broken))],
    ["another status", (keeper) => keeper.watch(whole("{}", 202))],
    ["no answer of Converse's", (keeper) => keeper.watch(whole(Buffer.from('{"output":1}')))],
    ["no JSON", (keeper) => keeper.watch(whole(Buffer.from("<html>")))],
    ["what was not written here", (keeper) => keeper.watch(whole(JSON.stringify(answer)))],
    ["a stream that breaks", (keeper) => read(keeper.watch(streamOf(new Frames(converseFrames(), broken))))],
    [
      "a stream with an exception",
      (keeper) => read(keeper.watch(streamOf(new Frames(converseFrames(), undefined, "x")))),
    ],
    [
      "a stream that lacks its end",
      (keeper) => read(keeper.watch(streamOf(new Frames(converseFrames().slice(0, -1))))),
    ],
    [
      "a stream whose client leaves",
      (keeper) => {
        const attempted = keeper.watch(streamOf(new Frames(converseFrames())));
        if (attempted.kind === "stream") attempted.source.cancel();
        read(attempted);
      },
    ],
    ["a fault of the road", (keeper) => keeper.drop()],
  ])("is not kept, and the next one who asks need not wait, for %s", async (_what, run) => {
    const { keeper, store, release, ticket } = await setUp();
    run(keeper);
    await nextTurn();
    expect(store).not.toHaveBeenCalled();
    expect(release).toHaveBeenCalledWith(ticket);
  });

  test("is not kept when it cannot be read, which the client does not notice", async () => {
    const problems: string[] = [];
    const { keeper, store, release } = await setUp(true, problems);
    read(keeper.watch(streamOf(new Frames([Buffer.from("these are no frames at all, not one")]))));
    await nextTurn();
    expect(store).not.toHaveBeenCalled();
    expect(release).toHaveBeenCalled();
    expect(problems).toEqual([expect.stringContaining("could not be kept")]);
  });

  test("is not kept when the stream is too long to be remembered", async () => {
    const { keeper, store } = await setUp();
    const [first, ...rest] = converseFrames({ pieces: ["x".repeat(6 * 1024 * 1024)] });
    if (first === undefined) throw new Error("no frames");
    const delta = rest[0] ?? first;
    read(keeper.watch(streamOf(new Frames([first, delta, delta, delta, ...rest.slice(1)]))));
    await nextTurn();
    expect(store).not.toHaveBeenCalled();
  });
});
