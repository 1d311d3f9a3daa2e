/**
 * Counters in rows: what shares its labels stands side by side, so that a request finds all of it with one look-up.
 * Labels are bounded in their values and in their combinations, whatever clients send.
 */

/** What a row counts under one name. */
export type Column =
  | { readonly kind: "counter"; readonly name: string; readonly help: string }
  | {
      readonly kind: "histogram";
      readonly name: string;
      readonly help: string;
      /** Upper bounds, ascending, without the last one, which is infinity. */
      readonly buckets: readonly number[];
    };

/** The metrics that share their labels. */
export interface Layout<Name extends string = string> {
  /** Names the table between threads. */
  readonly table: string;
  readonly labels: readonly string[];
  readonly columns: Readonly<Record<Name, Column>>;
  /** The most combinations of label values; beyond it the {@link endlessLabels} are given up. */
  readonly maxRows: number;
}

/** One table as it crosses from thread to thread. */
export interface TableSnapshot {
  readonly table: string;
  /** Names. */
  readonly labels: readonly string[];
  /** The values of the labels, row after row. */
  readonly values: readonly string[];
  /** The rows' cells, row after row. */
  readonly cells: Float64Array<ArrayBuffer>;
}

/** The value of a label that has too many. */
export const otherValue = "other";
const maxValues = 1000;
const maxValueLength = 200;
/** What stands between label values in a key; no value has it. */
export const separator = "\u001f";

/** Labels whose values come from clients or grow with the number of customers; so do names that begin with `dim_`. */
const endlessLabels: ReadonlySet<string> = new Set(["model", "virtual_key", "team", "customer"]);

/**
 * Decides which values and which combinations labels may have: who comes first stays, later ones are `other`. The page
 * of all threads keeps one as long as the process lives, since a value that is counted apart at one scrape and under
 * `other` at the next would make counters fall.
 */
export class Bounds {
  readonly #maxRows: number;
  readonly #values: readonly Set<string>[];
  readonly #endless: readonly boolean[];
  readonly #keys = new Set<string>();

  constructor({ labels, maxRows }: Pick<Layout, "labels" | "maxRows">) {
    this.#maxRows = maxRows;
    this.#values = labels.map(() => new Set());
    this.#endless = labels.map((label) => endlessLabels.has(label) || label.startsWith("dim_"));
  }

  /** @returns the values to count under, and their key */
  admit(values: readonly string[]): { readonly key: string; readonly values: readonly string[] } {
    const bounded = values.map((value, index) => this.#boundValue(value, index));
    const key = bounded.join(separator);
    if (this.#keys.has(key)) return { key, values: bounded };
    if (this.#keys.size < this.#maxRows) {
      this.#keys.add(key);
      return { key, values: bounded };
    }
    const folded = bounded.map((value, index) => (this.#endless[index] === true ? otherValue : value));
    return { key: folded.join(separator), values: folded };
  }

  #boundValue(given: string, index: number): string {
    const value = clean(given);
    const known = this.#values[index];
    if (known === undefined || known.has(value)) return value;
    if (known.size >= maxValues) return otherValue;
    known.add(value);
    return value;
  }
}

/** Half surrogate pairs and control characters would make two series of what a reader sees as one. */
function clean(value: string): string {
  const short = value.length > maxValueLength ? value.slice(0, maxValueLength) : value;
  return dirty.test(short) ? Buffer.from(short.replace(controls, " ")).toString() : short;
}

const controls = /\p{Cc}/gu;
const dirty = /[\p{Cc}\p{Cs}]/u;

interface Row {
  readonly values: readonly string[];
  readonly cells: Float64Array<ArrayBuffer>;
}

export class Table<Name extends string = string> {
  readonly layout: Layout<Name>;
  /** Where in a row each column begins. A histogram has a cell for each bucket, one for infinity, one for the sum. */
  readonly at: Readonly<Record<Name, number>>;
  readonly #width: number;
  readonly #bounds: Bounds;
  /** By the values as they were given; only of those that are counted under their own names. */
  readonly #known = new Map<string, Float64Array>();
  readonly #rows = new Map<string, Row>();

  constructor(layout: Layout<Name>, bounds: Bounds = new Bounds(layout)) {
    this.layout = layout;
    this.#bounds = bounds;
    const { at, width } = place(layout.columns);
    this.at = at;
    this.#width = width;
    if (layout.labels.length === 0) this.row([]);
  }

  /**
   * Fast path.
   *
   * @param key the values joined by {@link separator}
   * @returns the cells of the row, or undefined for one that {@link row} has to look for
   */
  find(key: string): Float64Array | undefined {
    return this.#known.get(key);
  }

  /** The cells of the row for these label values, which may be that of `other`. */
  row(given: readonly string[]): Float64Array {
    const { key, values } = this.#bounds.admit(given);
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { values, cells: new Float64Array(this.#width) };
      this.#rows.set(key, row);
    }
    if (key === given.join(separator)) this.#known.set(key, row.cells);
    return row.cells;
  }

  get rows(): Iterable<Row> {
    return this.#rows.values();
  }

  snapshot(): TableSnapshot {
    const { table, labels } = this.layout;
    const cells = new Float64Array(this.#rows.size * this.#width);
    const values: string[] = [];
    let offset = 0;
    for (const row of this.#rows.values()) {
      values.push(...row.values);
      cells.set(row.cells, offset);
      offset += this.#width;
    }
    return { table, labels, values, cells };
  }

  /** Adds what another thread has counted. */
  add({ labels, values, cells }: TableSnapshot): void {
    const rows = cells.length / this.#width;
    for (let index = 0; index < rows; index++) {
      const row = this.row(values.slice(index * labels.length, (index + 1) * labels.length));
      const offset = index * this.#width;
      for (let cell = 0; cell < this.#width; cell++) row[cell] = (row[cell] ?? 0) + (cells[offset + cell] ?? 0);
    }
  }
}

/** Counts a value into the histogram that begins at this cell. */
export function observe(cells: Float64Array, at: number, buckets: readonly number[], value: number): void {
  let bucket = 0;
  while (bucket < buckets.length && value > (buckets[bucket] ?? 0)) bucket++;
  add(cells, at + bucket, 1);
  add(cells, at + buckets.length + 1, value);
}

export function add(cells: Float64Array, at: number, count: number): void {
  cells[at] = (cells[at] ?? 0) + count;
}

function place<Name extends string>(columns: Readonly<Record<Name, Column>>) {
  const at: Partial<Record<Name, number>> = {};
  let width = 0;
  for (const name in columns) {
    at[name] = width;
    const column = columns[name];
    width += column.kind === "counter" ? 1 : column.buckets.length + 2;
  }
  return { at: at as Readonly<Record<Name, number>>, width };
}
