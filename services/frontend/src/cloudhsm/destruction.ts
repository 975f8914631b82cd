import type { Clock } from '@keyfleet/shared/clock';
import { z } from 'zod';
import { findKeyStore, type KeyStoreStore } from '../key-stores/key-store.ts';
import { DAY_MS } from '../keys/key-rotation.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { damagedRecord } from '../store/records.ts';
import type { ClaimedEvent, DueStore, KeyStore, KeyTraces, StoredEvent } from '../store/store.ts';
import type { Clusters } from './clusters.ts';

/**
 * How long the second key of a deleted key stays in its token. Whoever writes Redis can put back the record of a
 * deletion that was cancelled, and has the key deleted: its record comes back from a backup, its second key from
 * nowhere. The event of the deletion is in the audit log for so long before.
 */
const KEPT_MS = 7 * DAY_MS;
const COMMAND_TIMEOUT_MS = 5_000;

/** Its place among the key's events. */
const ID = 'destruction';
/** `from`: milliseconds since the epoch. It is over after `KEPT_MS` more: who kept it cannot use it at any time. */
export const DestructionRecord = z.strictObject({ accountId: z.string(), customKeyStoreId: z.string(), from: z.int() });

export interface DestructionDeps {
  readonly store: Pick<DueStore, 'now'> & Pick<KeyStore, 'findKey' | 'forgetEvents'>;
  readonly keyStores: Pick<KeyStoreStore, 'find'>;
  readonly clusters: Pick<Clusters, 'destroyKey'>;
  readonly clock: Clock;
}

/** To be stored as the record of `key` is deleted; undefined if it has no key in a cluster. */
export function destructionOf(key: KmsKey, now: number): ClaimedEvent | undefined {
  const { accountId, customKeyStoreId, clusterId } = key;
  if (customKeyStoreId === undefined || clusterId === undefined) return undefined;
  const from = now + KEPT_MS;
  return { id: ID, text: JSON.stringify({ accountId, customKeyStoreId, from }), until: from };
}

export function isDestruction({ id }: StoredEvent): boolean {
  return id === ID;
}

/**
 * Destroys the second key, if its time has come and the key's record is not there again. Throws ClusterError while the
 * token is away, to be tried again. A key that nobody destroys stays in its token, as with AWS. It is useless: without
 * the record nothing opens what it opens.
 */
export async function carryOutDestruction(key: KeyTraces, stored: StoredEvent, deps: DestructionDeps): Promise<void> {
  const { store, clock } = deps;
  const { from, ...where } = parse(stored, key);
  const now = Math.min(clock.now(), await store.now());
  if (now < from) return;
  const isWanted = now < from + KEPT_MS && (await store.findKey(key.region, key.keyId)) === undefined;
  if (isWanted) await destroy({ ...where, region: key.region, keyId: key.keyId }, deps);
  await store.forgetEvents(key, [stored]);
}

async function destroy(
  { keyId, customKeyStoreId, ...scope }: KeyTraces & { readonly customKeyStoreId: string },
  { keyStores, clusters, clock }: DestructionDeps,
): Promise<void> {
  const found = findKeyStore(await keyStores.find(scope), customKeyStoreId);
  if (found?.type !== 'AWS_CLOUDHSM' || found.state !== 'CONNECTED') return;
  const { id: storeId, cluster } = found;
  await clusters.destroyKey({ ...scope, storeId, cluster }, keyId, clock.now() + COMMAND_TIMEOUT_MS);
}

function parse({ text }: StoredEvent, { region, keyId }: KeyTraces): z.output<typeof DestructionRecord> {
  try {
    return DestructionRecord.parse(JSON.parse(text));
  } catch (cause) {
    throw damagedRecord(`the destruction of key ${region}/${keyId}`, 'it is none that a frontend makes', cause);
  }
}
