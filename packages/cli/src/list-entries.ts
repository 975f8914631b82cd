import type { RecordPlace } from '@keyfleet/frontend/store/record-mac';
import { grantIndexOf, ListedGrant, retirableAt, retirableEntryOf } from '@keyfleet/shared/stored/grants';
import { iamLinksOf } from '@keyfleet/shared/stored/iam';
import { entryOf, keyListAt } from '@keyfleet/shared/stored/key-list';
import { keyInStoreEntryOf } from '@keyfleet/shared/stored/key-store-keys';
import { aliasesAt, iamAt, keyStoresAt, scopeOf, storedNameOf } from '@keyfleet/shared/stored/names';
import { z } from 'zod';

const Id = z.string().max(256);

/** The members that lists are derived from; only frontends know the rest of a record. */
export const KeyRecord = z.object({
  revision: z.int().min(1),
  keyId: Id,
  accountId: Id,
  region: Id,
  createdAt: z.int(),
  state: Id,
  deletionDate: z.int().optional(),
  automaticRotation: z.object({ nextDate: z.int() }).optional(),
  /** As many as a megabyte has, with their tokens. */
  backingKeys: z.array(z.object({ validTo: z.int().optional() })).max(10_000),
  imported: z.object({ validTo: z.int().optional() }).optional(),
  related: z.object({ primary: Id, spreading: z.boolean().optional() }).optional(),
  customKeyStoreId: Id.optional(),
  xksKeyId: Id.optional(),
});
export const AliasRecord = z.object({ targetKeyId: Id });

export interface ListEntry {
  readonly list: string;
  readonly entry: string;
}

/**
 * The entries that a record has in lists, whatever else they say; not that of a key among those that are due. Throws
 * ZodError and SyntaxError for what is no record.
 */
export function listEntriesOf({ name, field = '' }: RecordPlace, text: string): ListEntry[] {
  switch (storedNameOf(name)?.kind) {
    case 'key':
      return field === 'record' ? entriesOfKey(KeyRecord.parse(JSON.parse(text))) : [];
    case 'aliases': {
      const [, names, targets] = aliasesAt(scopeOf(name, 'aliases')!);
      const { targetKeyId } = AliasRecord.parse(JSON.parse(text));
      return [
        { list: names, entry: field },
        { list: targets, entry: `${targetKeyId}/${field}` },
      ];
    }
    case 'grants':
      return entriesOfGrant(name, ListedGrant.parse(JSON.parse(text)));
    case 'iam': {
      const [, names, links] = iamAt(storedNameOf(name)!.tag);
      return [{ list: names, entry: field }, ...iamLinksOf(JSON.parse(text)).map((entry) => ({ list: links, entry }))];
    }
    default:
      return [];
  }
}

function entriesOfKey({ customKeyStoreId, ...key }: z.output<typeof KeyRecord>): ListEntry[] {
  const inAccount = { list: keyListAt(key, key.keyId), entry: entryOf(key) };
  if (customKeyStoreId === undefined) return [inAccount];
  return [inAccount, { list: keyStoresAt(key)[1], entry: keyInStoreEntryOf({ ...key, customKeyStoreId }) }];
}

function entriesOfGrant(name: string, grant: ListedGrant): ListEntry[] {
  const index = name.replace('kf:grants:', 'kf:grant-index:');
  const indexed = grantIndexOf(grant).map((entry) => ({ list: index, entry }));
  if (grant.retiring === undefined) return indexed;
  return [...indexed, { list: retirableAt(grant.region, grant.retiring), entry: retirableEntryOf(grant) }];
}
