import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import { noRecordKeyFloor } from './record-key-floor.ts';
import { FleetRecordKeys, LOOK_AGAIN_MS, type MadeRecordKey } from './record-keys.ts';

describe('a former frontend that had record keys made in advance, and writes Redis', () => {
  let secrets: MemoryStore;
  let hsm: FakeHsm;
  let domain: FakeDomain;
  /** What it kept, by name. */
  let kept: MemoryStore;
  let now: number;
  const monotonicClock = { now: () => now };

  const open = (store = secrets, known?: MadeRecordKey) => {
    const lowest = known && { oldest: 1, newest: known.number, madeIn: known.madeIn };
    const floor = { ...noRecordKeyFloor, lowest };
    return new FleetRecordKeys({ secrets: store, hsm, domain, clock: { now: Date.now }, monotonicClock, floor });
  };
  const keptToken = async (name: string) => (await kept.findSecret(name))!;

  beforeEach(async () => {
    [secrets, hsm, domain, kept, now] = [new MemoryStore(), new FakeHsm(), new FakeDomain(), new MemoryStore(), 0];
    await open().newest();
    const former = open(kept);
    for (let made = 0; made < 3; made++) await former.makeNext();
    hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  });

  test('does not have its own stored in the moment in which the next one is made', async () => {
    const racing = Object.assign(secrets, {
      insertSecret: async (name: string) => keptToken(name),
    });
    await expect(open(racing).makeNext()).rejects.toThrow('Remove kf:secret:{record-key-2}');
  });

  test('and a worker that has not heard of its removal: what it makes is not stored', async () => {
    hsm.sealsUnder = domain.state.domainKeys[0]!.id;
    await expect(open().makeNext()).rejects.toThrow('has not followed the last removal yet');
    expect(await secrets.findSecret('record-key-2')).toBeUndefined();
    hsm.sealsUnder = domain.active;
    expect(await open().makeNext()).toEqual({ number: 2, madeIn: 2 });
  });

  test('does not pass one off under the number of the newest, for who knows when that was made', async () => {
    const known = await open().makeNext();
    expect(known).toEqual({ number: 2, madeIn: 2 });
    expect(await open(secrets, known).look()).toMatchObject({ newest: 2 });
    secrets.findSecret = keptToken;
    await expect(open(secrets, known).look()).rejects.toThrow('record key 2 is another');
  });

  test.each(['a frontend at work', 'one that starts'])('does not show one and have %s open another', async (which) => {
    const atWork = open();
    await atWork.newest();
    const rotating = open();
    await rotating.makeNext();
    const genuine = (await rotating.newest()).key;
    now += LOOK_AGAIN_MS;
    const frontend = which === 'one that starts' ? open() : atWork;
    await frontend.look();
    secrets.findSecret = keptToken;
    expect((await frontend.newest()).key.equals(genuine)).toBe(true);
  });

  test('does not choose which generation is told of the key that is made', async () => {
    const find = secrets.findSecret.bind(secrets);
    const showing = async (name: string) => ((await find(name)) === undefined ? undefined : keptToken(name));
    const racing = Object.assign(secrets, { findSecret: showing });
    expect(await open(racing).makeNext()).toEqual({ number: 2, madeIn: 2 });
  });

  test('does not show who makes the next key another in the place of the key before', async () => {
    const rotating = open();
    const known = await rotating.makeNext();
    const genuine = (await rotating.newest()).key;
    const atWork = open(secrets, known);
    await atWork.makeNext();
    secrets.findSecret = keptToken;
    expect((await atWork.find(2))?.equals(genuine)).toBe(true);
  });

  test('does not show a frontend that starts with what it knew another in the place of the key before', async () => {
    const known = await open().makeNext();
    await open(secrets, known).makeNext();
    const atWork = open(secrets, known);
    expect(await atWork.look()).toMatchObject({ newest: 3 });
    const find = secrets.findSecret.bind(secrets);
    secrets.findSecret = async (name) => (name === 'record-key-2' ? keptToken(name) : find(name));
    await expect(atWork.find(2)).rejects.toThrow('record key 2 is another');
    secrets.findSecret = find;
    expect(await atWork.find(2)).toBeDefined();
  });

  test('does not slip one in between what the command found and what it makes', async () => {
    const rotating = open();
    expect(await rotating.look()).toMatchObject({ newest: 1 });
    await secrets.insertSecret('record-key-2', await keptToken('record-key-2'));
    await expect(rotating.makeNext()).rejects.toThrow('Remove kf:secret:{record-key-2}');
  });
});
