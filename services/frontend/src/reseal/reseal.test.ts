import type { DomainState } from '@keyfleet/shared/domain/state';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { HsmCommands } from '../hsm/commands.ts';
import { NotThereYetError, type ResealDeps, resealShard } from './reseal.ts';
import type { SealedRecord } from './sealed-records.ts';

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
}

/** Records in a map; `changing` ones change between reading and writing. The worker seals under `workerKey`. */
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
  const deps: ResealDeps = {
    records: {
      async *scan() {
        yield [...map].map(recordOf);
      },
    },
    hsm,
    domainState: () => ({ domainKeys }) as unknown as DomainState,
    clock: { now: () => 0 },
    onLeft: (name) => left.push(name),
  };
  return { stored: map, deps, left };
}

test('every old token of a record is replaced, and a second pass finds nothing', async () => {
  const { stored, deps } = newSetup({ a: [token(OLD), token(ACTIVE), token(OLD)], b: [token(ACTIVE)], c: [] });
  expect(await resealShard(item, deps, () => {})).toEqual({ resealed: 2, remaining: 0 });
  expect(stored.get('a')).toEqual([token(ACTIVE), token(ACTIVE), token(ACTIVE)]);
  expect(await resealShard(item, deps, () => {})).toEqual({ resealed: 0, remaining: 0 });
});

test('a record that changed meanwhile is left as it is, and counted', async () => {
  const { stored, deps, left } = newSetup({ a: [token(OLD)], b: [token(OLD)] }, { changing: 'a' });
  expect(await resealShard(item, deps, () => {})).toEqual({ resealed: 1, remaining: 1 });
  expect([stored.get('a'), left]).toEqual([[token(OLD)], ['a']]);
});

test('a worker that still seals under the old key proves nothing', async () => {
  const { stored, deps } = newSetup({ a: [token(OLD)] }, { workerKey: OLD });
  expect(await resealShard(item, deps, () => {})).toEqual({ resealed: 0, remaining: 1 });
  expect(stored.get('a')).toEqual([token(OLD)]);
});

test('what is no token is never taken for resealed', async () => {
  const { deps } = newSetup({ a: [Buffer.from('damaged')] }, { workerKey: OLD });
  expect(await resealShard(item, deps, () => {})).toEqual({ resealed: 0, remaining: 1 });
});

test('an item of a later generation waits, one of an earlier is dropped', async () => {
  const { deps } = newSetup({});
  await expect(resealShard({ ...item, generation: 3 }, deps, () => {})).rejects.toThrow(NotThereYetError);
  expect(await resealShard({ ...item, generation: 1 }, deps, () => {})).toBeUndefined();
});
