import { z } from 'zod';
import { openFloorFile } from '../floor-file.ts';

const keyNumber = z.int().min(1);

/** The record keys that a frontend has followed, from oldest to newest. */
const FollowedKeys = z.object({
  oldest: keyNumber,
  newest: keyNumber,
  /** The generation of the domain key under which the newest was made. */
  madeIn: z.int().min(1),
});
export type FollowedKeys = z.output<typeof FollowedKeys>;

/** The record keys that this frontend has followed in earlier runs. It goes on from them, and to no older one. */
export interface RecordKeyFloor {
  readonly lowest: FollowedKeys | undefined;
  /** Durable once it resolves. */
  raise(followed: FollowedKeys): Promise<void>;
  /** Operators have accepted another or an older store. */
  forget(): Promise<void>;
}

/** For whoever has no disk of its own. */
export const noRecordKeyFloor: RecordKeyFloor = { lowest: undefined, raise: async () => {}, forget: async () => {} };

/** A small file in `dataDir`. Throws ConfigError if the file is damaged or belongs to another domain. */
export async function openRecordKeyFloor(dataDir: string, domain: string): Promise<RecordKeyFloor> {
  const file = await openFloorFile({
    dataDir,
    domain,
    name: 'record-key-floor.json',
    schema: z.strictObject({ domain: z.string(), ...FollowedKeys.shape }),
    advice: "If 'keyfleet doctor' finds the record key well, remove the file.",
  });
  return {
    get lowest() {
      return file.content;
    },
    async raise({ oldest, newest, madeIn }) {
      const { content } = file;
      if (content?.oldest === oldest && content.newest === newest && content.madeIn === madeIn) return;
      await file.write({ domain, oldest, newest, madeIn });
    },
    forget: () => file.remove(),
  };
}
