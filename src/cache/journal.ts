/**
 * The entries on the disk: a row of files, each a head and records.
 *
 *     head    "BIFROST-CACHE" and the version of the form, 16 bytes: 1, or 2 with an encryption key
 *     record  length u32, CRC-32 of the payload u32 (little-endian), payload: MessagePack
 *
 * With a key each payload is sealed with AES-256-GCM, and opens in its own file only. A file of the other form is removed:
 * it cannot be read, or it would keep in the clear what is to be encrypted.
 *
 * Records are only ever appended, to the newest file. A file goes when none of its entries lives any more, the oldest
 * first, so that what a later file says about an entry of an older one is never lost. Files are treated as untrusted. One
 * without the head is not ours, one with a wrong checksum is damaged: both are renamed and never read again. What a damaged
 * file said about older entries cannot be known, so those go as well; and a disk that cannot be written takes the whole
 * journal away: an empty cache is better than an answer that was deleted and returns. Only the newest file may end within a
 * record, which is what the end of a process leaves behind; it is cut there.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { packed, unpacked } from "./entry.ts";

const plainHead = Buffer.from("BIFROST-CACHE\0\0\x01", "latin1");
const sealedHead = Buffer.from("BIFROST-CACHE\0\0\x02", "latin1");
const headBytes = plainHead.byteLength;
const cipherName = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;
const recordHead = 8;
const fileName = /^cache-(\d{9})\.log$/;
/** A file that has this many bytes is followed by the next one. */
const fileBytes = 8 * 1024 * 1024;
/** Records that wait longer than this are written. Milliseconds. */
const flushAfterMs = 200;
/** A disk that is this far behind counts as one that cannot be written. Bytes. */
const maxBehind = 64 * 1024 * 1024;
/** After a failure nothing is written for this long. Milliseconds. */
const restMs = 30_000;
/** How many files that were put aside are kept. */
const keptAside = 2;

/** Takes a record that was read, and the number of its file; false for one that makes no sense. */
export type Replay = (record: unknown, file: number) => boolean;

type FileState = "whole" | "foreign" | "other" | "damaged";

export class Journal {
  readonly #folder: string;
  readonly #onProblem: (message: string) => void;
  readonly #key: Uint8Array | null;
  /** Bytes of each file, the oldest first; the last one is written to. */
  readonly #files = new Map<number, number>();
  #current = 0;
  #handle: FileHandle | undefined;
  #waiting: Uint8Array[] = [];
  /** Bytes that were given to the disk and are not written yet. */
  #behind = 0;
  /** The file that is open. */
  #opened = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #restUntil = 0;
  #closed = false;

  /** @param key 32 bytes to encrypt with; null writes in the clear */
  constructor(folder: string, onProblem: (message: string) => void, key: Uint8Array | null = null) {
    this.#folder = folder;
    this.#onProblem = onProblem;
    this.#key = key;
  }

  /** The file that the next record goes to. */
  get current(): number {
    return this.#current;
  }

  /** The oldest file, unless it is the one that is written to. */
  get oldest(): number | undefined {
    for (const file of this.#files.keys()) return file === this.#current ? undefined : file;
    return undefined;
  }

  get bytes(): number {
    let sum = 0;
    for (const bytes of this.#files.values()) sum += bytes;
    return sum;
  }

  /**
   * Reads all files, the oldest first, in steps of one record each. Never throws: what cannot be read is reported.
   *
   * @param startOver everything that was replayed so far does not count any more
   */
  *loading(replay: Replay, startOver: () => void): Generator<void, void, void> {
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const numbers = readdirSync(this.#folder)
        .map((name) => Number(fileName.exec(name)?.[1] ?? Number.NaN))
        .filter((number) => !Number.isNaN(number))
        .sort((a, b) => a - b);
      this.#current = (numbers.at(-1) ?? 0) + 1;
      for (const number of numbers) {
        const state = yield* this.#read(number, number === numbers.at(-1), replay);
        if (state === "damaged") {
          startOver();
          for (const older of this.#files.keys()) this.remove(older);
        }
        if (state === "other") this.#unlink(number);
        else if (state !== "whole") this.#putAside(number);
      }
      this.#dropAside();
    } catch (error) {
      startOver();
      this.#fail(error);
    }
  }

  *#read(number: number, newest: boolean, replay: Replay): Generator<void, FileState, void> {
    const bytes = readFileSync(this.#path(number));
    const [head, other] = this.#key === null ? [plainHead, sealedHead] : [sealedHead, plainHead];
    const start = bytes.subarray(0, headBytes);
    if (start.equals(other)) return "other";
    if (!start.equals(head)) return "foreign";
    const end = yield* readRecords(bytes, (payload) => {
      const opened = this.#open(payload, number);
      return opened !== undefined && understood(opened, (record) => replay(record, number));
    });
    if (end.kind === "torn" && newest) truncateSync(this.#path(number), end.at);
    else if (end.kind !== "whole") return "damaged";
    this.#files.set(number, end.at);
    return "whole";
  }

  #putAside(number: number): void {
    this.#onProblem(`${this.#path(number)} is damaged, or not a file of the cache; it was renamed`);
    renameSync(this.#path(number), `${this.#path(number)}.damaged`);
  }

  #dropAside(): void {
    const aside = readdirSync(this.#folder).filter((name) => name.endsWith(".log.damaged"));
    for (const name of aside.sort().slice(0, -keptAside)) rmSync(join(this.#folder, name), { force: true });
  }

  /** Appends a record; it is on its way to the disk within 200 ms. */
  append(record: unknown): void {
    if (this.#closed || Date.now() < this.#restUntil) return;
    const payload = this.#seal(packed(record), this.#current);
    const start = Buffer.alloc(recordHead);
    start.writeUInt32LE(payload.byteLength, 0);
    start.writeUInt32LE(crc32(payload), 4);
    this.#waiting.push(start, payload);
    const bytes = (this.#files.get(this.#current) ?? headBytes) + recordHead + payload.byteLength;
    this.#files.set(this.#current, bytes);
    if (bytes >= fileBytes) {
      this.#write();
      this.#current++;
    } else this.#timer ??= setTimeout(() => this.#write(), flushAfterMs);
    this.#timer?.unref();
  }

  /** Resolves when everything that was appended has been written, or given up. */
  async flush(): Promise<void> {
    this.#write();
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  /** Removes a file none of whose entries lives. */
  remove(number: number): void {
    this.#files.delete(number);
    this.#unlink(number);
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    const file = this.#current;
    this.#waiting = [];
    if (this.#behind > maxBehind) {
      this.#fail(new Error("the disk is too slow"));
      return;
    }
    const bytes = batch.reduce((sum, part) => sum + part.byteLength, 0);
    this.#behind += bytes;
    this.#writing = this.#writing.then(async () => {
      this.#behind -= bytes;
      // A journal that was taken away in the meantime begins anew, without what it missed.
      if (!this.#files.has(file)) return;
      try {
        await this.#writeTo(file, batch);
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  async #writeTo(file: number, batch: readonly Uint8Array[]): Promise<void> {
    if (this.#handle === undefined || this.#opened !== file) {
      await this.#handle?.close();
      this.#handle = undefined;
      // "wx": a file that another process has made is not ours to write to.
      this.#handle = await open(this.#path(file), "wx", 0o600);
      this.#opened = file;
      await this.#handle.write(this.#key === null ? plainHead : sealedHead);
    }
    await this.#handle.writev([...batch]);
  }

  #fail(error: unknown): void {
    this.#onProblem(`the cache cannot be written to the disk: ${textOf(error)}`);
    this.#restUntil = Date.now() + restMs;
    this.#waiting = [];
    const files = [...this.#files.keys()];
    this.#files.clear();
    this.#current++;
    for (const file of files) this.#unlink(file);
  }

  #unlink(number: number): void {
    try {
      rmSync(this.#path(number), { force: true });
    } catch (error) {
      this.#onProblem(`a file of the cache cannot be removed: ${textOf(error)}`);
    }
  }

  #seal(payload: Uint8Array, file: number): Uint8Array {
    if (this.#key === null) return payload;
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(cipherName, this.#key, nonce).setAAD(Buffer.from(String(file)));
    return Buffer.concat([nonce, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
  }

  /** Undefined when it was sealed with another key or for another file, or is damaged. */
  #open(payload: Uint8Array, file: number): Uint8Array | undefined {
    if (this.#key === null) return payload;
    if (payload.byteLength < nonceBytes + tagBytes) return undefined;
    const decipher = createDecipheriv(cipherName, this.#key, payload.subarray(0, nonceBytes));
    decipher.setAAD(Buffer.from(String(file))).setAuthTag(payload.subarray(-tagBytes));
    try {
      return Buffer.concat([decipher.update(payload.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    } catch {
      // The tag does not fit: that is the answer to the question.
      return undefined;
    }
  }

  #path(number: number): string {
    return join(this.#folder, `cache-${String(number).padStart(9, "0")}.log`);
  }
}

interface End {
  readonly kind: "whole" | "torn" | "damaged";
  readonly at: number;
}

/** How far a file can be read: to its end, to a record that the end cuts off, or to one that is not as it was written. */
function* readRecords(bytes: Buffer, take: (payload: Uint8Array) => boolean): Generator<void, End, void> {
  let at = headBytes;
  while (at < bytes.byteLength) {
    if (at + recordHead > bytes.byteLength) return { kind: "torn", at };
    const length = bytes.readUInt32LE(at);
    const sum = bytes.readUInt32LE(at + 4);
    const payload = bytes.subarray(at + recordHead, at + recordHead + length);
    if (payload.byteLength !== length) return { kind: "torn", at };
    if (crc32(payload) !== sum || !take(payload)) return { kind: "damaged", at };
    at += recordHead + length;
    yield;
  }
  return { kind: "whole", at };
}

function understood(payload: Uint8Array, take: (record: unknown) => boolean): boolean {
  let record: unknown;
  try {
    record = unpacked(payload);
  } catch {
    // Its checksum is right and its form is not: another program's.
    return false;
  }
  return take(record);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
