/** Seeing to it that nobody else has the port: front ends listen with SO_REUSEPORT, which joins whoever listens there. */
import { createServer, type Server } from "node:net";

/**
 * Finds the port and keeps other gateways off it as long as the process lives.
 *
 * @param port 0 finds a free one
 * @throws Error when somebody listens there, or another gateway is about to
 */
export async function claimPort(host: string, port: number): Promise<number> {
  // Another program that listens is seen by listening alone for a moment.
  const probe = await listen({ host, port, exclusive: true }, `cannot listen on ${host}:${port}`);
  const address = probe.address();
  const found = typeof address === "object" && address !== null ? address.port : port;
  // Another gateway that starts in the same moment is not. So all of them take a name as well, in the abstract namespace
  // of Unix sockets: it belongs to one process at a time, and is free when that ends, however it ends.
  const claim = await listen(
    { path: `\0bifrost-${host}:${found}` },
    `cannot listen on ${host}:${found}: another gateway has the port`,
  );
  claim.unref();
  await new Promise((resolve) => probe.close(resolve));
  return found;
}

/** @param problem what it means when that cannot be had */
function listen(where: object, problem: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error) => reject(new Error(`${problem}: ${error.message}`)));
    server.listen(where, () => resolve(server));
  });
}
