// Our bounded cache beside lru-cache, doing the same: node bench/micro/caches.ts. Hits, misses that push out, how much
// is hit, and memory.
import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import { LRUCache } from 'lru-cache';
import { costOf } from './cost.ts';

const ENTRIES = 100_000;
const ROUNDS = 2_000_000;
const WEIGHT = 100;

interface Cache {
  get(name: string): object | undefined;
  set(name: string, value: object): unknown;
}

const weightOf = (): number => WEIGHT;
const makers: Readonly<Record<string, () => Cache>> = {
  'bounded-cache': () => new BoundedCache<object>({ maxWeight: ENTRIES * WEIGHT, weightOf }),
  'lru-cache': () => new LRUCache<string, object>({ maxSize: ENTRIES * WEIGHT, sizeCalculation: weightOf }),
  'lru-cache, count given': () =>
    new LRUCache<string, object>({ max: ENTRIES, maxSize: ENTRIES * WEIGHT, sizeCalculation: weightOf }),
};

const names = Array.from({ length: 4 * ENTRIES }, (_, i) => `us-east-1/key/${i.toString(16).padStart(32, '0')}`);
const value = {};

/** The same numbers each time, so that all caches see the same names. */
function random(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Few names often, many seldom: the nth about 1/n as often as the first. */
function skewedNames(): string[] {
  const next = random();
  return Array.from({ length: ROUNDS }, () => names[Math.floor(names.length ** next()) - 1]!);
}

function filled(make: () => Cache): Cache {
  const cache = make();
  for (const name of names.slice(0, ENTRIES)) cache.set(name, value);
  return cache;
}

async function hitCost(make: () => Cache, among: number): Promise<number> {
  const cache = filled(make);
  const next = random();
  const order = Array.from({ length: 1 << 16 }, () => names[Math.floor(next() * among)]!);
  let i = 0;
  return costOf(ROUNDS, () => {
    if (cache.get(order[i++ & 0xffff]!) === undefined) throw new Error('the cache lost a name');
  });
}

async function missCost(make: () => Cache): Promise<number> {
  const cache = filled(make);
  let i = ENTRIES;
  return costOf(ROUNDS / 4, () => {
    const name = names[i++ % names.length]!;
    if (cache.get(name) === undefined) cache.set(name, value);
  });
}

function hitRate(make: () => Cache, asked: readonly string[]): number {
  const cache = make();
  let hits = 0;
  for (const name of asked) {
    if (cache.get(name) === undefined) cache.set(name, value);
    else hits++;
  }
  return hits / asked.length;
}

function bytesPerEntry(make: () => Cache): number {
  const collect = globalThis.gc ?? (() => {});
  collect();
  const bytes = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const before = bytes();
  const cache = filled(make);
  collect();
  const taken = bytes() - before;
  if (cache.get(names[0]!) === undefined) throw new Error('the cache lost a name');
  return taken / ENTRIES;
}

const skewed = skewedNames();
for (const [name, make] of Object.entries(makers)) {
  const columns = [
    `hit ${(1000 * (await hitCost(make, 1_000))).toFixed(0)} ns among 1,000`,
    `${(1000 * (await hitCost(make, ENTRIES))).toFixed(0)} ns among ${ENTRIES.toLocaleString('en')}`,
    `miss and replace ${(1000 * (await missCost(make))).toFixed(0)} ns`,
    `hit rate ${(100 * hitRate(make, skewed)).toFixed(1)} %`,
    `${bytesPerEntry(make).toFixed(0)} bytes an entry`,
  ];
  process.stdout.write(`${name}: ${columns.join(', ')}\n`);
}
