/**
 * A fake Bedrock for measurements, and a fake OpenAI: it answers from bytes it has ready and checks nothing, so that it is never what is
 * measured. Prints `{"port":…}` and ends with its standard input.
 */
import uws, { type HttpResponse } from "uWebSockets.js";
import { chatAnswer, chatEvents, chatPath, converseAnswer, frameGapMs, pacedModel, streamFrames } from "./traffic.ts";

const requestId = "9f3c1c1e-7a53-4a1f-9d0e-2b7c5d1f0a11";
/** The library gathers this much into one send. What goes beyond is sent write by write, at fifty times the cost. */
const corkBytes = 15 * 1024;

const eventStream = "application/vnd.amazon.eventstream";

const frames = streamFrames();
const bursts = groupFrames(frames);
const chatBursts = groupFrames(chatEvents());

const app = uws.App().any("/*", (res, req) => {
  const path = req.getUrl();
  let left = false;
  let streams = path.endsWith("-stream");
  res.onAborted(() => {
    left = true;
  });
  res.onData((chunk, last) => {
    if (path === chatPath) streams ||= Buffer.from(chunk).includes('"stream":true');
    if (!last || left) return;
    if (!streams) answerWhole(res, path === chatPath ? chatAnswer : converseAnswer);
    else if (path.includes(pacedModel)) answerPaced(res, () => left);
    // This callback is corked as a whole already, so the bursts get theirs after it.
    else
      setImmediate(() => {
        if (left) return;
        if (path === chatPath) answerAtOnce(res, chatBursts, "text/event-stream");
        else answerAtOnce(res, bursts, eventStream);
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

function answerWhole(res: HttpResponse, answer: string): void {
  res.cork(() => {
    res.writeHeader("content-type", "application/json").writeHeader("x-amzn-requestid", requestId).end(answer);
  });
}

/** Every frame is an HTTP chunk of its own, as a server writes that flushes each event. */
function answerAtOnce(res: HttpResponse, groups: readonly Buffer[][], type: string): void {
  for (const burst of groups) {
    res.cork(() => {
      if (burst === groups[0]) writeStreamHead(res, type);
      for (const frame of burst) res.write(frame);
      if (burst === groups.at(-1)) res.end();
    });
  }
}

function groupFrames(all: readonly Buffer[]): Buffer[][] {
  const groups: Buffer[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const frame of all) {
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
      if (next === 0) writeStreamHead(res, eventStream);
      if (frame !== undefined) res.write(frame);
      if (next === frames.length - 1) res.end();
    });
    next++;
    if (next === frames.length) clearInterval(timer);
  }, frameGapMs);
}

function writeStreamHead(res: HttpResponse, type: string): void {
  res.writeHeader("content-type", type).writeHeader("x-amzn-requestid", requestId);
}
