import { verifyChain } from '@keyfleet/shared/domain/chain';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { storedValues } from '@keyfleet/shared/stored/names';
import { rotation, TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { LIST_PIECE } from './backup/format.ts';
import { loadStoredDomain, verifyStoredDomain } from './stored-domain.ts';

const domain = new TestDomain({ members: 3 });
const { anchor } = domain;
domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
const twin = domain.prepare(rotation, domain.people, domain.hsms[1]!);
domain.rotate();
const tooLong = Buffer.alloc(storedValues.tokens.maxBytes + 1);

/** What the domain-manager shows at each look, the last for ever, while Redis holds these tokens. */
function load(
  shown: readonly (readonly Buffer[])[],
  stored: readonly Buffer[],
  { after, agreeMs = 0 }: { readonly after?: VerifiedDomain; readonly agreeMs?: number } = {},
) {
  let look = 0;
  const getChain = async () => {
    const tokens = shown[Math.min(look++, shown.length - 1)]!.slice();
    return { tokens, domain: verifyChain(anchor, tokens) };
  };
  return loadStoredDomain(redisWith(stored), { client: { getChain }, anchor }, { agreeMs, ...(after && { after }) });
}

/** Answers as the script of `readElements` does, which sends the length alone of what is too long. */
function redisWith(list: Pick<readonly Buffer[], 'slice'>): RedisClient {
  const answer = async (...args: readonly [unknown, unknown, unknown, unknown, number, number, number]) => {
    const [, , , , maxBytes, from, to] = args;
    return list.slice(from, to + 1).map((element) => (element.length > maxBytes ? element.length : element));
  };
  return { eval_roBuffer: answer } as never;
}

test('a domain that Redis holds as it is shown is believed', async () => {
  const { tokens } = domain;
  expect((await load([tokens], tokens)).state.generation).toBe(3);
  // Whoever can only write to Redis makes no token, and what he writes after the chain stops nobody.
  expect((await load([tokens], [...tokens, Buffer.from('rubbish'), twin])).state.generation).toBe(3);
  expect((await load([tokens], [...tokens, twin])).state.generation).toBe(3);
  expect((await load([tokens], [...tokens, tooLong])).state.generation).toBe(3);
});

test('a token that no other member confirms is none, wherever it lies', async () => {
  domain.clock.advance(24 * 3_600_000);
  const next = domain.prepare(rotation);
  await expect(load([domain.tokens], [...domain.tokens, next])).rejects.toThrow('and Redis holds token 4');
  const { made } = parseToken(next);
  expect((await load([domain.tokens], [...domain.tokens, Buffer.from(made)])).state.generation).toBe(3);
});

test('an older chain, in which a former member is a member, is not believed', async () => {
  await expect(load([domain.tokens.slice(0, 1)], domain.tokens)).rejects.toThrow(
    'the domain-manager shows domain token 1 as the newest, and Redis holds token 2: one of the two is not as it was',
  );
});

test('another token of the newest generation, or one that Redis lost, is not believed', async () => {
  const before = domain.tokens.slice(0, 2);
  await expect(load([domain.tokens], [...before, twin])).rejects.toThrow('and Redis holds another one of that number');
  await expect(load([domain.tokens], [...before, Buffer.alloc(9)])).rejects.toThrow('holds another one of that number');
  await expect(load([domain.tokens], [...before, tooLong])).rejects.toThrow('holds another one of that number');
  await expect(load([domain.tokens], before)).rejects.toThrow('and Redis does not hold it');
});

test('a token that was stored between two looks is waited for', async () => {
  const { tokens } = domain;
  expect((await load([tokens.slice(0, 2), tokens], tokens, { agreeMs: 5_000 })).state.generation).toBe(3);
});

test('a chain that does not hold what was known is not believed, although Redis holds it: a member may be alone in it', async () => {
  const other = [...domain.tokens.slice(0, 2), twin];
  expect((await load([other], other)).state.generation).toBe(3);
  await expect(load([other], other, { after: verifyChain(anchor, domain.tokens) })).rejects.toThrow(
    'the domain-manager shows another domain token 3 than before',
  );
  const after = verifyChain(anchor, domain.tokens.slice(0, 2));
  expect((await load([domain.tokens], domain.tokens, { after })).state.generation).toBe(3);
});

test('a domain is read from Redis in pages, to the end of its tokens', async () => {
  expect((await verifyStoredDomain(redisWith(domain.tokens), anchor)).hash).toEqual(parseToken(domain.tokens[2]!).hash);
  const long = new TestDomain();
  while (long.generation < 2 * LIST_PIECE) long.rotate();
  expect((await verifyStoredDomain(redisWith(long.tokens), long.anchor)).state.generation).toBe(2 * LIST_PIECE);
  await expect(verifyStoredDomain(redisWith([]), anchor)).rejects.toThrow('there is no domain token');
});

test('whoever writes what never ends, or is too long, behind the tokens has no more than a page of it read', async () => {
  let read = 0;
  const endless = {
    slice(from: number, to: number) {
      read = to;
      return Array.from({ length: to - from }, (_, i) => domain.tokens[from + i] ?? Buffer.from('rubbish'));
    },
  };
  await expect(verifyStoredDomain(redisWith(endless as never), anchor)).rejects.toThrow('not a canonical');
  expect(read).toBe(LIST_PIECE);
  await expect(verifyStoredDomain(redisWith([...domain.tokens, tooLong]), anchor)).rejects.toThrow(
    'element 3 of kf:domain:{test}:tokens has 3145729 bytes',
  );
});
