/** Credentials that expire: fetched once for all who are the same identity, kept, and renewed before their end. */
import { LRUCache } from "lru-cache";

/** Gives what authorizes a request. */
export interface Source<Value> {
  /**
   * The value to use now, without a promise while a valid one is held.
   *
   * @throws CredentialsError (as a rejection) when there is none
   */
  current(): Value | Promise<Value>;
}

export interface RenewOptions {
  /** Told when credentials in use could not be renewed; they serve until they expire. Holds no secret. */
  readonly onProblem?: ((message: string) => void) | undefined;
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined;
}

/** What a load brings. */
export interface Loaded<Value> {
  readonly value: Value;
  /** Milliseconds since 1970; without it the value is read again every few minutes. */
  readonly expiresAt: number | undefined;
}

/** A key has no usable credentials. The message names the key and the kind of source, never a secret. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

/** A failure that is described in our own words, which may be shown. */
export class LoadFailure extends Error {
  override readonly name = "LoadFailure";
}

/** Credentials that do not say when they expire (a file that someone else rewrites) are read again this often. */
const rereadMs = 5 * 60_000;
/** Between two attempts to renew credentials that still serve. */
const retryMs = 30_000;
/** With nothing to serve, a failure stands this long, so that a burst of requests does not become a burst on the source. */
const failureMs = 2000;
/** A source that has not answered by then has failed. */
const loadTimeoutMs = 30_000;
const maxIdentities = 1000;

/** The identities of one thread and of one kind. One that is pushed out is fetched anew when it is asked for. */
export class Identities<Value extends object> {
  readonly #aheadMs: number;
  readonly #known = new LRUCache<string, Identity<Value>>({ max: maxIdentities });

  /** @param aheadMs renewal begins this long before credentials expire */
  constructor(aheadMs: number) {
    this.#aheadMs = aheadMs;
  }

  /**
   * @param id equal for equal identities, which share what is fetched
   * @param failing what a failure's message begins with, e.g. `key "a": the profile "b" gave no AWS credentials`
   */
  source(
    id: string,
    failing: string,
    load: () => Promise<Loaded<Value>>,
    { onProblem, now = Date.now }: RenewOptions,
  ): Source<Value> {
    const describe = (cause: unknown) => `${failing} (${reasonOf(cause)})`;
    let identity = this.#known.get(id);
    if (identity === undefined) {
      identity = new Identity(load, this.#aheadMs, now);
      this.#known.set(id, identity);
    }
    const shared = identity;
    return {
      current: () => {
        const held = shared.held((cause) => onProblem?.(`${describe(cause)}; the ones in use serve until they expire`));
        if (held !== undefined) return held;
        return shared.wait().catch((cause: unknown) => {
          throw new CredentialsError(describe(cause));
        });
      },
    };
  }
}

/** One identity's credentials: held, renewed by one call at a time. */
class Identity<Value extends object> {
  readonly #load: () => Promise<Loaded<Value>>;
  readonly #aheadMs: number;
  readonly #now: () => number;
  #value: Value | undefined;
  #expiresAt = 0;
  /** When a renewal may next begin. */
  #renewAt = 0;
  #loading: Promise<Value> | undefined;
  #failure: { readonly cause: unknown; readonly until: number } | undefined;

  constructor(load: () => Promise<Loaded<Value>>, aheadMs: number, now: () => number) {
    this.#load = load;
    this.#aheadMs = aheadMs;
    this.#now = now;
  }

  /** What still serves. When its renewal is due, that begins; `onProblem` hears of its failure. */
  held(onProblem: (cause: unknown) => void): Value | undefined {
    const now = this.#now();
    if (this.#value === undefined || now >= this.#expiresAt) return undefined;
    if (now >= this.#renewAt && this.#loading === undefined) {
      this.#renewAt = now + retryMs;
      this.#renew().catch(onProblem);
    }
    return this.#value;
  }

  /** What the load under way, or a new one, brings. */
  wait(): Promise<Value> {
    if (this.#loading !== undefined) return this.#loading;
    if (this.#failure !== undefined && this.#now() < this.#failure.until) return Promise.reject(this.#failure.cause);
    return this.#renew();
  }

  #renew(): Promise<Value> {
    this.#loading = this.#fetch().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #fetch(): Promise<Value> {
    try {
      const { value, expiresAt = Number.POSITIVE_INFINITY } = await inTime(this.#load());
      const now = this.#now();
      if (expiresAt <= now) throw new LoadFailure("they have expired already: is the clock right?");
      this.#value = value;
      this.#expiresAt = expiresAt;
      this.#renewAt = Number.isFinite(expiresAt) ? Math.max(expiresAt - this.#aheadMs, now + retryMs) : now + rereadMs;
      this.#failure = undefined;
      return value;
    } catch (cause) {
      this.#failure = { cause, until: this.#now() + failureMs };
      throw cause;
    }
  }
}

function inTime<Value>(load: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const seconds = loadTimeoutMs / 1000;
    const timer = setTimeout(() => reject(new LoadFailure(`no answer in ${seconds} seconds`)), loadTimeoutMs);
    timer.unref();
    load.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * The name of a failure, not its message: STS repeats the signed request, and `credential_process` its command line,
 * with whatever secrets they hold.
 */
function reasonOf(cause: unknown): string {
  if (cause instanceof LoadFailure) return cause.message;
  if (!(cause instanceof Error)) return "unknown reason";
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : cause.name;
  return /^[\w.]{1,64}$/.test(code) ? code : "unknown reason";
}
