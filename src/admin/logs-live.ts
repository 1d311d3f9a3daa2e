/** The request log's feed as server-sent events. https://html.spec.whatwg.org/multipage/server-sent-events.html */
import type { TailPage } from "../telemetry/log-tail.ts";
import { showRow } from "./logs-show.ts";

/** A page of the feed as text; a comment, so that the connection is seen to live, where there is nothing to tell. */
export function renderTail({ lost, rows }: TailPage): string {
  if (lost === 0 && rows.length === 0) return "\n: nothing new\n\n";
  const gap = lost === 0 ? "" : `\nevent: lost\ndata: ${JSON.stringify({ rows: lost })}\n\n`;
  return gap + rows.map((row) => `\nevent: log\nid: ${row.id}\ndata: ${JSON.stringify(showRow(row))}\n\n`).join("");
}
