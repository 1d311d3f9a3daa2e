/**
 * onnxruntime-node, which only the `local` embedder needs and the project does not depend on: from the folder that
 * BIFROST_ONNXRUNTIME names, or the user's cache. `.ci/run` installs it there.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { loading } from "./module-hook.ts";

export const runtimeVersion = "1.30.0";

/** Where `npm install --prefix` puts it. */
export const runtimeFolder =
  process.env.BIFROST_ONNXRUNTIME ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bifrost-test", `onnxruntime-node-${runtimeVersion}`);

/** What a module of its name is loaded from; undefined when it is not there. */
export function findRuntime(): string | undefined {
  const entry = join(runtimeFolder, "node_modules", "onnxruntime-node", "dist", "index.js");
  return existsSync(entry) ? pathToFileURL(entry).href : undefined;
}

/** Environment of a process that finds the module at another place; with null it finds none, whatever is installed. */
export function withRuntime(url: string | null): ReturnType<typeof loading> {
  return loading({ names: { "onnxruntime-node": url ?? "file:///nowhere/onnxruntime-node.js" } });
}
