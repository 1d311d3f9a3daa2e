/**
 * Reading server-sent events and JSON lines from bytes. Lines are cut on bytes and decoded afterwards, so a character
 * that arrives in two pieces stays whole (WHATWG HTML, section 9.2.6; a last event without its blank line is taken too,
 * since some providers close right after it).
 */

export interface SseEvent {
  /** The `event:` field; empty when there was none. */
  readonly event: string;
  /** The `data:` fields, joined with line feeds. */
  readonly data: string;
}

/** One event is larger than the limit: the upstream is broken or hostile. */
export class SseError extends Error {
  override readonly name = "SseError";
}

/** What cuts a stream of bytes into events. */
export interface EventReader {
  /**
   * The events that these bytes complete. The bytes are kept until their line ends, and must not be reused.
   *
   * @throws SseError when an event grows beyond the limit
   */
  push(bytes: Uint8Array): readonly SseEvent[];
  /** The last event, where the stream ended without closing it. */
  end(): readonly SseEvent[];
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const defaultMaxBytes = 8 * 1024 * 1024;

export class SseReader implements EventReader {
  readonly #lines: LineCutter;
  readonly #maxBytes: number;
  #first = true;
  #event = "";
  #data: string[] = [];
  #dataLength = 0;

  /** @param maxBytes the largest event, in bytes of one line and in characters of all its data */
  constructor(maxBytes = defaultMaxBytes) {
    this.#maxBytes = maxBytes;
    this.#lines = new LineCutter(maxBytes);
  }

  push(bytes: Uint8Array): readonly SseEvent[] {
    const events: SseEvent[] = [];
    this.#lines.push(bytes, (line) => this.#take(line, events));
    return events;
  }

  end(): readonly SseEvent[] {
    const events: SseEvent[] = [];
    this.#lines.end((line) => this.#take(line, events));
    this.#dispatch(events);
    return events;
  }

  #take(raw: string, events: SseEvent[]): void {
    const line = this.#first && raw.startsWith("\uFEFF") ? raw.slice(1) : raw;
    this.#first = false;
    if (line === "") {
      this.#dispatch(events);
      return;
    }
    const colon = line.indexOf(":");
    // A comment: some providers send them to keep the connection alive.
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    if (field !== "data" && field !== "event") return;
    const start = line.charAt(colon + 1) === " " ? colon + 2 : colon + 1;
    const value = colon === -1 ? "" : line.slice(start);
    if (field === "event") {
      this.#event = value;
      return;
    }
    this.#dataLength += value.length + 1;
    if (this.#dataLength > this.#maxBytes) throw tooLarge(this.#maxBytes);
    this.#data.push(value);
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0) events.push({ event: this.#event, data: this.#data.join("\n") });
    this.#event = "";
    this.#data = [];
    this.#dataLength = 0;
  }
}

/** Reads a stream of JSON texts, one a line; each becomes an event without a name. */
export class JsonLinesReader implements EventReader {
  readonly #lines: LineCutter;

  /** @param maxBytes the largest line */
  constructor(maxBytes = defaultMaxBytes) {
    this.#lines = new LineCutter(maxBytes);
  }

  push(bytes: Uint8Array): readonly SseEvent[] {
    const events: SseEvent[] = [];
    this.#lines.push(bytes, (line) => takeJson(line, events));
    return events;
  }

  end(): readonly SseEvent[] {
    const events: SseEvent[] = [];
    this.#lines.end((line) => takeJson(line, events));
    return events;
  }
}

function takeJson(line: string, events: SseEvent[]): void {
  const data = line.trim();
  if (data !== "") events.push({ event: "", data });
}

/** Cuts bytes into lines that end with LF, CR LF or CR. */
class LineCutter {
  readonly #maxBytes: number;
  /** The beginning of a line whose end has not arrived. Joined only then: joining each time would cost the square. */
  #pending: Uint8Array[] = [];
  #pendingLength = 0;
  /** The last byte was a CR: an LF right behind it belongs to the same line end. */
  #afterReturn = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(bytes: Uint8Array, take: (line: string) => void): void {
    let start = 0;
    let nextReturn = bytes.indexOf(carriageReturn);
    while (start < bytes.length) {
      if (this.#afterReturn) {
        this.#afterReturn = false;
        if (bytes[start] === lineFeed) {
          start++;
          continue;
        }
      }
      const nextFeed = bytes.indexOf(lineFeed, start);
      if (nextReturn !== -1 && nextReturn < start) nextReturn = bytes.indexOf(carriageReturn, start);
      const isReturn = nextReturn !== -1 && (nextFeed === -1 || nextReturn < nextFeed);
      const end = isReturn ? nextReturn : nextFeed;
      if (end === -1) break;
      take(this.#line(bytes.subarray(start, end)));
      this.#afterReturn = isReturn;
      start = end + 1;
    }
    if (start >= bytes.length) return;
    this.#pending.push(bytes.subarray(start));
    this.#pendingLength += bytes.length - start;
    if (this.#pendingLength > this.#maxBytes) throw tooLarge(this.#maxBytes);
  }

  end(take: (line: string) => void): void {
    if (this.#pendingLength > 0) take(this.#line(new Uint8Array()));
  }

  #line(end: Uint8Array): string {
    const bytes = this.#pendingLength === 0 ? end : Buffer.concat([...this.#pending, end]);
    this.#pending = [];
    this.#pendingLength = 0;
    if (bytes.length > this.#maxBytes) throw tooLarge(this.#maxBytes);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
  }
}

function tooLarge(maxBytes: number): SseError {
  return new SseError(`The stream has an event of more than ${maxBytes} bytes.`);
}
