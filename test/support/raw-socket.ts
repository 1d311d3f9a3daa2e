/** A connection on which a test writes and reads bytes, one by one if it must. */
import { connect, type Socket } from "node:net";
import { until } from "./wait.ts";

export class RawSocket {
  readonly #socket: Socket;
  #text = "";
  /** The other side has closed or reset the connection. */
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("end", () => {
      this.closed = true;
    });
    socket.on("close", () => {
      this.closed = true;
    });
  }

  static async open(port: number): Promise<RawSocket> {
    const socket = connect(port, "127.0.0.1");
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawSocket(socket);
  }

  /** Everything read so far, as Latin-1. */
  get text(): string {
    return this.#text;
  }

  /** @param bytes text goes out as Latin-1 */
  write(bytes: string | Uint8Array): void {
    this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Waits until the text read so far contains this. */
  async reads(part: string): Promise<string> {
    await until(JSON.stringify(part.slice(0, 100)), () => this.#text.includes(part));
    return this.#text;
  }

  /** Waits until the other side closes, and gives everything it sent. */
  async toEnd(): Promise<string> {
    await until("the connection's end", () => this.closed);
    return this.#text;
  }

  /** Reads nothing more until {@link resume}. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Leaves without a word. */
  destroy(): void {
    this.#socket.destroy();
  }
}
