/** The store's thread: it may block on a disk, and nobody else does. */
import { parentPort, workerData } from "node:worker_threads";
import { pack, unpack } from "msgpackr";
import { openStore, type StoreSettings } from "../store/open.ts";
import { type Counter, type Store, StoreError } from "../store/store.ts";
import { Peer } from "./peer.ts";
import type { StoreOffers, StoreResult } from "./store.ts";

if (parentPort === null) throw new Error("the store runs in a thread of its own");
const settings = workerData as StoreSettings;
let opening: Promise<Store> | undefined;

/** A store that could not be opened is tried again with the next call. */
function opened(): Promise<Store> {
  opening ??= openStore(settings).catch((error: unknown) => {
    opening = undefined;
    throw error;
  });
  return opening;
}

/** Errors lose their fields between threads, so that a failure is a result of its own. */
async function answer<Value>(work: (store: Store) => Promise<Value>): Promise<StoreResult<Value>> {
  try {
    return { ok: true, value: await work(await opened()) };
  } catch (error) {
    const known = error instanceof StoreError ? error : new StoreError("failed", String(error));
    return { ok: false, fault: known.fault, message: known.message, cause: textOf(known.cause) };
  }
}

function textOf(cause: unknown): string | undefined {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined;
}

const offers: StoreOffers = {
  listEntities: (kind) => answer((store) => store.listEntities(kind)),
  getEntity: ([kind, id]) => answer((store) => store.getEntity(kind, id)),
  putEntity: (write) => answer((store) => store.putEntity(write)),
  deleteEntity: ([kind, id, version]) => answer((store) => store.deleteEntity(kind, id, version)),
  loadCounters: (now) => answer(async (store) => Uint8Array.from(pack(await store.loadCounters(now)))),
  saveCounters: (batch) => answer((store) => store.saveCounters(unpack(batch) as readonly Counter[])),
  dropCounters: (until) => answer((store) => store.dropCounters(until)),
  ping: () => answer((store) => store.ping()),
  close: () => answer((store) => store.close()),
};

new Peer<StoreOffers, object>(parentPort, offers);
