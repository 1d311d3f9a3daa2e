import type { Exchange } from "./exchange.ts";

/** What a listening protocol needs from the front end. */
export interface ServeOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The largest request body in bytes; asked for each request, since configuration may change. */
  readonly maxBodyBytes: () => number;
  /** Takes each request. Must not throw; what it throws nevertheless goes to `onFault`. */
  readonly onExchange: (exchange: Exchange) => void;
  /** Hears of exceptions that would otherwise have left a callback of the server. */
  readonly onFault: (error: unknown) => void;
  /** How many requests this front end has seen. */
  readonly requests: () => number;
  /** A connection came and went without a request that this protocol could read. */
  readonly onUnreadable?: () => void;
}

export interface HttpServer {
  /** The port it listens on. */
  readonly port: number;
  /** From now on a connection is closed behind its next whole answer. Streams end as they would have. */
  drain(): void;
  /** Stops listening and ends all connections. */
  close(): Promise<void>;
}
