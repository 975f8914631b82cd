import { encodeDomainChange, Proposal } from '@keyfleet/shared/domain/proposal';
import { DomainState, MAX_DOMAIN_KEYS, MAX_MEMBERS } from '@keyfleet/shared/domain/state';
import { TokenBody, TokenEnvelope, TokenHeader, withWitness } from '@keyfleet/shared/domain/token';
import { newReplica, resetWorld, world } from '@keyfleet/test-support/replicas';
import { expect, test } from 'vitest';
import { handlersOf, TOKEN_BYTES } from './server.ts';

const OPERATORS = 1024;
const signature = Buffer.alloc(96);
const idOf = (kind: string, i: number) => `${kind}-${i}`.padEnd(128, '-');
const key = Buffer.alloc(120);
const members = Array.from({ length: MAX_MEMBERS }, (_, i) => ({
  memberId: idOf('hsm', i),
  signingKey: key,
  agreementKey: key,
  encapsulationKey: Buffer.alloc(1568),
}));
const operators = Array.from({ length: OPERATORS }, (_, i) => ({
  operatorId: idOf('frontend', i),
  role: 'service-host' as const,
  signingKey: key,
}));

function signedByAll(admit: typeof members, remove: typeof members): Buffer {
  const command = encodeDomainChange({
    domain: 'd'.repeat(63),
    generation: MAX_DOMAIN_KEYS,
    previousHash: Buffer.alloc(32),
    preparer: idOf('hsm', 0),
    name: 'ModifyMembers',
    body: { admit, remove: remove.map(({ memberId }) => memberId) },
  });
  return Proposal.encode({ command, signatures: operators.map(({ operatorId }) => ({ operatorId, signature })) });
}

/**
 * A recovery of as many workers as a domain has, under names as long as they may be, signed by all. It has been made
 * before these are lost again, and all sign that they are removed.
 */
function largestToken(): Buffer {
  const fresh = members.slice(1);
  const domainKeys = Array.from({ length: MAX_DOMAIN_KEYS }, (_, i) => ({
    id: i.toString(16).padStart(32, '0'),
    createdGeneration: i + 1,
    createdAt: Date.now(),
    status: i === MAX_DOMAIN_KEYS - 1 ? ('active' as const) : ('deactivated' as const),
    afterRemoval: false,
  }));
  const state = DomainState.encode({
    version: 3,
    domain: 'd'.repeat(63),
    generation: MAX_DOMAIN_KEYS + 1,
    madeAt: Date.now(),
    members,
    operators,
    rules: [],
    domainKeys,
    backupHorizonMs: 0,
  });
  const header = TokenHeader.encode({
    state,
    previousHash: Buffer.alloc(32),
    proposal: signedByAll(fresh, fresh),
    signerId: idOf('hsm', 0),
    wrappedKeys: members.map(({ memberId }) => ({
      memberId,
      ephemeralKey: key,
      iv: Buffer.alloc(12),
      sealed: Buffer.alloc(48),
      encapsulated: Buffer.alloc(1568),
    })),
  });
  // Of each domain key its id and its 32 bytes.
  const body = TokenBody.encode({ header, iv: Buffer.alloc(12), sealed: Buffer.alloc(MAX_DOMAIN_KEYS * 80) });
  return withWitness({ made: TokenEnvelope.encode({ body, signature }) }, signedByAll([], fresh));
}

test('the largest token that a recovery makes is not too large to be brought', () => {
  const { length } = largestToken();
  expect(length).toBeGreaterThan(2_500_000);
  expect(length).toBeLessThan(TOKEN_BYTES);
});

test.each([
  ['is empty', ''],
  ['is a part of one', 'ab'.repeat(16)],
  ['is in upper case', 'AB'.repeat(32)],
  ['is longer', 'ab'.repeat(33)],
  ['ends in a line feed', `${'ab'.repeat(32)}\n`],
  ['ends like a name that a frontend’s user may write', 'x}:store'],
])('an approval is refused if what it names %s, before the store is asked for it', async (_what, id) => {
  resetWorld();
  const asked: string[] = [];
  const { store } = world;
  world.store = new Proxy(store, {
    get: (target, name) => {
      asked.push(String(name));
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const { tokens, proposals } = newReplica();
  const call = { request: { proposal_id: id }, getPath: () => '' };
  const handlers = handlersOf({ tokens, proposals } as unknown as Parameters<typeof handlersOf>[0]);
  const error = await new Promise((done) => handlers.Approve(call as never, done as never));
  expect(error).toMatchObject({ code: 3, details: expect.stringContaining('64 hexadecimal digits') });
  expect(asked).toEqual([]);
});
