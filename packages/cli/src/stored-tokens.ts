import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { readFields, readString } from '@keyfleet/shared/redis/stored-values';
import { firstAccessKeyIn, type StoredKind, storedNameOf } from '@keyfleet/shared/stored/names';
import { z } from 'zod';

/** A sealed value as a frontend stored it; what it says about itself is only a claim. */
export interface StoredToken {
  readonly token: Buffer;
  /** Present for a KMS key's token: the key it belongs to, according to the record that contains it. */
  readonly of?: { readonly keyId: string; readonly account: string; readonly materialId: string };
}

/** The parts of frontends' records that contain something sealed. */
const KeyRecord = z.object({
  keyId: z.string(),
  accountId: z.string(),
  /** Imported material that is not present has no token. */
  backingKeys: z.array(z.object({ token: z.base64().optional(), materialId: z.string() })),
});
const Sealed = z.object({ token: z.base64() });
const AccessKeyRecord = Sealed;
/** The credential of an external store's proxy, or the password of a CloudHSM cluster. */
const KeyStoresRecord = z.object({
  stores: z.array(z.union([z.object({ xks: Sealed }), z.object({ cluster: Sealed })])),
});

const holders: ReadonlySet<StoredKind | undefined> = new Set<StoredKind>([
  'key',
  'accessKey',
  'firstAccessKey',
  'keyStores',
  'secret',
]);

/** Whether the value under this name may contain tokens. */
export function holdsTokens(name: string): boolean {
  return holders.has(storedNameOf(name)?.kind);
}

/** Empty if there is no such value. Throws ZodError, SyntaxError and DamagedValueError for an unreadable record. */
export async function loadTokens(redis: RedisClient, name: string): Promise<readonly StoredToken[]> {
  switch (storedNameOf(name)?.kind) {
    case 'key': {
      const [text] = await readFields(redis, name, ['record']);
      if (text === undefined) return [];
      const { keyId, accountId: account, backingKeys } = KeyRecord.parse(JSON.parse(text.toString()));
      return backingKeys.flatMap(({ token, materialId }) =>
        token === undefined ? [] : [{ token: bytesOf(token), of: { keyId, account, materialId } }],
      );
    }
    case 'accessKey':
      return tokensOfAccessKey((await readString(redis, name))?.toString());
    case 'firstAccessKey':
      return tokensOfAccessKey(firstAccessKeyIn((await readString(redis, name))?.toString() ?? '').record);
    case 'keyStores': {
      const text = await readString(redis, name);
      if (text === undefined) return [];
      return KeyStoresRecord.parse(JSON.parse(text.toString())).stores.map((store) => ({
        token: bytesOf('xks' in store ? store.xks.token : store.cluster.token),
      }));
    }
    case 'secret': {
      const token = await readString(redis, name);
      return token === undefined ? [] : [{ token }];
    }
    default:
      return [];
  }
}

function tokensOfAccessKey(text: string | undefined): readonly StoredToken[] {
  return text === undefined ? [] : [{ token: bytesOf(AccessKeyRecord.parse(JSON.parse(text)).token) }];
}

function bytesOf(base64: string): Buffer {
  return Buffer.from(base64, 'base64');
}
