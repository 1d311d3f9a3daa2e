/** Keys as a configuration has them, a fake Bedrock that knows them apart, and clients that stay with one front end. */
import { writeFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { type Answer, converseAnswer, failure, json } from "./answers.ts";
import { type FakeBedrock, type Recorded, startFakeBedrock } from "./fake-bedrock.ts";
import type { RunningGateway } from "./gateway.ts";
import { type RawAnswer, type RawRequest, send, userTurn } from "./raw-http.ts";
import { until } from "./wait.ts";

/** The bearer token of a key of this name. */
export function tokenOf(name: string): string {
  return `ABSKkeyOf-${name}-NeverInLogs0123456789`;
}

/** The name of the key that a request came with. */
export function keyOf({ headers }: Pick<Recorded, "headers">): string {
  return /^Bearer ABSKkeyOf-(.+)-NeverInLogs0123456789$/.exec(String(headers.authorization))?.[1] ?? "none";
}

/** @param names of all keys that may be used */
export function startKeyedBedrock(names: readonly string[]): Promise<FakeBedrock> {
  return startFakeBedrock({ identities: [], bearers: names.map(tokenOf) });
}

/** A Bedrock provider with these keys; one under another name than `bedrock` says so by itself. */
export function pool(
  url: string,
  keys: Readonly<Record<string, object>>,
  network: object = {},
  more: object = { custom_provider_config: { base_provider_type: "bedrock" } },
): object {
  return {
    ...more,
    keys: Object.entries(keys).map(([name, changes]) => ({ name, value: tokenOf(name), ...changes })),
    network_config: { base_url: url, max_retries: 0, ...network },
  };
}

export const fine = (): Answer => json(converseAnswer);
export const down = (): Answer => failure(503, "ServiceUnavailableException", "Try later.");
export const badKey = (): Answer => failure(403, "UnrecognizedClientException", "The security token is invalid.");

/** @param retryAfter the header of that name */
export function throttled(retryAfter?: string): Answer {
  const answer = failure(429, "ThrottlingException", "Too many requests.");
  return { ...answer, headers: { ...answer.headers, ...(retryAfter !== undefined && { "retry-after": retryAfter }) } };
}

/** What each key is answered; those that are not named get a good answer. */
export function byKey(answers: Readonly<Record<string, () => Answer>>): (request: Recorded) => Answer {
  return (request) => (answers[keyOf(request)] ?? fine)();
}

/** Asks a model with Converse. */
export function ask(
  gateway: Pick<RunningGateway, "url">,
  model: string,
  headers: Readonly<Record<string, string>> = {},
  action = "converse",
): Promise<RawAnswer> {
  const path = `/bedrock/model/${encodeURIComponent(model)}/${action}`;
  return send(gateway.url, path, { body: userTurn("hi"), headers });
}

/** Status, error type and message of an answer. */
export function errorOf(answer: RawAnswer): { status: number; type: string; message: string } {
  const type = String(answer.headers["x-amzn-errortype"]).split(":")[0] ?? "";
  return { status: answer.status, type, message: messageOf(answer.body.toString("utf8")) };
}

/** Of JSON, or of S3's XML; an answer to HEAD has none. */
function messageOf(text: string): string {
  if (text === "") return "";
  if (text.startsWith("<")) return /<Message>([^<]*)<\/Message>/.exec(text)?.[1] ?? "";
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === "object" && parsed !== null && "message" in parsed ? String(parsed.message) : "";
}

/** One key as `GET /api/keys/health` tells of it. */
export interface Health {
  readonly provider: string;
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly why?: string;
  readonly inFlight: number;
  readonly errorRate: number;
  readonly coolDownMs: number;
  readonly coolingModels: readonly { readonly model: string; readonly remainingMs: number }[];
  readonly served: number;
  readonly share: number;
}

/** The health of all keys by name. */
export async function healthOf({ url }: Pick<RunningGateway, "url">): Promise<ReadonlyMap<string, Health>> {
  const { status, body } = await send(url.replace("//0.0.0.0:", "//127.0.0.1:"), "/api/keys/health", {
    method: "GET",
  });
  if (status !== 200) throw new Error(`the health page answers ${status}: ${body.toString()}`);
  const { keys } = JSON.parse(body.toString()) as { keys: readonly Health[] };
  return new Map(keys.map((key) => [key.name, key]));
}

/** Rewrites the configuration file and waits until it is in force. */
export async function rewrite({ configPath, logs }: RunningGateway, config: object): Promise<void> {
  const reloads = () => logs.filter((line) => line.msg === "configuration reloaded").length;
  const before = reloads();
  writeFileSync(configPath ?? "", JSON.stringify(config));
  await until("the reload", () => reloads() > before);
}

/** A client with one connection, which stays with one front end. */
export class Lane {
  /** Of the thread that serves it. */
  readonly frontEnd: string;
  readonly #agent: Agent;
  readonly #origin: URL;

  private constructor(agent: Agent, origin: URL, frontEnd: string) {
    this.#agent = agent;
    this.#origin = origin;
    this.frontEnd = frontEnd;
  }

  /** @throws Error when the log does not tell which front end has it */
  static async open({ url, logs }: RunningGateway, id: string): Promise<Lane> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const origin = new URL(url);
    // A request for nothing is a line in the log of the thread that got it.
    await new Lane(agent, origin, "").send("/bedrock/nothing", { headers: { "x-request-id": id } });
    const line = await until(`the line of ${id}`, () => logs.find((one) => one.requestId === id));
    return new Lane(agent, origin, String(line.thread));
  }

  send(path: string, { method = "POST", headers = {}, body = "" }: RawRequest = {}): Promise<RawAnswer> {
    const { hostname, port } = this.#origin;
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest({ hostname, port, path, method, agent: this.#agent, headers });
      outgoing.on("error", reject);
      outgoing.on("response", (message) => {
        const chunks: Buffer[] = [];
        message.on("data", (chunk: Buffer) => chunks.push(chunk));
        message.on("error", reject);
        message.on("end", () =>
          resolve({
            status: message.statusCode ?? 0,
            headers: { ...message.headers },
            body: Buffer.concat(chunks),
            reads: 0,
          }),
        );
      });
      outgoing.end(body);
    });
  }

  ask(model: string, headers: Readonly<Record<string, string>> = {}): Promise<RawAnswer> {
    return this.send(`/bedrock/model/${encodeURIComponent(model)}/converse`, { body: userTurn("hi"), headers });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Lanes, of which each front end has at least this many. */
export async function openLanes(gateway: RunningGateway, frontEnds: number, each: number): Promise<Lane[]> {
  const lanes: Lane[] = [];
  for (let index = 0; index < 500; index++) {
    lanes.push(await Lane.open(gateway, `lane-${index}`));
    const names = new Map<string, number>();
    for (const { frontEnd } of lanes) names.set(frontEnd, (names.get(frontEnd) ?? 0) + 1);
    if (names.size === frontEnds && [...names.values()].every((count) => count >= each)) return lanes;
  }
  throw new Error("the system gives all connections to the same front ends");
}
