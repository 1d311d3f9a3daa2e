/** A cache with entries, for the management API without threads. */
import type { CacheControl } from "../../src/admin/cache.ts";
import type { Message } from "../../src/cache/messages.ts";
import { facts, kit, optionsOf, remember } from "../cache/kit.ts";

/** What the one who asked it does not want to be seen. */
export const hidden = "What is it that nobody may know?";

/**
 * A cache that has been asked these questions once and the first one twice more. A token costs a millionth of a dollar.
 *
 * @returns the ids of the entries in their order
 */
export async function cacheKit(questions: readonly string[], virtualKey: string | null = null, mayShowContent = false) {
  const { owner, front, config, close } = kit();
  const cache = front();
  const ids: string[] = [];
  for (const text of questions)
    ids.push(
      await remember(
        cache,
        facts(text, { virtualKey, mayShow: text !== hidden }),
        optionsOf(config),
        `answer to ${text}`,
      ),
    );
  for (const text of [...questions.slice(0, 1), ...questions.slice(0, 1)])
    await front().lookup(facts(text, { virtualKey }), optionsOf(config));
  const forgotten: unknown[] = [];
  const ask = async (message: Message) => owner.answer(message);
  const control: CacheControl = {
    stats: async () => {
      const answer = await ask({ op: "stats" });
      if (answer.kind !== "stats") throw new Error("no stats");
      return answer.stats;
    },
    list: async (filter, page) => {
      const answer = await ask({ op: "list", filter, ...page });
      if (answer.kind !== "entries") throw new Error("no entries");
      return answer;
    },
    forget: async (filter) => {
      forgotten.push(filter);
      const answer = await ask({ op: "forget", filter });
      return answer.kind === "done" ? answer.count : 0;
    },
    mayShowContent,
    costOf: (_provider, _model, tokens) => (tokens.input + tokens.output) / 1e6,
  };
  return { control, ids, forgotten, close };
}
