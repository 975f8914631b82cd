import { Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken, TokenEnvelope, tokenHash, withWitness } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { storedValues } from '@keyfleet/shared/stored/names';
import { forgedToken, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ListPiece } from './format.ts';
import { SoundTokens, TokenChains } from './sound-tokens.ts';

const name = 'kf:domain:{test}:tokens';
const domain = new TestDomain({ members: 3 });
for (let i = 0; i < 2; i++) domain.rotate();
const [one, two, three] = domain.tokens as [Buffer, Buffer, Buffer];

const list = (tokens: readonly Buffer[], from = 0): ListPiece => ({
  name,
  type: 'list',
  from,
  value: tokens.map((token) => token.toString('base64')),
});

/** What is left of each piece, and what is said. */
async function soundOf(pieces: readonly ListPiece[], chains = new TokenChains(undefined, { tell() {} })) {
  const leftOut: string[] = [];
  const pass = new SoundTokens(chains, (what) => leftOut.push(what));
  const sound: (ListPiece | undefined)[] = [];
  for (const piece of pieces) sound.push(await pass.soundOf(piece));
  return { sound, leftOut };
}

/** The same token with another signature of its maker: its hash stays. */
function signedAnew(token: Buffer, sign: (body: Uint8Array) => Uint8Array): Buffer {
  const { body, witness } = parseToken(token);
  const made = TokenEnvelope.encode({ body, signature: sign(body) });
  return witness === undefined ? made : withWitness({ made }, witness);
}
const witnessedBy = (token: Buffer, witness: Buffer): Buffer => withWitness(parseToken(token), witness);

const forgeries: Record<string, (token: Buffer) => Buffer> = {
  'the signature of another member': (token) => signedAnew(token, (body) => domain.identities.get('hsm-2')!.sign(body)),
  'no signature': (token) => signedAnew(token, () => Buffer.alloc(96)),
  'no witness': (token) => Buffer.from(parseToken(token).made),
  'something else for a witness': (token) => witnessedBy(token, Buffer.from('no witness')),
  'its maker for a witness': (token) => witnessedBy(token, domain.checkBy('hsm-1', token)),
  'the witness of another token': (token) => witnessedBy(token, domain.checkBy('hsm-2', token, { tokenHash: tokenHash(token === one ? two : one) })), // prettier-ignore
  'a proposal that nobody signed for a witness': (token) => witnessedBy(token, Proposal.encode({ ...parseToken(token).proposal, signatures: [] })), // prettier-ignore
};

describe.each(Object.entries(forgeries))(
  'a list of domain tokens ends where one has %s, though its hash stays:',
  (_, forge) => {
    test.each([1, 2, 3])('token %i', async (generation) => {
      const forged = domain.tokens.with(generation - 1, forge(domain.tokens[generation - 1]!));
      expect(forged.map((token) => tokenHash(token))).toEqual(domain.tokens.map((token) => tokenHash(token)));
      for (const anchor of [undefined, domain.anchor]) {
        const { sound, leftOut } = await soundOf([list(forged)], new TokenChains(anchor, { tell() {} }));
        expect(sound).toEqual([generation === 1 ? undefined : list(domain.tokens.slice(0, generation - 1))]);
        expect(leftOut).toEqual([
          expect.stringContaining(`${name} (from element ${generation - 1} on: token ${generation} does not verify: `),
        ]);
      }
    });
  },
);

describe('a token that a restore finds is that of the backup', () => {
  const again = signedAnew(two, (body) => domain.identities.get('hsm-1')!.sign(body));
  const otherWitness = witnessedBy(two, domain.checkBy('hsm-3', two));
  const chains = new TokenChains(domain.anchor, { tell() {} });

  test('if its maker signed it another time, or another member confirms it', () => {
    for (const found of [again, otherWitness]) {
      expect(chains.isSame(name, { expected: two, found, before: one })).toBe(true);
      expect(chains.isSame(name, { expected: found, found: two, before: one })).toBe(true);
      expect(chains.isSame(name, { expected: three, found: three, before: found })).toBe(true);
    }
  });

  test.each(Object.entries(forgeries))('but not with %s', (_, forge) => {
    for (const some of [chains, new TokenChains(undefined, { tell() {} })]) {
      expect(some.isSame(name, { expected: one, found: forge(one), before: undefined })).toBe(false);
      expect(some.isSame(name, { expected: two, found: forge(two), before: one })).toBe(false);
    }
  });

  test('but not if it is another genuine one, or follows something else', () => {
    const forked = new TestDomain({ members: 3 });
    const [before] = forked.tokens;
    const found = forked.prepare(rotation, forked.people, forked.hsms[1]!);
    const expected = forked.rotate();
    const both = new TokenChains(forked.anchor, { tell() {} });
    expect(both.isSame(name, { expected: found, found, before })).toBe(true);
    expect(both.isSame(name, { expected, found, before })).toBe(false);
    for (const other of [undefined, three, Buffer.from('x')])
      expect(chains.isSame(name, { expected: two, found: again, before: other })).toBe(false);
  });
});

test('all that a member signed another time stay', async () => {
  const again = signedAnew(two, (body) => domain.identities.get('hsm-1')!.sign(body));
  const otherWitness = witnessedBy(three, domain.checkBy('hsm-3', three));
  const tokens = [one, again, otherWitness];
  expect(tokens.every((token, i) => i === 0 || !token.equals(domain.tokens[i]!))).toBe(true);
  expect(await soundOf([list(tokens)])).toEqual({ sound: [list(tokens)], leftOut: [] });
});

const ofNoChange = forgedToken(two, domain.identities.get('hsm-1')!, () => ({
  proposal: Proposal.encode({ command: Buffer.from('junk'), signatures: [] }),
}));

test.each([
  ['is too long', Buffer.alloc(storedValues.tokens.maxBytes + 1), 'too long'],
  ['is none', Buffer.from('x'), 'token 2 does not verify: not a canonical keyfleet/domain-token/1'],
  ['is of no change', ofNoChange, 'token 2 does not verify: '],
  ['is an earlier one', one, 'token 2 does not verify: token 1 does not follow token 1'],
  ['is a later one', three, 'token 2 does not verify: token 3 does not follow token 1'],
])('of domain tokens the rest goes with one that %s: another would come into its place', async (_, wrong, why) => {
  const { sound, leftOut } = await soundOf([list([one, wrong, two]), list([two], 3)]);
  expect(sound).toEqual([list([one]), undefined]);
  expect(leftOut).toEqual([expect.stringContaining(`${name} (from element 1 on: ${why}`)]);
});

test('a list of another domain holds no tokens of this one', async () => {
  const other = { ...list([one]), name: 'kf:domain:{other}:tokens' };
  const { sound, leftOut } = await soundOf([other]);
  expect(sound).toEqual([undefined]);
  expect(leftOut.join()).toContain('token 1 does not verify: the token is of domain test');
});

test('a chain that others founded under the same name ends with a trust anchor alone', async () => {
  const others = new TestDomain();
  others.rotate();
  const withAnchor = (anchor?: TrustAnchor) => soundOf([list(others.tokens)], new TokenChains(anchor, { tell() {} }));
  expect((await withAnchor()).leftOut).toEqual([]);
  expect((await withAnchor(others.anchor)).leftOut).toEqual([]);
  const { sound, leftOut } = await withAnchor(domain.anchor);
  expect(sound).toEqual([undefined]);
  expect(leftOut.join()).toContain('from element 0 on: token 1 does not verify: the signature of alice');
});

test('a chain goes on from piece to piece, and an element of no place in it ends it', async () => {
  const pieces = domain.tokens.map((token, from) => list([token], from));
  expect(await soundOf(pieces)).toEqual({ sound: pieces, leftOut: [] });
  const { sound, leftOut } = await soundOf([list([one]), list([two], 2)]);
  expect(sound).toEqual([list([one]), undefined]);
  expect(leftOut.join()).toContain('from element 2 on: token 3 does not verify: it is not the one after');
});

test('what a backup holds twice is restored once more, unless it was replaced meanwhile: SCAN may give a name again', async () => {
  const pieces = [list([one]), list([one, two])];
  expect(await soundOf(pieces)).toEqual({ sound: pieces, leftOut: [] });
  const forged = forgeries['no witness']!(one);
  const { sound, leftOut } = await soundOf([list([one, two]), list([forged, two])]);
  expect(sound).toEqual([list([one, two]), undefined]);
  expect(leftOut.join()).toContain('from element 0 on: token 1 does not verify');
});

test('each token is verified once, however many passes there are, and each pass ends where the first did', async () => {
  let told = 0;
  const chains = new TokenChains(undefined, { tell: () => void told++ });
  const tokens = [list([one, two, forgeries['no witness']!(three)])];
  const first = await soundOf(tokens, chains);
  expect([first.leftOut.length, told]).toEqual([1, 3]);
  expect(await soundOf(tokens, chains)).toEqual(first);
  // The one that is none is looked at again.
  expect(told).toBe(4);
});

test('others have their turn while a long list is verified, and people hear how far it is', async () => {
  const said: string[] = [];
  let turns = 0;
  let isDone = false;
  const others = (async () => {
    for (; !isDone; turns++) await nextTurn();
  })();
  const long = new TestDomain();
  for (let i = 0; i < 5; i++) long.step(rotation);
  await soundOf([list(long.tokens)], new TokenChains(undefined, { tell: (what) => void said.push(what()) }));
  isDone = true;
  await others;
  expect(turns).toBeGreaterThanOrEqual(long.tokens.length);
  expect(said.at(-1)).toBe('5 domain tokens verified');
});
