import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { storedNameOf } from '@keyfleet/shared/stored/names';
import { z } from 'zod';

/** A sealed value as a frontend stored it; what it says of itself is a claim. */
export interface StoredToken {
  readonly token: Buffer;
  /** There for a KMS key's token: whose it is, by the record that it lies in. */
  readonly of?: { readonly keyId: string; readonly account: string; readonly materialId: string };
}

/** Of the frontends' records only what holds something sealed. */
const KeyRecord = z.object({
  keyId: z.string(),
  accountId: z.string(),
  /** Imported material that is not here has no token. */
  backingKeys: z.array(z.object({ token: z.base64().optional(), materialId: z.string() })),
});
const AccessKeyRecord = z.object({ token: z.base64() });

const KeyStoresRecord = z.object({ stores: z.array(z.object({ xks: z.object({ token: z.base64() }) })) });

/** Whether tokens lie under this name. */
export function holdsTokens(name: string): boolean {
  const kind = storedNameOf(name)?.kind;
  return kind === 'key' || kind === 'accessKey' || kind === 'keyStores' || kind === 'secret';
}

/** None when nothing lies there. Throws ZodError and SyntaxError for a record that cannot be read. */
export async function loadTokens(redis: RedisClient, name: string): Promise<readonly StoredToken[]> {
  switch (storedNameOf(name)?.kind) {
    case 'key': {
      const text = await redis.hget(name, 'record');
      if (text === null) return [];
      const { keyId, accountId: account, backingKeys } = KeyRecord.parse(JSON.parse(text));
      return backingKeys.flatMap(({ token, materialId }) =>
        token === undefined ? [] : [{ token: bytesOf(token), of: { keyId, account, materialId } }],
      );
    }
    case 'accessKey': {
      const text = await redis.get(name);
      return text === null ? [] : [{ token: bytesOf(AccessKeyRecord.parse(JSON.parse(text)).token) }];
    }
    case 'keyStores': {
      const text = await redis.get(name);
      if (text === null) return [];
      return KeyStoresRecord.parse(JSON.parse(text)).stores.map(({ xks }) => ({ token: bytesOf(xks.token) }));
    }
    case 'secret': {
      const token = await redis.getBuffer(name);
      return token === null ? [] : [{ token }];
    }
    default:
      return [];
  }
}

function bytesOf(base64: string): Buffer {
  return Buffer.from(base64, 'base64');
}
