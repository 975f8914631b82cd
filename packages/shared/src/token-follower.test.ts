import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { noNotices } from './notices.ts';
import { TokenFollower, type TokenSource } from './token-follower.ts';

/** A source with a chain of that many tokens, each of which is its own number. */
function sourceOf(address: string, length: () => number, fetch?: TokenSource['fetch']): TokenSource {
  const page = (after: number) =>
    Array.from({ length: Math.max(0, length() - after) }, (_, i) => Uint8Array.of(after + 1 + i)).slice(0, 2);
  return { address, fetch: fetch ?? (async (after) => page(after)), close: () => {} };
}

function follow(sources: readonly TokenSource[]) {
  let generation = 0;
  const said: string[] = [];
  const follower = new TokenFollower({
    sources,
    notices: noNotices,
    generation: () => generation,
    take: async (tokens) => {
      for (const [number] of tokens) {
        if (number !== generation + 1) throw new Error(`token ${number} does not follow token ${generation}`);
        generation = number;
        await delay(1);
      }
    },
    pollMs: () => 20,
    onUnreachable: (address, error) => said.push(`${address}: ${String(error)}`),
    onRefused: (address, error) => said.push(`${address} refused: ${String(error)}`),
  });
  return { follower, said, generation: () => generation, [Symbol.asyncDispose]: () => follower[Symbol.asyncDispose]() };
}

const hanging = new Promise<never>(() => {});

test('every source is asked: one that withholds tokens, fails, lies or hangs keeps nobody from the newest', async () => {
  let length = 3;
  await using one = follow([
    sourceOf('withholds', () => 1),
    sourceOf(
      'fails',
      () => 0,
      () => Promise.reject(new Error('away')),
    ),
    sourceOf(
      'lies',
      () => 0,
      async () => [Uint8Array.of(200)],
    ),
    sourceOf(
      'hangs',
      () => 0,
      () => hanging,
    ),
    sourceOf('honest', () => length),
  ]);
  await expect.poll(one.generation).toBe(3);
  length = 5;
  await expect.poll(one.generation).toBe(5);
});

test('sources that show the same chain at once give it once', async () => {
  await using one = follow([sourceOf('a', () => 9), sourceOf('b', () => 9), sourceOf('c', () => 9)]);
  await one.follower.refresh();
  expect(one.generation()).toBe(9);
  expect(one.said).toEqual([]);
});

test('the same trouble is said once', async () => {
  let asked = 0;
  await using one = follow([
    sourceOf(
      'a',
      () => 0,
      () => {
        asked++;
        return Promise.reject(new Error('away'));
      },
    ),
  ]);
  await expect.poll(() => asked).toBeGreaterThan(2);
  expect(one.said).toEqual(['a: Error: away']);
});

test('a problem is logged again when it returns after the source had answered', async () => {
  let asked = 0;
  await using one = follow([
    sourceOf(
      'a',
      () => 0,
      async () => {
        if (asked++ === 1) return [];
        throw new Error('away');
      },
    ),
  ]);
  await expect.poll(() => asked).toBeGreaterThan(3);
  expect(one.said).toEqual(['a: Error: away', 'a: Error: away']);
});

test('a refresh waits for what is newer, and for no source that hangs once another has shown it', async () => {
  let length = 1;
  await using one = follow([
    sourceOf(
      'hangs',
      () => 0,
      () => hanging,
    ),
    sourceOf('withholds', () => 1),
    sourceOf(
      'honest',
      () => length,
      async (after) => {
        await delay(10);
        return Array.from({ length: Math.max(0, length - after) }, (_, i) => Uint8Array.of(after + 1 + i)).slice(0, 1);
      },
    ),
  ]);
  await expect.poll(one.generation).toBe(1);
  length = 4;
  await one.follower.refresh();
  expect(one.generation()).toBe(4);
});

test('a refresh does not end with a look that began before it', async () => {
  let length = 0;
  const answers: PromiseWithResolvers<void>[] = [];
  await using one = follow([
    sourceOf(
      'slow',
      () => 0,
      async (after) => {
        const shown = length;
        answers.push(Promise.withResolvers());
        await answers.at(-1)!.promise;
        return Array.from({ length: Math.max(0, shown - after) }, (_, i) => Uint8Array.of(after + 1 + i));
      },
    ),
  ]);
  await expect.poll(() => answers.length).toBe(1);
  length = 1;
  const refreshed = one.follower.refresh();
  answers[0]!.resolve();
  await expect.poll(() => answers.length).toBe(2);
  answers[1]!.resolve();
  await expect.poll(() => answers.length).toBe(3);
  answers[2]!.resolve();
  await refreshed;
  expect(one.generation()).toBe(1);
  for (const answer of answers) answer.resolve();
});

test('a stop waits until what is being taken is kept, and not for a source that hangs', async () => {
  const taking = Promise.withResolvers<void>();
  const kept = Promise.withResolvers<void>();
  let generation = 0;
  const follower = new TokenFollower({
    sources: [
      sourceOf(
        'hangs',
        () => 0,
        () => hanging,
      ),
      sourceOf('honest', () => 1),
    ],
    notices: noNotices,
    generation: () => generation,
    take: async () => {
      taking.resolve();
      await kept.promise;
      generation = 1;
    },
    pollMs: () => 20,
    onUnreachable: () => {},
    onRefused: () => {},
  });
  await taking.promise;
  const stopped = follower[Symbol.asyncDispose]();
  kept.resolve();
  await stopped;
  expect(generation).toBe(1);
});
