import { CreateAlias, ListAliases } from '@keyfleet/shared/api/aliases';
import { Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateGrant, ListGrants } from '@keyfleet/shared/api/grants';
import { ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { carryOutAll, storeWith } from '@keyfleet/test-support/fakes/carry-out';
import { accountId, user } from '@keyfleet/test-support/fakes/frontend';
import { frontend, inWest, KeyId, newFrontend, replicate, west } from '@keyfleet/test-support/fakes/multi-region-key';
import { beforeEach, describe, expect, test } from 'vitest';

const DAY = 86_400_000;
const AliasName = 'alias/west';
const bob = user('bob', { policies: [] });

beforeEach(async () => {
  await newFrontend();
  await replicate({});
});

async function give(): Promise<void> {
  await frontend.call(CreateAlias, { AliasName, TargetKeyId: KeyId }, inWest);
  await frontend.call(CreateGrant, { KeyId, GranteePrincipal: bob.arn, Operations: ['Encrypt'] }, inWest);
}

async function given(): Promise<{ aliases: number; grants: number }> {
  const { Aliases = [] } = await frontend.call(ListAliases, {}, inWest);
  const { Grants = [] } = await frontend.call(ListGrants, { KeyId }, inWest);
  return { aliases: Aliases.length, grants: Grants.length };
}

async function deleteReplica(): Promise<void> {
  await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, inWest);
  frontend.now += 7 * DAY;
}

const byBob = { ...inWest, caller: bob };
const Plaintext = Buffer.of(1);

describe('a replica that is made again under the id of one that was deleted', () => {
  test('keeps what it is given, although another frontend is late with the deletion', async () => {
    await deleteReplica();
    const late = Promise.withResolvers<void>();
    const store = storeWith(frontend.store, {
      async deleteKey(...deletion) {
        await frontend.store.deleteKey(...deletion);
        await late.promise;
      },
    });
    const isLate = carryOutAll(frontend, { store });
    await expect.poll(() => frontend.store.findKey(west, KeyId)).toBeUndefined();
    await carryOutAll(frontend);
    await replicate({});
    await give();
    late.resolve();
    await isLate;
    expect(await given()).toEqual({ aliases: 1, grants: 1 });
  });

  test('has neither the grant nor the alias of the other, if somebody puts them back', async () => {
    await give();
    expect(await frontend.may(Encrypt, { KeyId, Plaintext }, byBob)).toBe(true);
    const alias = (await frontend.store.findAlias({ accountId, region: west }, AliasName))!;
    const [grant] = (await frontend.grants.list({ region: west, keyId: KeyId }, undefined, 1)).items;
    await deleteReplica();
    await carryOutAll(frontend);
    await replicate({});
    await frontend.store.insertAlias({ accountId, region: west }, alias, 9);
    await frontend.grants.insert(grant!, 9);
    const named = await frontend.refusal(Encrypt, { KeyId: AliasName, Plaintext }, inWest);
    expect(named).toMatch(/^NotFoundException: Alias .* is not found\.$/);
    expect(await frontend.may(Encrypt, { KeyId, Plaintext }, byBob)).toBe(false);

    const Condition = { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': [AliasName, 'alias/new'] } };
    const policy = JSON.stringify({
      Statement: [{ Effect: 'Allow', Action: 'kms:Encrypt', Resource: '*', Condition }],
    });
    const byAlias = { ...inWest, caller: user('carol', { policies: [policy] }) };
    expect(await frontend.may(Encrypt, { KeyId, Plaintext }, byAlias)).toBe(false);
    await frontend.call(CreateAlias, { AliasName: 'alias/new', TargetKeyId: KeyId }, inWest);
    expect(await frontend.may(Encrypt, { KeyId, Plaintext }, byAlias)).toBe(true);
  });
});
