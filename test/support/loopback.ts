/** Fake upstreams for tests: an HTTP/1.1 server on a loopback port of the system's choice. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { ReceivedRequest } from "./verify-sigv4.ts";

export interface Loopback extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
}

/** Serves until it is disposed of. A handler that fails answers 599 with the reason. */
export async function serve(
  handler: (request: ReceivedRequest, response: ServerResponse) => void | Promise<void>,
): Promise<Loopback> {
  const server = createServer((message, response) => {
    receive(message)
      .then((request) => handler(request, response))
      .catch((error: unknown) => response.writeHead(599).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    port: address.port,
    origin: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function receive(message: IncomingMessage): Promise<ReceivedRequest> {
  const { method = "", url = "", headers } = message;
  return { method, url, headers, body: await buffer(message) };
}
