import { ConnectionErrorCode, ConnectionState } from '@keyfleet/shared/api/choices';
import { keyStoresAt, type Scope } from '@keyfleet/shared/stored/names';
import { z } from 'zod';
import type { RecordPlace } from '../store/record-mac.ts';
import { bytes, damagedRecord, decodeRecord } from '../store/records.ts';
import type { CustomKeyStore } from './key-store.ts';

export const XksProxyRecord = z.strictObject({
  uriEndpoint: z.string().min(1),
  uriPath: z.string().min(1),
  accessKeyId: z.string().min(1),
  token: bytes,
});

export const ClusterRecord = z.strictObject({
  clusterId: z.string().min(1),
  trustAnchor: z.string().min(1),
  token: bytes,
});

const UnderWayRecord = z.strictObject({ requestId: z.string().min(1), until: z.int() });

const anyStore = {
  id: z.string().min(1),
  name: z.string().min(1),
  createdAt: z.int(),
  state: ConnectionState,
  connecting: UnderWayRecord.optional(),
  disconnecting: UnderWayRecord.optional(),
  error: ConnectionErrorCode.optional(),
};

export const ExternalKeyStoreRecord = z.strictObject({
  ...anyStore,
  type: z.literal('EXTERNAL_KEY_STORE'),
  xks: XksProxyRecord,
});

export const ClusterKeyStoreRecord = z.strictObject({
  ...anyStore,
  type: z.literal('AWS_CLOUDHSM'),
  cluster: ClusterRecord,
});

const CustomKeyStoreRecord = z.discriminatedUnion('type', [ExternalKeyStoreRecord, ClusterKeyStoreRecord]);

export const KeyStoresRecord = z.strictObject({
  schemaVersion: z.literal(1),
  accountId: z.string().min(1),
  region: z.string().min(1),
  /** Counts writes. */
  revision: z.int().default(0),
  stores: z.array(CustomKeyStoreRecord),
});
type KeyStoresRecord = z.output<typeof KeyStoresRecord>;

export function keyStoresPlace(scope: Scope): RecordPlace {
  return { name: keyStoresAt(scope)[0] };
}

export function encodeKeyStores({ accountId, region }: Scope, stores: readonly CustomKeyStore[], revision: number) {
  const record = { schemaVersion: 1 as const, accountId, region, revision, stores: [...stores] };
  return JSON.stringify(z.encode(KeyStoresRecord, record));
}

/** Throws DamagedRecordError unless `text` is the record of this account's Region. */
export function decodeKeyStores(
  text: string,
  { accountId, region }: Scope,
): Pick<KeyStoresRecord, 'stores' | 'revision'> {
  const name = `the custom key stores of ${accountId} in ${region}`;
  const record = decodeRecord(KeyStoresRecord, text, name);
  if (record.accountId !== accountId || record.region !== region) throw damagedRecord(name, 'it is of others');
  return record;
}
