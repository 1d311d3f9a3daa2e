/** The traces of one thread: finished requests become spans, and spans go to the collector. */
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { HttpRoute } from "./metrics.ts";
import type { OtelSettings } from "./otel-settings.ts";
import type { RequestRecord } from "./request-record.ts";
import { attribute, providerNames } from "./semconv.ts";
import { SpanExporter } from "./span-exporter.ts";
import { exportFrame, type SpanContext, spansOf } from "./spans.ts";

export interface TracesOptions {
  readonly version: string;
  readonly routes: ReadonlyMap<string, HttpRoute>;
  readonly onCount: (result: "exported" | "dropped", spans: number) => void;
  readonly onHealth: (problem: string | undefined) => void;
}

const scopeName = "bifrost-ts";
/** How long a collector that is no longer wanted may take for what it was still to be given. Milliseconds. */
const farewellMs = 3000;

export class Traces {
  readonly #options: TracesOptions;
  readonly #instance = randomUUID();
  #settings: OtelSettings | undefined;
  #exporter: SpanExporter | undefined;
  #context: SpanContext;

  constructor(options: TracesOptions) {
    this.#options = options;
    this.#context = { providers: new Map(), routes: options.routes, content: false };
  }

  /** Of traces that begin here, the part to record; 0 while there is no collector. */
  get sampleRatio(): number {
    return this.#settings?.sampleRatio ?? 0;
  }

  /** Spans go somewhere. */
  get enabled(): boolean {
    return this.#exporter !== undefined;
  }

  /**
   * Puts settings in force; what waits for a former collector is still sent there.
   *
   * @param providerTypes whose API each configured provider speaks, by its name
   */
  configure(settings: OtelSettings | undefined, providerTypes: ReadonlyMap<string, string>): void {
    const providers = new Map([...providerTypes].map(([name, type]) => [name, providerNames.get(type) ?? type]));
    this.#context = { ...this.#context, providers, content: settings?.content === true };
    const isSame = isDeepStrictEqual(settings, this.#settings);
    this.#settings = settings;
    if (isSame) return;
    void this.#exporter?.close(farewellMs);
    this.#exporter = settings === undefined ? undefined : this.#exporterFor(settings);
  }

  /** Takes a request that is over. Fast path for those that are not recorded. */
  finished(record: RequestRecord): void {
    const exporter = this.#exporter;
    const { trace } = record;
    if (exporter === undefined || trace === undefined || !trace.sampled) return;
    // What could not be kept need not be made.
    if (exporter.hasRoom) exporter.add(spansOf(record, trace, this.#context));
    else this.#options.onCount("dropped", 2 + record.attempts.length);
  }

  /** Sends what waits. @param ms the longest wait */
  async flush(ms: number): Promise<void> {
    await this.#exporter?.flush(ms);
  }

  #exporterFor({ url, headers, resource }: OtelSettings): SpanExporter {
    const { version, onCount, onHealth } = this.#options;
    const who = new Map([
      [attribute.serviceVersion, version],
      [attribute.serviceInstance, this.#instance],
      ...resource,
    ]);
    const scope = { name: scopeName, version };
    return new SpanExporter({ url, headers, frame: exportFrame(who, scope), onCount, onHealth });
  }
}
