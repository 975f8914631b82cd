import { FakeParts, untilDone } from '@keyfleet/test-support/fakes/reseal-parts';
import { LoopbackWorker, startLoopbackPool } from '@keyfleet/test-support/loopback-worker';
import { FakeDomain, newDomainKey, newHost } from '@keyfleet/test-support/session-pair';
import { createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import type { SealedRecords } from '@keyfleet/frontend/background/resealer';
import { HsmClient } from '@keyfleet/frontend/hsm/client';
import type { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import type { CommandHandlers } from '@keyfleet/hsm-worker/boundary/executor';
import { type DomainState, isOfOne } from '@keyfleet/shared/domain/state';
import { domainKeyIdOf, ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import { expect, test } from 'vitest';
import { resealShard } from '../services/frontend/src/background/resealer.ts';
import { handlers } from '../services/hsm-worker/src/boundary/commands/handlers.ts';
import { CredentialToken } from '../services/hsm-worker/src/boundary/tokens/stored-token.ts';
import { openExportedKey } from '../services/hsm-worker/src/boundary/tokens/exported-key-token.ts';
import { materialIdOf } from '../services/hsm-worker/src/boundary/tokens/material-id.ts';
import { sealToken } from '../services/hsm-worker/src/boundary/tokens/sealed-token.ts';

const KEYS = 200;
const account = '111122223333';
const host = newHost();
const spec = { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT', origin: 'AWS_KMS' } as const;

function sealedIn(domain: FakeDomain): Buffer {
  const { keyring } = domain;
  const [keyId, secret] = [randomUUID(), randomBytes(32)];
  const materialId = materialIdOf(keyring.materialIdKey, { keyId, material: secret });
  const header = { ...spec, account, keyId, materialId };
  return sealToken(ExportedKeyToken, { header, secret }, { keyring, nonce: randomBytes });
}

/** A token that says it is under the active domain key, whose id anyone may know, and that nothing opens. */
function rubbishIn(domain: FakeDomain): Buffer {
  const { keyring } = domain;
  const header = { ...spec, account, keyId: randomUUID(), materialId: randomBytes(32) };
  const forged = { ...keyring, active: { id: keyring.active.id, key: createSecretKey(randomBytes(32)) } };
  return sealToken(ExportedKeyToken, { header, secret: randomBytes(32) }, { keyring: forged, nonce: randomBytes });
}

/** What the domain says of its keys, the newest active. */
function domainKeysOf(domain: FakeDomain): DomainState['domainKeys'] {
  const { keys, clock } = domain;
  return keys.map(({ id }, i) => ({
    id,
    createdGeneration: i + 1,
    createdAt: clock.now() - keys.length + i,
    afterRemoval: false,
    status: i === keys.length - 1 ? 'active' : 'deactivated',
  }));
}

/**
 * A frontend of a domain of two members, one of them hostile: hsm-2 answers as `hostile` says and denies what hsm-1
 * made.
 */
async function start(hostile: (domain: FakeDomain) => Partial<CommandHandlers>) {
  const domain = new FakeDomain([host]);
  domain.change({ domainKeys: domainKeysOf(domain) });
  const workers = [new LoopbackWorker(domain, 'hsm-1', handlers), new LoopbackWorker(domain, 'hsm-2', hostile(domain))];
  const frontend = await startLoopbackPool({ domain, host, workers });
  const events = { confirmed: 0, contradicted: 0, unconfirmed: 0 };
  return {
    domain,
    events,
    hsm: newCommands(domain, frontend.pool, events),
    [Symbol.asyncDispose]: () => frontend[Symbol.asyncDispose](),
  };
}

function newCommands(domain: FakeDomain, pool: WorkerPool, events: Record<string, number>): HsmClient {
  return new HsmClient({
    hsm: pool,
    domainState: () => domain.state,
    isDomainOfOne: () => isOfOne(domain.state),
    refreshDomain: async () => {},
    clock: domain.clock,
    workers: 2,
    events: {
      confirmed: () => events['confirmed']!++,
      contradicted: () => events['contradicted']!++,
      unconfirmed: () => events['unconfirmed']!++,
    },
  });
}

/** What is stored: customers' keys, each in a record of its own. */
function storeOf(domain: FakeDomain) {
  const stored = new Map(Array.from({ length: KEYS }, (_, i) => [`key-${i}`, sealedIn(domain) as Uint8Array]));
  const records: SealedRecords = {
    load: async (names) =>
      names.map((name) => ({
        name,
        account,
        tokens: [stored.get(name)!],
        replace: async ([next]: readonly Uint8Array[]) => stored.set(name, next!) !== undefined,
      })),
  };
  const lost = () => [...stored.values()].filter((token) => !opensIn(domain, token)).length;
  return { records, parts: new FakeParts([...stored.keys()]), lost };
}

function opensIn({ keyring }: FakeDomain, token: Uint8Array): boolean {
  try {
    openExportedKey(token, keyring);
    return true;
  } catch {
    return false;
  }
}

type Fleet = Awaited<ReturnType<typeof start>>;

/** The domain makes a new domain key, and a frontend reseals everything. */
async function rotateAndReseal(
  { domain, hsm }: Fleet,
  { parts, records }: ReturnType<typeof storeOf>,
  change: Partial<DomainState> = {},
) {
  domain.keys = [...domain.keys, newDomainKey()];
  domain.change({ ...change, domainKeys: domainKeysOf(domain) });
  const deps = { parts, records, hsm, domainState: () => domain.state, clock: domain.clock, onLeft: () => {} };
  await resealShard({ generation: 2, pass: 1, shard: 0, shards: 1 }, deps, untilDone);
  return parts.takeSum();
}

test('a removed member that plays on, and reseals to rubbish, destroys nothing', async () => {
  await using fleet = await start((domain) => ({ ResealToken: () => ({ token: rubbishIn(domain) }) }));
  const store = storeOf(fleet.domain);
  const members = fleet.domain.state.members.filter(({ memberId }) => memberId !== 'hsm-2');
  expect(await rotateAndReseal(fleet, store, { members })).toEqual({ resealed: KEYS, remaining: 0 });
  expect(store.lost()).toBe(0);
});

test('a member that reseals to rubbish, and denies what the other reseals, destroys nothing, and the report says so', async () => {
  await using fleet = await start((domain) => ({ ResealToken: () => ({ token: rubbishIn(domain) }) }));
  const store = storeOf(fleet.domain);
  expect(await rotateAndReseal(fleet, store)).toEqual({ resealed: 0, remaining: KEYS });
  expect(store.lost()).toBe(0);
  expect(fleet.events).toMatchObject({ confirmed: 0, unconfirmed: 0 });
});

test('a member that reseals to rubbish, and tells the truth of the others, does not hold up resealing either', async () => {
  const hostile = (domain: FakeDomain) => ({ ...handlers, ResealToken: () => ({ token: rubbishIn(domain) }) });
  await using fleet = await start(hostile);
  const store = storeOf(fleet.domain);
  expect(await rotateAndReseal(fleet, store)).toEqual({ resealed: KEYS, remaining: 0 });
  expect(store.lost()).toBe(0);
  expect(fleet.events.contradicted).toBeGreaterThan(0);
});

test('a member that makes rubbish of new keys makes none that is stored', async () => {
  const hostile = (domain: FakeDomain) => ({
    ...handlers,
    GenerateBackingKey: () => ({ token: rubbishIn(domain), materialId: randomBytes(32) }),
  });
  await using fleet = await start(hostile);
  const deadline = fleet.domain.clock.now() + 5_000;
  const wanted = { account, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' } as const;
  const made = await Promise.all(
    Array.from({ length: KEYS }, () =>
      fleet.hsm.execute('GenerateBackingKey', { ...wanted, keyId: randomUUID() }, deadline),
    ),
  );
  expect(made.filter(({ token }) => !opensIn(fleet.domain, token))).toEqual([]);
  expect(fleet.events.contradicted).toBeGreaterThan(0);
});

test('a former member has no secret of the fleet brought under a domain key that it never had', async () => {
  await using fleet = await start(() => handlers);
  const { domain, hsm } = fleet;
  // What it keeps, and the new domain key's id, which anyone reads in the token.
  const { keyring } = domain;
  domain.rotate();
  const [before, next] = domain.state.domainKeys;
  const sealedFor = (accessKeyId: string) =>
    sealToken(
      CredentialToken,
      { header: { accessKeyId, principal: 'keyfleet:frontends' }, secret: Buffer.alloc(40) },
      { keyring, nonce: randomBytes },
    );
  const planted = ['session-token-key', 'record-key-2'].map((name) => sealedFor(`keyfleet-${name}/${next!.id}`));
  const genuine = sealedFor(`keyfleet-record-key-1/${before!.id}`);
  const stored = new Map([...planted, genuine].map((token, i) => [`secret-${i}`, token as Uint8Array]));
  const records: SealedRecords = {
    load: async (names) =>
      names.map((name) => ({
        name,
        tokens: [stored.get(name)!],
        replace: async ([next]: readonly Uint8Array[]) => stored.set(name, next!) !== undefined,
      })),
  };
  const [parts, left] = [new FakeParts([...stored.keys()]), [] as string[]];
  const onLeft = (name: string) => left.push(name);
  const deps = { parts, records, hsm, domainState: () => domain.state, clock: domain.clock, onLeft };
  await resealShard({ generation: next!.createdGeneration, pass: 1, shard: 0, shards: 1 }, deps, untilDone);
  expect(parts.takeSum()).toEqual({ resealed: 1, remaining: 2 });
  expect(left).toEqual(['secret-0', 'secret-1']);
  expect([...stored.values()].map(domainKeyIdOf)).toEqual([before!.id, before!.id, next!.id]);
});
