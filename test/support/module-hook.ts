/** Has a process that a test starts load other modules than it asks for, without the process knowing. */

/**
 * @param instead by the name that is imported, or by the end of the URL that it stands for: the URL to load. A module that
 * takes the place of another one imports that one with `?original` behind its URL.
 * @returns environment of the process, whose threads heed it too
 */
export function loading(instead: Readonly<Record<string, string>>): Readonly<Record<"NODE_OPTIONS", string>> {
  const hook = `
    const instead = new Map(Object.entries(${JSON.stringify(instead)}));
    export async function resolve(name, context, next) {
      const named = instead.get(name);
      if (named !== undefined) return next(named, context);
      const found = await next(name, context);
      for (const [end, url] of instead) if (found.url.endsWith(end)) return { ...found, url, shortCircuit: true };
      return found;
    }`;
  const start = `import { register } from "node:module"; register(${JSON.stringify(moduleUrl(hook))});`;
  return { NODE_OPTIONS: `--import=${moduleUrl(start)}` };
}

export function moduleUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
