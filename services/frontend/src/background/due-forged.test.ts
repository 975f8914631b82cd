import { CreateAlias, ListAliases } from '@keyfleet/shared/api/aliases';
import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import { CreateGrant, ListGrants } from '@keyfleet/shared/api/grants';
import { CreateKey, DisableKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { EnableKeyRotation } from '@keyfleet/shared/api/rotation';
import { ReplicateKey } from '@keyfleet/shared/api/multi-region';
import { storeWith } from '@keyfleet/test-support/fakes/carry-out';
import { accountId, regions } from '@keyfleet/test-support/fakes/frontend';
import { begin, carryOut, frontend, left } from '@keyfleet/test-support/fakes/due-key';
import { dueEntryOf, dueKeyOf, dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { beforeEach, expect, test } from 'vitest';

// Entries have no MAC. Whoever writes to Redis can make any; the record decides.

beforeEach(begin);

type Named = Readonly<{ KeyId: string }>;

test.each<[string, (key: Named) => Promise<unknown>]>([
  ['enabled', () => Promise.resolve()],
  ['disabled', (key) => frontend.call(DisableKey, key)],
  ['rotating in a year', (key) => frontend.call(EnableKeyRotation, key)],
  ['to be deleted in a week', (key) => frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 })],
  ['replicated', (key) => frontend.call(ReplicateKey, { ...key, ReplicaRegion: regions[1]! })],
])('a forged entry says that a key that is %s is due, and nothing becomes of it', async (_is, prepare) => {
  const { KeyMetadata } = await frontend.call(CreateKey, { MultiRegion: true });
  const key = { KeyId: KeyMetadata!.KeyId! };
  await frontend.call(CreateAlias, { AliasName: 'alias/one', TargetKeyId: key.KeyId });
  const GranteePrincipal = `arn:aws:iam::${accountId}:root`;
  await frontend.call(CreateGrant, { ...key, GranteePrincipal, Operations: ['Encrypt'] });
  await prepare(key);
  const state = async () => ({
    records: await Promise.all(regions.map((region) => frontend.store.findKey(region, key.KeyId))),
    aliases: (await frontend.call(ListAliases, {})).Aliases,
    grants: (await frontend.call(ListGrants, key)).Grants,
    done: [...frontend.hsm.executed, ...frontend.hsm.evicted],
  });
  // What the preparation left to be recorded.
  frontend.now += 60_000;
  await carryOut();
  frontend.serviceEvents.length = 0;
  const before = await state();

  const elsewhere = ['unknown-region', ''];
  const forged = [...regions, ...elsewhere].flatMap((region) =>
    [accountId, '444455556666', ''].map((owner) =>
      dueKeyOf(dueEntryOf({ region, accountId: owner, keyId: key.KeyId }, 0, 'forged')),
    ),
  );
  const removed: string[] = [];
  // Somebody may put an entry into the list of other keys, too.
  const shardOf = (due: (typeof forged)[number]) => (dueShardOf(due) + forged.indexOf(due)) % DUE_SHARDS;
  const store = storeWith(frontend.store, {
    listDue: async (shard) => ({ items: forged.filter((due) => shardOf(due) === shard) }),
    removeDue: async (shard, { entry }) => void removed.push(`${shard} ${entry}`),
  });
  await carryOut({ store });
  expect(await state()).toEqual(before);
  expect([left, frontend.serviceEvents]).toEqual([[], []]);
  expect(removed.toSorted()).toEqual(forged.map((due) => `${shardOf(due)} ${due.entry}`).toSorted());
});
