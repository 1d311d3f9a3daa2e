/** Has a process that a test starts load other modules than it asks for, without the process knowing. */

export interface Instead {
  /** By the name that is imported: the URL to load. */
  readonly names?: Readonly<Record<string, string>>;
  /** By the end of a file's path that is required, as piscina does with its tasks: the path to load. */
  readonly files?: Readonly<Record<string, string>>;
}

/** @returns environment of the process, whose threads heed it too */
export function loading({ names = {}, files = {} }: Instead): Readonly<Record<"NODE_OPTIONS", string>> {
  const hook = `
    const names = new Map(Object.entries(${JSON.stringify(names)}));
    export const resolve = (name, context, next) => next(names.get(name) ?? name, context);`;
  const start = `
    import Module, { register } from "node:module";
    register(${JSON.stringify(moduleUrl(hook))});
    const files = Object.entries(${JSON.stringify(files)});
    const resolve = Module._resolveFilename;
    Module._resolveFilename = function (...asked) {
      const found = resolve.apply(this, asked);
      return files.find(([end]) => found.endsWith(end))?.[1] ?? found;
    };`;
  return { NODE_OPTIONS: `--import=${moduleUrl(start)}` };
}

export function moduleUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
