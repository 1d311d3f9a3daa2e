/**
 * A fake Bedrock for measurements: it answers from bytes it has ready and checks nothing, so that it is never what is
 * measured. Prints `{"port":…}` and ends with its standard input.
 */
import uws, { type HttpResponse } from "uWebSockets.js";
import { converseAnswer, frameGapMs, pacedModel, streamFrames } from "./traffic.ts";

const requestId = "9f3c1c1e-7a53-4a1f-9d0e-2b7c5d1f0a11";
/** The library gathers this much into one send. What goes beyond is sent write by write, at fifty times the cost. */
const corkBytes = 15 * 1024;

const frames = streamFrames();
const bursts = groupFrames();

const app = uws.App().any("/*", (res, req) => {
  const path = req.getUrl();
  let left = false;
  res.onAborted(() => {
    left = true;
  });
  res.onData((_chunk, last) => {
    if (!last || left) return;
    if (!path.endsWith("-stream")) answerWhole(res);
    else if (path.includes(pacedModel)) answerPaced(res, () => left);
    // This callback is corked as a whole already, so the bursts get theirs after it.
    else
      setImmediate(() => {
        if (!left) answerAtOnce(res);
      });
  });
});

app.listen("127.0.0.1", 0, (socket) => {
  if (socket === false) throw new Error("no port is free");
  console.log(JSON.stringify({ port: uws.us_socket_local_port(socket) }));
});

process.stdin.resume().on("end", () => {
  app.close();
  process.exit(0);
});

function answerWhole(res: HttpResponse): void {
  res.cork(() => {
    res.writeHeader("content-type", "application/json").writeHeader("x-amzn-requestid", requestId).end(converseAnswer);
  });
}

/** Every frame is an HTTP chunk of its own, as a server writes that flushes each event. */
function answerAtOnce(res: HttpResponse): void {
  for (const burst of bursts) {
    res.cork(() => {
      if (burst === bursts[0]) writeStreamHead(res);
      for (const frame of burst) res.write(frame);
      if (burst === bursts.at(-1)) res.end();
    });
  }
}

function groupFrames(): Buffer[][] {
  const groups: Buffer[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const frame of frames) {
    const written = frame.length + "100\r\n\r\n".length;
    if (bytes + written > corkBytes) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(frame);
    bytes += written;
  }
  return groups;
}

function answerPaced(res: HttpResponse, left: () => boolean): void {
  let next = 0;
  const timer = setInterval(() => {
    if (left()) {
      clearInterval(timer);
      return;
    }
    const frame = frames[next];
    res.cork(() => {
      if (next === 0) writeStreamHead(res);
      if (frame !== undefined) res.write(frame);
      if (next === frames.length - 1) res.end();
    });
    next++;
    if (next === frames.length) clearInterval(timer);
  }, frameGapMs);
}

function writeStreamHead(res: HttpResponse): void {
  res.writeHeader("content-type", "application/vnd.amazon.eventstream").writeHeader("x-amzn-requestid", requestId);
}
