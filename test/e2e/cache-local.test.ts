/** The semantic cache with a model of its own: onnxruntime-node as it is, and models that are made here. */
import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { member, outcome, ownGateways, post, said, teach } from "../support/cached.ts";
import type { RunningGateway } from "../support/gateway.ts";
import { moduleUrl } from "../support/module-hook.ts";
import { marks, type WordModel, writeWordModel } from "../support/onnx-model.ts";
import { findRuntime, runtimeFolder, runtimeVersion, withRuntime } from "../support/onnxruntime.ts";
import { send, userTurn } from "../support/raw-http.ts";
import { sleep } from "../support/wait.ts";

const model = "vendor.model-v1:0";
const runtime = findRuntime();
if (runtime === undefined) {
  const install = `npm install --prefix ${runtimeFolder} --ignore-scripts onnxruntime-node@${runtimeVersion}`;
  console.warn(`tests of the local embedder are skipped, as there is no onnxruntime-node: ${install}`);
}

const capital = "What is the capital of France?";
const inShort = "what's the capital of France";
/** The same question to everything but this model, to which its first words are far from the others. */
const farAway = "Please tell me: what is the capital of France?";
const near = ["what", "is", "s", "the", "capital", "of", "france"];
const far = ["please", "tell", "me"];
const noStore = { "x-bf-cache-no-store": "true" };
const dimension = 16;
const words = [...near, ...far];
/** Mostly along one axis; those of far words are long. */
const vectorOf = (axis: number, at: number) =>
  Array.from({ length: dimension }, (_, index) => (index === axis ? 1 + 4 * axis : index === 2 ? 0.01 * at : 0));
const wordModel: WordModel = {
  words,
  vectors: Float32Array.from(words.flatMap((word, at) => vectorOf(near.includes(word) ? 0 : 1, at))),
  dimension,
};

describe("the semantic cache with a local model", { timeout: 60_000 }, () => {
  const on = ownGateways("cache-local");
  const start = (more: object = {}, env: Readonly<Record<string, string>> = withRuntime(runtime ?? null)) => {
    const embedding = { provider: "local", model_path: join(on.folder, "model"), dimension, timeout_ms: 2000, ...more };
    return on.start({ embedding }, { BIFROST_DATA_DIR: join(on.folder, "data"), ...env });
  };

  async function problemOf(gateway: RunningGateway): Promise<unknown> {
    return member(JSON.parse((await send(gateway.url, "/api/cache", { method: "GET" })).body.toString()), "problem");
  }

  describe.skipIf(runtime === undefined)("and the real runtime", () => {
    test("finds what the model says is near, and only that, before and after a restart", async () => {
      writeWordModel(join(on.folder, "model"), wordModel);
      const first = await start();
      const original = await teach(first, model, userTurn(capital));
      expect(on.fake.requests).toHaveLength(1);
      const hit = await post(first, model, userTurn(inShort));
      expect(outcome(hit)).toBe("semantic");
      expect(said(hit)).toBe(said(original));
      expect(outcome(await post(first, model, userTurn(farAway), { headers: noStore }))).toBe("miss");
      expect(await problemOf(first)).toBeNull();
      expect(await first.stop()).toBe(0);
      const second = await start();
      expect(outcome(await post(second, model, userTurn(inShort)))).toBe("semantic");
      expect(outcome(await post(second, model, userTurn(farAway)))).toBe("miss");
    });

    test("never takes a near vector for the same question", async () => {
      writeWordModel(join(on.folder, "model"), {
        ...wordModel,
        words: [...near, "spain", "not"],
        vectors: new Float32Array(9 * dimension).fill(1),
      });
      const gateway = await start();
      await teach(gateway, model, userTurn(capital));
      for (const other of ["What is the capital of Spain?", "What is not the capital of France?"])
        expect(outcome(await post(gateway, model, userTurn(other)))).toBe("miss");
    });

    test("goes on without one that fails at a text, and says so", async () => {
      writeWordModel(join(on.folder, "model"), wordModel);
      // Words that the table of vectors has no row for: the runtime itself refuses the look-up.
      appendFileSync(join(on.folder, "model", "vocab.txt"), "\nspain\nitaly");
      const gateway = await start();
      await teach(gateway, model, userTurn("What is the capital of Spain?"));
      expect(outcome(await post(gateway, model, userTurn("what's the capital of Spain")))).toBe("miss");
      expect(outcome(await post(gateway, model, userTurn("What is the capital of Spain?")))).toBe("direct");
      expect(await problemOf(gateway)).toMatch(/could not be embedded: .*indices element out of data bounds/);
      await teach(gateway, model, userTurn(capital));
      expect(outcome(await post(gateway, model, userTurn(inShort)))).toBe("semantic");
    });

    test("goes on without one that answers something else than vectors, or vectors of another length", async () => {
      writeWordModel(join(on.folder, "model"), { ...wordModel, ending: { kind: "integers" } });
      const gateway = await start();
      await teach(gateway, model, userTurn(capital));
      expect(outcome(await post(gateway, model, userTurn(inShort)))).toBe("miss");
      expect(await problemOf(gateway)).toMatch(/the model's answer is no vector/);
      await gateway.stop();
      writeWordModel(join(on.folder, "model"), wordModel);
      const other = await start({ dimension: 17 });
      await teach(other, model, userTurn(farAway));
      expect(outcome(await post(other, model, userTurn(capital)))).toBe("direct");
      expect(await problemOf(other)).toMatch(/16 numbers where 17 are expected/);
    });

    test("goes on without one that takes its time", async () => {
      writeWordModel(join(on.folder, "model"), { ...wordModel, ending: { kind: "slow", rows: 2500 } });
      const gateway = await start({ timeout_ms: 30 });
      const answers = await Promise.all(
        [capital, inShort, farAway].map((text) => post(gateway, model, userTurn(text))),
      );
      for (const answer of answers) {
        expect(answer.status).toBe(200);
        expect(outcome(answer)).toBe("miss");
      }
      expect(outcome(await post(gateway, model, userTurn(`${inShort}?`)))).toBe("miss");
      expect(on.fake.requests).toHaveLength(4);
    });

    test("has the model in a thread where nobody else waits for it", async () => {
      writeWordModel(join(on.folder, "model"), { ...wordModel, ending: { kind: "slow", rows: 4000 } });
      const gateway = await start({ timeout_ms: 10_000 });
      let isOver = false;
      const asked = post(gateway, model, userTurn(capital)).then((answer) => {
        isOver = true;
        return answer;
      });
      await sleep(200);
      // The thread of the indexes itself answers these.
      for (let turn = 0; turn < 20; turn++) expect(await problemOf(gateway)).toBeNull();
      expect(isOver).toBe(false);
      expect(outcome(await asked)).toBe("miss");
    });

    test.each([
      ["has no vocabulary", "vocab.txt", undefined, /there is no .*vocab\.txt/],
      ["has no model", "model.onnx", undefined, /there is no usable model\.onnx in .*model/],
      [
        "has a model that is none",
        "model.onnx",
        "not an ONNX model",
        /there is no usable model\.onnx in .*model: .*[Pp]rotobuf/,
      ],
      ["has a vocabulary of another kind", "vocab.txt", "a\nb\n", /\[CLS\]/],
    ])("does not start with a folder that %s", async (_name, file, content, message) => {
      writeWordModel(join(on.folder, "model"), wordModel);
      if (content === undefined) rmSync(join(on.folder, "model", file));
      else writeFileSync(join(on.folder, "model", file), content);
      await expect(start()).rejects.toThrow(message);
    });
  });

  test("starts a model's thread again that has died", async () => {
    writeWordModel(join(on.folder, "model"), { ...wordModel, words: [...words, "die"] });
    const id = marks.length + words.length;
    // In the place of the runtime: one vector for all texts, and the end of the thread for those with a certain word.
    const deadly = `
      export class Tensor { constructor(type, data) { this.data = data; } }
      const session = {
        inputNames: ["input_ids"],
        outputNames: ["vector"],
        run: async ({ input_ids: { data } }) =>
          data.includes(${id}n) ? process.exit(1) : { vector: { dims: [1, ${dimension}], data: new Float32Array(${dimension}).fill(1) } },
      };
      export const InferenceSession = { create: async () => session };`;
    const gateway = await start({}, withRuntime(moduleUrl(deadly)));
    await teach(gateway, model, userTurn(capital));
    for (let time = 0; time < 2; time++) {
      expect(outcome(await post(gateway, model, userTurn("Now die."), { headers: noStore }))).toBe("miss");
      expect(await problemOf(gateway)).toMatch(/the model's thread has ended/);
      expect(outcome(await post(gateway, model, userTurn(inShort)))).toBe("semantic");
    }
  });

  test("does not start without the runtime, and says what to install", async () => {
    writeWordModel(join(on.folder, "model"), wordModel);
    await expect(start({}, withRuntime(null))).rejects.toThrow(
      /semantic_cache\.embedding.* npm install onnxruntime-node/,
    );
  });
});
