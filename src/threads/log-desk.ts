/** The supervisor's part of the request log: rows pass through it on their way to their thread and to who watches. */
import { renderTail } from "../admin/logs-live.ts";
import type { Config } from "../config/schema.ts";
import type { StoreSettings } from "../store/open.ts";
import type { Logger } from "../telemetry/log.ts";
import { LogTail, type TailQuery } from "../telemetry/log-tail.ts";
import { unpackBatch } from "../telemetry/log-unpack.ts";
import { Redactor, secretsIn } from "../telemetry/redactor.ts";
import type { BatchFate, LogBatch } from "../telemetry/request-log.ts";
import { LogClient, type LogRules, startLogThread } from "./log.ts";
import type { FeedPage } from "./messages.ts";

/** What the process itself keeps secret. */
export interface OwnSecrets {
  readonly adminToken: string | undefined;
  readonly encryptionKey: string | undefined;
}

export class LogDesk {
  readonly #own: OwnSecrets;
  readonly #client: LogClient;
  readonly #tail = new LogTail();
  #redactor: Redactor;

  constructor(store: StoreSettings, config: Config, own: OwnSecrets, log: Logger) {
    this.#own = own;
    const rules = this.#rulesOf(config);
    this.#redactor = new Redactor(rules.secrets);
    this.#client = new LogClient({
      rules,
      start: (role, present) => startLogThread({ role, store, encryptionKey: own.encryptionKey, rules: present }),
      readsWhereItWrites: store.kind === "memory",
      onHealth: (problem) => {
        if (problem === undefined) log.info("the request log is written again");
        else
          log.error({ err: problem }, "the request log cannot be written; its rows wait, and are dropped and counted");
      },
    });
  }

  get reader(): LogClient {
    return this.#client;
  }

  /** @param config as it is in force, stored virtual keys included */
  use(config: Config): void {
    const rules = this.#rulesOf(config);
    this.#redactor = new Redactor(rules.secrets);
    this.#client.configure(rules);
  }

  /** Never rejects. */
  append({ bytes, rows }: LogBatch): Promise<BatchFate> {
    if (this.#tail.isWatched) this.#tail.push(unpackBatch(bytes, this.#redactor).map(({ row }) => row));
    else this.#tail.skip(rows);
    return this.#client.append(bytes);
  }

  /** The next of the feed, when there is some. */
  async follow(query: TailQuery): Promise<FeedPage> {
    const page = await this.#tail.follow(query);
    return { after: page.after, text: renderTail(page) };
  }

  async close(): Promise<void> {
    this.#tail.close();
    await this.#client.close();
  }

  #rulesOf(config: Config): LogRules {
    const { max_content_bytes, retention_days, max_rows } = config.observability.request_log;
    const own = [this.#own.adminToken, this.#own.encryptionKey].filter((secret) => secret !== undefined);
    const secrets = [...new Set([...own, ...secretsIn(config)])];
    return { secrets, maxContentBytes: max_content_bytes, retentionDays: retention_days, maxRows: max_rows };
  }
}
