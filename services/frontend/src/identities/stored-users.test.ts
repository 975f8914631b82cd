import { beforeEach, expect, test } from 'vitest';
import { iamChangeOf } from '../store/change-feed.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { newAccessKey } from '../store/store.contract.ts';
import { AccountVersions } from './account-versions.ts';
import type { ChargedIam } from './iam-store.ts';
import { newUser } from './iam-store.contract.ts';
import { MemoryIamStore } from './memory-iam-store.ts';
import { StoredUsers } from './stored-users.ts';

const alice = newUser('alice');
const { accountId } = alice;
const asker = '999999999999';
const arnOf = (name: string): string => `arn:aws:iam::${accountId}:user/${name}`;

class Counting extends MemoryIamStore {
  reads = 0;
  override find(...asked: Parameters<MemoryIamStore['find']>): Promise<never> {
    this.reads += 1;
    return super.find(...asked) as Promise<never>;
  }
}

let iam: Counting;
let accessKeys: MemoryStore;
let versions: AccountVersions;
let users: StoredUsers;
beforeEach(async () => {
  [iam, accessKeys, versions] = [new Counting(), new MemoryStore(), new AccountVersions()];
  await iam.insert(alice, 9);
  const changes = { trusted: true, epoch: 1, isLastKnown: () => true };
  const charged: ChargedIam = (askedBy, use) => {
    expect(askedBy).toBe(asker);
    return use(iam);
  };
  users = new StoredUsers({ charged, accessKeys, partition: 'aws', changes, versions });
});

test('a user is read once, and again after a change in its account alone', async () => {
  for (let i = 0; i < 3; i++) expect(await users.idOf(arnOf('alice'), asker)).toBe(alice.id);
  versions.changed(iamChangeOf('999999999999'));
  expect(await users.idOf(arnOf('alice'), asker)).toBe(alice.id);
  expect(iam.reads).toBe(1);
  await iam.remove(alice);
  versions.changed(iamChangeOf(accountId));
  for (let i = 0; i < 3; i++) expect(await users.idOf(arnOf('alice'), asker)).toBeUndefined();
});

test('what is remembered is bounded by bytes, whatever names are asked for', async () => {
  await accessKeys.insertFirstAccessKey(newAccessKey('AKIA1', accountId));
  const long = (n: number): string => arnOf(`${n}`.padStart(1_900, 'x'));
  for (let n = 0; n < 3_000; n++) await users.idOf(long(n), asker);
  iam.reads = 0;
  await users.idOf(long(2_999), asker);
  expect(iam.reads).toBe(0);
  await users.idOf(long(0), asker);
  expect(iam.reads).toBe(1);
  expect(await users.idOf(arnOf('x'.repeat(30_000)), asker)).toBeUndefined();
  expect(iam.reads).toBe(1);
});

test('a change that comes during a read is not missed', async () => {
  const reading = users.idOf(arnOf('alice'), asker);
  versions.changed(iamChangeOf(accountId));
  await reading;
  await iam.remove(alice);
  expect(await users.idOf(arnOf('alice'), asker)).toBeUndefined();
});

test('who is gone is looked for once, and in an account of which nothing is known each time', async () => {
  for (let i = 0; i < 3; i++) expect(await users.idOf(arnOf('bob'), asker)).toBeUndefined();
  expect(iam.reads).toBe(3);
  await accessKeys.insertFirstAccessKey(newAccessKey('AKIA1', accountId));
  for (let i = 0; i < 3; i++) expect(await users.idOf(arnOf('bob'), asker)).toBeUndefined();
  expect(iam.reads).toBe(4);
});
