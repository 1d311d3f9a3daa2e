/** Heads as uWebSockets.js reads and writes them. */
import type { HttpResponse } from "uWebSockets.js";
import { STATUS_CODES } from "node:http";
import type { ReplyHeaders } from "./exchange.ts";

/** @param close says that the connection ends with the answer */
export function writeHead(res: HttpResponse, status: number, headers: ReplyHeaders, close: boolean): void {
  res.writeStatus(`${status} ${STATUS_CODES[status] ?? "Unknown"}`);
  for (const [name, value] of headers) res.writeHeader(name, latin1Header(value));
  if (close) res.writeHeader("connection", "close");
}

/** Header values are bytes read as Latin-1; the library would write them as UTF-8. */
function latin1Header(value: string): string | Buffer {
  return isAscii(value) ? value : Buffer.from(value, "latin1");
}

/** The other way: the library has read the bytes as UTF-8. */
export function bytesAsLatin1(value: string): string {
  return isAscii(value) ? value : Buffer.from(value, "utf8").toString("latin1");
}

function isAscii(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (value.charCodeAt(at) > 0x7e) return false;
  return true;
}
