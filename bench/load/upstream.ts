/**
 * A fake Bedrock and a fake OpenAI for measurements: it answers from bytes it has ready and checks nothing, so that it is
 * never what is measured. What it does is told by the model's name, see `Plan` in `traffic.ts`. Takes a port as its
 * argument (any free one without), prints `{"port":…}` and ends with its standard input.
 */
import uws, { type HttpResponse } from "uWebSockets.js";
import {
  chatAnswer,
  chatPath,
  chatStream,
  converseAnswer,
  converseStream,
  type Plan,
  planIn,
  type StreamForm,
  sharedClock,
  timedText,
  tracesPath,
  tracesReceivedPath,
  wholeStream,
} from "./traffic.ts";

const requestId = "9f3c1c1e-7a53-4a1f-9d0e-2b7c5d1f0a11";
/** The library gathers this much into one send. What goes beyond is sent write by write, at fifty times the cost. */
const corkBytes = 15 * 1024;
/** The model's name stands in the first bytes of a body. */
const modelWithin = 256;

const cutAfterMs = 5;

/** An API as it is spoken here. */
interface Api {
  readonly form: StreamForm;
  readonly answer: string;
  readonly makeAnswer: (kilobytes: number) => string;
  readonly bursts: readonly Buffer[][];
}

const bedrock: Api = {
  form: converseStream,
  answer: converseAnswer(),
  makeAnswer: converseAnswer,
  bursts: groupFrames(wholeStream(converseStream)),
};
const openai: Api = {
  form: chatStream,
  answer: chatAnswer(),
  makeAnswer: chatAnswer,
  bursts: groupFrames(wholeStream(chatStream)),
};
let traces = 0;
const longAnswers = new Map<string, string>();

const app = uws.App().any("/*", (res, req) => {
  const path = req.getUrl();
  const api = path === chatPath ? openai : bedrock;
  const exchange: Exchange = { res, api, left: false };
  let streams = path.endsWith("-stream");
  let plan = path.includes("bench.") ? planIn(path) : undefined;
  let first = true;
  res.onAborted(() => {
    exchange.left = true;
  });
  res.onData((chunk, last) => {
    if (api === openai) {
      const bytes = Buffer.from(chunk);
      streams ||= bytes.includes('"stream":true');
      if (first) {
        const beginning = bytes.toString("latin1", 0, modelWithin);
        if (beginning.includes('"bench.')) plan = planIn(beginning);
      }
      first = false;
    }
    if (last && !exchange.left) respond(exchange, streams, plan, path);
  });
});

app.listen("127.0.0.1", Number(process.argv[2] ?? 0), (socket) => {
  if (socket === false) throw new Error("the port is not free");
  console.log(JSON.stringify({ port: uws.us_socket_local_port(socket) }));
});

process.stdin.resume().on("end", () => {
  app.close();
  process.exit(0);
});

interface Exchange {
  readonly res: HttpResponse;
  readonly api: Api;
  /** The client has gone: nothing may be called any more. */
  left: boolean;
}

function respond(exchange: Exchange, streams: boolean, plan: Plan | undefined, path: string): void {
  const { api } = exchange;
  if (path === tracesPath) {
    traces++;
    answerWhole(exchange, "{}");
  } else if (path === tracesReceivedPath) answerWhole(exchange, String(traces));
  else if (plan !== undefined) follow(exchange, plan, streams);
  else if (!streams) answerWhole(exchange, api.answer);
  // This callback is corked as a whole already, so bursts get their corks after it.
  else setImmediate(() => answerAtOnce(exchange));
}

function follow(exchange: Exchange, plan: Plan, streams: boolean): void {
  const { res, api } = exchange;
  switch (plan.kind) {
    case "delay":
      setTimeout(() => {
        if (streams) answerAtOnce(exchange);
        else answerWhole(exchange, api.answer);
      }, plan.ms);
      break;
    case "answer":
      answerWhole(exchange, longAnswer(api, plan.kilobytes));
      break;
    case "events":
      answerPaced(exchange, plan);
      break;
    case "fail":
      res.cork(() => res.writeStatus(`${plan.status} Failed`).end('{"message":"as was asked for"}'));
      break;
    case "cut":
      res.cork(() => {
        writeHead(exchange, streams ? api.form.type : "application/json");
        for (const part of api.form.head) res.write(part);
      });
      setTimeout(() => {
        if (!exchange.left) res.close();
      }, cutAfterMs);
      break;
  }
}

function longAnswer(api: Api, kilobytes: number): string {
  const key = `${api.form.type} ${kilobytes}`;
  const known = longAnswers.get(key) ?? api.makeAnswer(kilobytes);
  longAnswers.set(key, known);
  return known;
}

function answerWhole(exchange: Exchange, answer: string): void {
  if (exchange.left) return;
  exchange.res.cork(() => writeHead(exchange, "application/json").end(answer));
}

/** Every frame is an HTTP chunk of its own, as a server writes that flushes each event. */
function answerAtOnce(exchange: Exchange): void {
  const { res, api } = exchange;
  for (const burst of api.bursts) {
    if (exchange.left) return;
    res.cork(() => {
      if (burst === api.bursts[0]) writeHead(exchange, api.form.type);
      for (const frame of burst) res.write(frame);
      if (burst === api.bursts.at(-1)) res.end();
    });
  }
}

/** Groups of what fits into one cork. */
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

/** Each event says when it is sent: what comes later by then is not the fault of this process. */
function answerPaced(exchange: Exchange, { count, gapMs }: { readonly count: number; readonly gapMs: number }): void {
  const { res, api } = exchange;
  let next = 0;
  res.cork(() => {
    writeHead(exchange, api.form.type);
    for (const part of api.form.head) res.write(part);
  });
  const timer = setInterval(() => {
    if (exchange.left) return clearInterval(timer);
    res.cork(() => {
      res.write(api.form.text(timedText(next, sharedClock())));
      if (++next < count) return;
      for (const part of api.form.tail) res.write(part);
      res.end();
    });
    if (next >= count) clearInterval(timer);
  }, gapMs);
}

function writeHead({ res }: Exchange, type: string): HttpResponse {
  return res.writeHeader("content-type", type).writeHeader("x-amzn-requestid", requestId);
}
