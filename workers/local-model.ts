/** The thread of a local model: a text in, its vector out; undefined in, when the model is there. */
import { parentPort, workerData } from "node:worker_threads";
import { loadLocalEmbedder } from "../src/cache/local-embedder.ts";
import type { ModelAnswer } from "../src/cache/model-thread.ts";

const embedder = loadLocalEmbedder(workerData);
// Whoever sends a text is told.
embedder.catch(() => undefined);
const never = new AbortController().signal;

async function answerTo(text: string | undefined): Promise<ModelAnswer> {
  try {
    const model = await embedder;
    return text === undefined ? { ready: true } : { vector: await model.embed(text, never) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on("message", (text: string | undefined) => {
  void answerTo(text).then((answer) => parentPort?.postMessage(answer));
});
