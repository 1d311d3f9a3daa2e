/** The store's thread: it may block on a disk, and nobody else does. */
import { parentPort, workerData } from "node:worker_threads";
import { pack, unpack } from "msgpackr";
import { openStore, type StoreSettings } from "../store/open.ts";
import type { Counter, Store } from "../store/store.ts";
import { Peer } from "./peer.ts";
import type { StoreOffers } from "./store.ts";
import { asResult } from "./store-result.ts";

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

const answer = <Value>(work: (store: Store) => Promise<Value>) => asResult(async () => work(await opened()));

const offers: StoreOffers = {
  listEntities: (kind) => answer((store) => store.listEntities(kind)),
  getEntity: ([kind, id]) => answer((store) => store.getEntity(kind, id)),
  putEntity: (write) => answer((store) => store.putEntity(write)),
  deleteEntity: ([kind, id, version]) => answer((store) => store.deleteEntity(kind, id, version)),
  listOverrides: () => answer((store) => store.listOverrides()),
  putOverride: (override) => answer((store) => store.putOverride(override)),
  deleteOverride: (budget) => answer((store) => store.deleteOverride(budget)),
  loadCounters: (now) => answer(async (store) => Uint8Array.from(pack(await store.loadCounters(now)))),
  saveCounters: (batch) => answer((store) => store.saveCounters(unpack(batch) as readonly Counter[])),
  dropCounters: (until) => answer((store) => store.dropCounters(until)),
  ping: () => answer((store) => store.ping()),
  close: () => answer((store) => store.close()),
};

new Peer<StoreOffers, object>(parentPort, offers);
