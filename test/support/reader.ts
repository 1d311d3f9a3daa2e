/** A client that reads the head of an answer, and its body only when the test says so. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect as connectH2 } from "node:http2";
import type { Readable } from "node:stream";

export interface SlowReader {
  readonly head: Readonly<Record<string, unknown>>;
  /** Reads what there is to its end. Rejects when it breaks off. */
  rest(): Promise<{ readonly bytes: number; readonly digest: string }>;
  leave(): void;
}

/** Asks with GET. */
export async function openReader(origin: string, protocol: "http/1.1" | "h2", path: string): Promise<SlowReader> {
  if (protocol === "http/1.1") {
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      httpRequest(`${origin}${path}`, { agent: false }, resolve).on("error", reject).end();
    });
    return { head: message.headers, rest: () => drain(message), leave: () => message.destroy() };
  }
  const session = connectH2(origin);
  session.on("error", () => undefined);
  const stream = session.request({ ":path": path });
  const head = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    stream.once("response", resolve);
    stream.once("error", reject);
  });
  const leave = () => session.destroy();
  return { head, rest: () => drain(stream).finally(leave), leave };
}

async function drain(body: Readable): Promise<{ bytes: number; digest: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, digest: hash.digest("hex") };
}

/** The memory a process holds, in bytes. */
export function rssOf(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1]) * 1024;
}
