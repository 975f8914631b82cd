import type { DomainState } from '@keyfleet/shared/domain/state';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { FakeParts, untilDone } from '@keyfleet/test-support/fakes/reseal-parts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { HsmCommands } from '../hsm/commands.ts';
import type { Found } from './reseal-parts.ts';
import { NotNowError, type ResealDeps, resealShard, type SealedRecord } from './resealer.ts';

const Header = defineFormat('test/header/1', z.object({ domain: z.string(), domainKeyId: z.string() }));
const OLD = '0'.repeat(32);
const ACTIVE = '1'.repeat(32);
const item = { generation: 2, pass: 1, shard: 0, shards: 1 };

function token(domainKeyId: string): Buffer {
  const writer = new Writer();
  writer.bytes(Header.encode({ domain: 'test', domainKeyId }));
  writer.bytes(Buffer.from('sealed'));
  return writer.finish();
}

interface Setup {
  readonly stored: Map<string, Uint8Array[]>;
  readonly deps: ResealDeps;
  readonly left: string[];
  readonly parts: FakeParts;
}

/** The findings of a whole pass. */
async function runPass({ deps, parts }: Setup): Promise<Found> {
  await resealShard(item, deps, untilDone);
  return parts.takeSum();
}

/** Records in a map; `changing` ones change between read and write. The worker seals under `workerKey`. */
function newSetup(
  stored: Record<string, Uint8Array[]>,
  options: { workerKey?: string; changing?: string } = {},
): Setup {
  const map = new Map(Object.entries(stored));
  const left: string[] = [];
  const recordOf = ([name, tokens]: [string, Uint8Array[]]): SealedRecord => ({
    name,
    tokens,
    replace: async (next) => name !== options.changing && map.set(name, [...next]) !== undefined,
  });
  const hsm = { execute: async () => ({ token: token(options.workerKey ?? ACTIVE) }) } as unknown as HsmCommands;
  const domainKeys = [
    { id: OLD, createdGeneration: 1, createdAt: 1, status: 'deactivated' as const },
    { id: ACTIVE, createdGeneration: 2, createdAt: 2, status: 'active' as const },
  ];
  const parts = new FakeParts([...map.keys()]);
  const deps: ResealDeps = {
    parts,
    records: { load: async (names) => names.map((name) => recordOf([name, map.get(name)!])) },
    hsm,
    domainState: () => ({ domainKeys }) as unknown as DomainState,
    clock: { now: () => 0 },
    onLeft: (name) => left.push(name),
  };
  return { stored: map, deps, left, parts };
}

test('every old token of a record is replaced, and a second pass finds nothing', async () => {
  const setup = newSetup({ a: [token(OLD), token(ACTIVE), token(OLD)], b: [token(ACTIVE)], c: [] });
  expect(await runPass(setup)).toEqual({ resealed: 2, remaining: 0 });
  expect(setup.stored.get('a')).toEqual([token(ACTIVE), token(ACTIVE), token(ACTIVE)]);
  expect(await runPass(setup)).toEqual({ resealed: 0, remaining: 0 });
});

test('a record that changed meanwhile is left as it is, and counted', async () => {
  const setup = newSetup({ a: [token(OLD)], b: [token(OLD)] }, { changing: 'a' });
  expect(await runPass(setup)).toEqual({ resealed: 1, remaining: 1 });
  expect([setup.stored.get('a'), setup.left]).toEqual([[token(OLD)], ['a']]);
});

test('a worker that still seals under the old key proves nothing', async () => {
  const setup = newSetup({ a: [token(OLD)] }, { workerKey: OLD });
  expect(await runPass(setup)).toEqual({ resealed: 0, remaining: 1 });
  expect(setup.stored.get('a')).toEqual([token(OLD)]);
});

test('junk in place of a token never counts as resealed', async () => {
  const setup = newSetup({ a: [Buffer.from('damaged')] }, { workerKey: OLD });
  expect(await runPass(setup)).toEqual({ resealed: 0, remaining: 1 });
});

test('an item of a later generation waits, one of an earlier is dropped', async () => {
  const { deps, parts } = newSetup({ a: [token(OLD)] });
  await expect(resealShard({ ...item, generation: 3 }, deps, untilDone)).rejects.toThrow(NotNowError);
  await resealShard({ ...item, generation: 1 }, deps, untilDone);
  expect(parts.reported).toEqual([]);
});

test('a frontend that stops reports the part that it was at, and leaves the rest', async () => {
  const { stored, deps, parts } = newSetup({ a: [token(OLD)], b: [token(OLD)] });
  const stop = new AbortController();
  const load = async (names: readonly string[]) => {
    stop.abort();
    return deps.records.load(names);
  };
  const stopping = resealShard(item, { ...deps, records: { load } }, { alive: () => {}, stop: stop.signal });
  await expect(stopping).rejects.toThrow(NotNowError);
  expect(parts.reported).toEqual([
    { resealed: 0, remaining: 0 },
    { resealed: 1, remaining: 0 },
  ]);
  expect([...stored.values()]).toEqual([[token(ACTIVE)], [token(OLD)]]);
});

test('who never gets a part reports what it found before, and tries again later: not for ever, nor when it is to end', async () => {
  const { deps } = newSetup({ a: [token(OLD)] });
  const calls: string[] = [];
  const answers = [['a']];
  const next = async () => (calls.push('next'), answers.shift() ?? ('missed' as const));
  const leave = async () => void calls.push('leave');
  const missing = { ...deps, parts: { open: async () => ({ next, leave }) } };
  await expect(resealShard(item, missing, untilDone)).rejects.toThrow('others took each part first');
  expect([calls.length < 1_000, calls.pop()]).toEqual([true, 'leave']);

  const stop = new AbortController();
  const alive = () => calls.length > 3 && stop.abort();
  calls.length = 0;
  await expect(resealShard(item, missing, { alive, stop: stop.signal })).rejects.toThrow(NotNowError);
  expect(calls).toEqual(['next', 'next', 'next', 'next', 'leave']);

  calls.length = 0;
  const later = { domainKeys: [{ id: ACTIVE, createdGeneration: 3, createdAt: 2, status: 'active' }] };
  const domainState = () => (calls.length > 1 ? (later as unknown as DomainState) : deps.domainState());
  await resealShard(item, { ...missing, domainState }, untilDone);
  expect(calls).toEqual(['next', 'next']);
});
