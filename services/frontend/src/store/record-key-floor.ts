import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { openFloorFile } from '../floor-file.ts';

const keyNumber = z.int().min(1);

/** The record keys that a frontend has followed, from oldest to newest. */
const FollowedKeys = z.object({
  oldest: keyNumber,
  newest: keyNumber,
  /** The generation of the domain key under which the newest was made. */
  madeIn: z.int().min(1),
  /** By number, of those that were made after the last removal. Files of earlier releases have none. */
  fingerprints: z.record(z.string().regex(/^[1-9]\d{0,8}$/), z.string().regex(/^[0-9a-f]{64}$/)).default({}),
});
export type FollowedKeys = z.output<typeof FollowedKeys>;

/** The record keys that this frontend has followed in earlier runs. It goes on from them, and to no older one. */
export interface RecordKeyFloor {
  readonly lowest: FollowedKeys | undefined;
  /** Durable once it resolves. */
  raise(followed: FollowedKeys): Promise<void>;
  /** Operators have accepted another or an older store, as the successor of these. */
  forget(follows: readonly string[]): Promise<void>;
}

/** For whoever has no disk of its own. */
export const noRecordKeyFloor: RecordKeyFloor = { lowest: undefined, raise: async () => {}, forget: async () => {} };

export interface RecordKeyFloorOptions {
  readonly dataDir: string;
  readonly domain: string;
  /** The identity of the store; '' while it is not known. */
  readonly storeId: () => string;
}

/**
 * A small file in `dataDir`. It names the store in which it was begun: an acceptance that succeeded another one may be
 * years old, and lies in Redis for whoever writes there. Throws ConfigError if the file is damaged or belongs to
 * another domain.
 */
export async function openRecordKeyFloor({ dataDir, domain, storeId }: RecordKeyFloorOptions): Promise<RecordKeyFloor> {
  const file = await openFloorFile({
    dataDir,
    domain,
    name: 'record-key-floor.json',
    schema: z.strictObject({ domain: z.string(), ...FollowedKeys.shape, store: z.string().optional() }),
    advice: "If 'keyfleet doctor' finds the record key well, remove the file.",
  });
  return {
    get lowest() {
      return file.content;
    },
    async raise({ oldest, newest, madeIn, fingerprints }) {
      const store = file.content?.store ?? (storeId() || undefined);
      const next = { domain, oldest, newest, madeIn, fingerprints, store };
      if (!isDeepStrictEqual(file.content, next)) await file.write(next);
    },
    async forget(follows) {
      const store = file.content?.store;
      if (store === undefined || follows.includes(store)) await file.remove();
    },
  };
}
