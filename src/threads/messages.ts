/** What the threads ask of each other. */
import type { AdminAnswer } from "../admin/answer.ts";
import type { AdminRequest } from "../admin/api.ts";
import type { Filter } from "../cache/messages.ts";
import type { InForce } from "../gateway/gateway.ts";
import type { OverloadLimits } from "../gateway/overload.ts";
import type { TailQuery } from "../telemetry/log-tail.ts";
import type { MetricsSnapshot } from "../telemetry/metrics.ts";
import type { BatchFate, LogBatch, LogState } from "../telemetry/request-log.ts";
import type { Moved } from "./peer.ts";
import type { NamedJob } from "./worker-pool.ts";

/** Given to a front end as it starts. */
export interface FrontEndStart {
  /** Counts from 1; the first one also serves HTTP/2. */
  readonly index: number;
  readonly host: string;
  readonly port: number;
  /** The HTTP/2 port, or undefined for none. */
  readonly h2Port: number | undefined;
  readonly logLevel: string;
  readonly settings: InForce;
  readonly limits: OverloadLimits;
  /** The memory in which all threads keep one truth about keys. */
  readonly keyMemory: SharedArrayBuffer;
  /** The memory in which all threads count against limits. */
  readonly counterMemory: SharedArrayBuffer;
}

/** The ports a front end has taken. */
export interface Listening {
  readonly port: number;
  readonly h2Port: number | undefined;
}

/** What a front end does when the supervisor asks. */
export interface FrontEndOffers {
  readonly listen: () => Promise<Listening>;
  readonly configure: (settings: InForce) => void;
  /** The state of each key, as JSON. */
  readonly keysHealth: () => unknown;
  /** Counts of this thread. */
  readonly metrics: () => MetricsSnapshot;
  /** How the rows of this thread's request log are doing. */
  readonly logState: () => LogState;
  /** Refuses all inference while the store is away, where the configuration wants that. */
  readonly refuseGoverned: (refuse: boolean) => void;
  /** Forgets answers; the cache's owner has forgotten them before. */
  readonly cacheForget: (filter: Filter) => void;
  /** Says "not ready" at once and resolves when nothing is being answered any more. */
  readonly drain: () => Promise<void>;
  /** Ends what is still being answered, so that no client takes a part for the whole. */
  readonly cut: () => Promise<void>;
  /** Lets go of the ports. Must come before the thread or the process ends: uWebSockets.js aborts it otherwise. */
  readonly close: () => Promise<void>;
}

/** What the supervisor does when a front end asks. */
export interface SupervisorOffers {
  /** Has a worker do a job on a large body. What is given back is the job's result. */
  readonly work: (job: NamedJob) => Promise<Moved<unknown>>;
  /** Answers a request to the management API. */
  readonly admin: (request: AdminRequest) => Promise<AdminAnswer>;
  /** Forwards a message to the owner of the cache. */
  readonly cacheAsk: (message: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
  readonly metricsPage: () => Promise<{ readonly type: string; readonly text: string }>;
  /** Writes rows of the request log. */
  readonly appendLog: (batch: LogBatch) => Promise<BatchFate>;
  /** The last word of a thread that ends by accident: what it had counted. */
  readonly farewell: (last: MetricsSnapshot) => void;
  /** The next of the request log's feed, when there is some. */
  readonly followLog: (query: TailQuery) => Promise<FeedPage>;
}

/** What a watcher of the feed is sent. */
export interface FeedPage {
  /** For the next page. */
  readonly after: number;
  readonly text: string;
}
