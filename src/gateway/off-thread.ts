/**
 * Work on large bodies, which a worker does so that no other request of the thread waits for it.
 *
 * From which size on it pays is measured by `bench/hop.ts`; docs/benchmarks.md has its table.
 */
import type { Route } from "../bedrock/operations.ts";
import type { Memo, ProviderAnswer, ProviderFailure, Target } from "../providers/dialect.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { WholeAnswer } from "./attempt.ts";
import { type AnswerForm, formatOf } from "./client-format.ts";
import type { Prepared } from "./encoding.ts";
import { errorOf, type Jobs, plainRoute } from "./jobs.ts";

/** Bodies from this size on are read, translated and rewritten by a worker. Inline it is about a third of a millisecond. */
export const largeBytes = 128 * 1024;

/** A front end's way to the workers. */
export interface OffThread {
  /**
   * Has a worker do a job.
   *
   * @param body stays as it is: the worker has a copy
   * @throws BedrockError ThrottlingException when too much waits for the workers already; Error when the worker died
   */
  run<Name extends keyof Jobs>(
    name: Name,
    body: Uint8Array,
    rest: Omit<Parameters<Jobs[Name]>[0], "body">,
  ): Promise<ReturnType<Jobs[Name]>>;
}

/**
 * Reads and encodes a large request.
 *
 * @param guarded without its guardrail, which is around the model
 * @throws BedrockError as reading and encoding inline do, and as `OffThread.run`
 */
export async function prepareOffThread(
  offThread: OffThread,
  { exchange, id }: ActiveRequest,
  route: Route,
  asked: string,
  body: Buffer,
  target: Target,
  guarded: boolean,
): Promise<Prepared> {
  const { headers } = exchange;
  const made = await offThread.run("prepare", body, {
    route: plainRoute(route),
    asked,
    headers,
    requestId: id,
    target,
    guarded,
  });
  if (made.kind === "refused") throw errorOf(made.error);
  const { request, ignored, memo, form, bytes } = made;
  const format = form.kind === "count" ? form : formatOf(form);
  return { request, ignored, memo, format, body: bytes.length === 0 ? undefined : bytes };
}

/** A large answer in the client's form, as `decodeWhole` makes it. */
export interface Finished {
  readonly kind: "finished";
  readonly answer: Pick<WholeAnswer, "headers" | "body" | "stopReason">;
  readonly usage: WholeAnswer["usage"];
  readonly estimated: boolean;
}

/** @throws BedrockError as `decodeWhole`; Error when the worker died */
export async function finishOffThread(
  offThread: OffThread,
  form: AnswerForm,
  memo: Memo,
  { headers, body }: ProviderAnswer,
  latencyMs: number,
): Promise<Finished | ProviderFailure> {
  const made = await offThread.run("finish", body, { form, memo, headers: { ...headers }, latencyMs });
  if (made.kind === "refused") throw errorOf(made.error);
  if (made.kind === "failure") return { ...made, error: errorOf(made.error) };
  const { headers: own, bytes, stopReason, usage, estimated } = made;
  return { kind: "finished", answer: { headers: own, body: bytes, stopReason }, usage, estimated };
}
