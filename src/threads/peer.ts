/** Calls between two threads over one message port: each side offers functions by name, the other awaits them. */
import type { MessagePort } from "node:worker_threads";

type Anyone = (argument: never) => unknown;
/** What a function is called with. */
export type Argument<F> = F extends (argument: infer A) => unknown ? A : never;
/** What the other side gets of a function. */
export type Result<F> = F extends (argument: never) => infer R
  ? Awaited<R> extends Moved<infer V>
    ? V
    : Awaited<R>
  : never;

/** What a function gives back together with memory that moves to the other side instead of being copied. */
export class Moved<Value> {
  readonly value: Value;
  readonly transfer: readonly ArrayBuffer[];

  constructor(value: Value, transfer: readonly ArrayBuffer[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

interface Call {
  readonly kind: "call";
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

type Return =
  | { readonly kind: "return"; readonly id: number; readonly value: unknown }
  | { readonly kind: "return"; readonly id: number; readonly error: unknown };

/** What a port and a `Worker` have in common. */
export interface Port {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: "message", listener: (message: unknown) => void): unknown;
}

/**
 * One end of the line.
 *
 * @typeParam Mine what this side offers
 * @typeParam Theirs what the other side offers
 */
export class Peer<Mine extends { [name in keyof Mine]: Anyone }, Theirs extends { [name in keyof Theirs]: Anyone }> {
  readonly #port: Port;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void }>();
  #lastId = 0;
  #gone: Error | undefined;

  constructor(port: MessagePort | Port, mine: Mine) {
    this.#port = port;
    const offers = new Map<string, Anyone>(Object.entries(mine));
    port.on("message", (message: unknown) => {
      if (!isMessage(message)) return;
      if (message.kind === "return") this.#settle(message);
      else void this.#serve(message, offers);
    });
  }

  /**
   * Calls a function of the other side.
   *
   * @param transfer memory in the argument that moves there instead of being copied
   * @throws (as a rejection) what that function throws; that the argument cannot be cloned, or that the other side is gone
   */
  call<Name extends keyof Theirs & string>(
    name: Name,
    argument: Argument<Theirs[Name]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Result<Theirs[Name]>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) throw this.#gone;
      const call: Call = { kind: "call", id, name, argument };
      this.#port.postMessage(call, transfer);
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** The other side is gone: what waits for it fails, and so does every call from now on. */
  hangUp(reason: Error): void {
    this.#gone ??= reason;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #settle(message: Return): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ("error" in message) waiting?.reject(message.error);
    else waiting?.resolve(message.value as never);
  }

  async #serve(call: Call, offers: ReadonlyMap<string, Anyone>): Promise<void> {
    const offer = offers.get(call.name);
    let answer: Return;
    let transfer: readonly ArrayBuffer[] = [];
    try {
      if (offer === undefined) throw new Error(`no function ${call.name} is offered`);
      const given = await offer(call.argument as never);
      const isMoved = given instanceof Moved;
      if (isMoved) transfer = given.transfer;
      answer = { kind: "return", id: call.id, value: isMoved ? given.value : given };
    } catch (error) {
      answer = { kind: "return", id: call.id, error };
    }
    try {
      this.#port.postMessage(answer, transfer);
    } catch (error) {
      // The answer cannot be cloned; why, always can.
      this.#port.postMessage({ kind: "return", id: call.id, error: new Error(String(error)) } satisfies Return);
    }
  }
}

function isMessage(message: unknown): message is Call | Return {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    (message.kind === "call" || message.kind === "return")
  );
}
