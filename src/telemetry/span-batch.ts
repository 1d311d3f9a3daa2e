/**
 * Spans that go to a collector together, written as bytes when they come: as text, of which each is a tree of hundreds of
 * parts, they would be copied by every collection of garbage until the export.
 */

/** What stands around the spans of an export. */
export interface ExportFrame {
  readonly open: string;
  readonly close: string;
}

/** With the usual number of spans of the usual size it is not full. */
const usualBytes = 768 * 1024;
/** Of UTF-8, for each UTF-16 unit. */
const mostPerUnit = 3;

export class SpanBatch {
  readonly #bytes: Buffer;
  readonly #close: string;
  #length: number;
  #spans = 0;

  /** @param first the spans it is begun for: there is room for them */
  constructor({ open, close }: ExportFrame, first: readonly string[]) {
    const least = (open.length + close.length) * mostPerUnit + mostBytes(first);
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(usualBytes, least));
    this.#length = this.#bytes.write(open);
    this.#close = close;
  }

  get spans(): number {
    return this.#spans;
  }

  /** So far, with what stands before them. */
  get byteLength(): number {
    return this.#length;
  }

  hasRoomFor(spans: readonly string[]): boolean {
    return this.#length + mostBytes(spans) + this.#close.length * mostPerUnit <= this.#bytes.length;
  }

  /** @param spans each as JSON, for which there has to be room */
  add(spans: readonly string[]): void {
    for (const span of spans) {
      if (this.#spans++ > 0) this.#length += this.#bytes.write(",", this.#length);
      this.#length += this.#bytes.write(span, this.#length);
    }
  }

  /** The body of the export. Nothing is added afterwards. */
  body(): Buffer {
    const end = this.#length + this.#bytes.write(this.#close, this.#length);
    return this.#bytes.subarray(0, end);
  }
}

function mostBytes(spans: readonly string[]): number {
  return spans.reduce((sum, span) => sum + span.length * mostPerUnit + 1, 0);
}
