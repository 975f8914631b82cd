import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { newTokenSource } from '@keyfleet/proto/token-source';
import { type Change, memberOf, signedBy, type TestOperator } from '@keyfleet/test-support/domain';
import { eventually } from '@keyfleet/test-support/fleet';
import { newHost } from '@keyfleet/test-support/session-pair';
import { TokenServer } from '@keyfleet/test-support/token-server';
import { TestWorkers, type WorkerProcess } from '@keyfleet/test-support/workers';
import { createSecretKey, generateKeyPairSync, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import { DomainView } from '@keyfleet/frontend/hsm/domain-view';
import { openChannel } from '@keyfleet/frontend/hsm/open-channel';
import { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { type HostSession, Negotiation } from '@keyfleet/frontend/hsm/negotiation';
import { newWorkerClient } from '@keyfleet/frontend/hsm/worker-client';
import type { WorkerClient } from '@keyfleet/frontend/hsm/worker-link';
import { openDomainToken } from '@keyfleet/hsm-worker/boundary/domain/domain-token';
import { type Keyring, newKeyring } from '@keyfleet/hsm-worker/boundary/domain/keyring';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { newSealKey } from '@keyfleet/hsm-worker/boundary/seal-key';
import { openSessionToken, sealSessionToken } from '@keyfleet/hsm-worker/boundary/session-token';
import { Hsm as HsmClient } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import { systemClock } from '@keyfleet/shared/clock';
import { boundTo, type NewDomainChange } from '@keyfleet/shared/domain/proposal';
import { signBytes } from '@keyfleet/shared/domain/signature';
import { parseToken } from '@keyfleet/shared/domain/token';
import { FrameOpener } from '@keyfleet/shared/hsm/frame';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import { DelegatedMessage, Hello, SESSION_MS, sha256, SignedMessage, StreamOpen } from '@keyfleet/shared/hsm/session';
import { streamKeys } from '@keyfleet/shared/hsm/stream-keys';
import { noNotices } from '@keyfleet/shared/notices';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

// The attacker was inside: a worker that was removed, or whoever has its keys, a recording of the network, or a hello.
// Workers are real processes; the frontend's end is the product's, over real gRPC.
let cluster: TestWorkers;
beforeAll(async () => {
  cluster = await TestWorkers.start(3);
});
afterAll(() => cluster[Symbol.asyncDispose]());

const soon = (ms = 10_000) => Date.now() + ms;
const newKey = {
  keyId: '11111111-2222-4333-8444-555555555555',
  account: '111122223333',
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
} as const;

/** A change that a quorum signs; installed by `workers`. */
async function change(what: Change, workers: readonly WorkerProcess[]): Promise<void> {
  const { tokens, operator, domain } = cluster;
  const command = { ...boundTo(domain.verified!, 'hsm-1'), ...what } as NewDomainChange;
  const { token } = await workers[0]!.prepare(signedBy(command, [operator as TestOperator]), tokens.at(-1));
  tokens.push(await cluster.witnessed(token!));
  await Promise.all(workers.map((worker) => worker.installed(tokens.length)));
}

/** A frontend with all workers, whose view follows the domain. */
async function newFrontend() {
  const problems: string[] = [];
  const view = new DomainView({
    anchor: cluster.anchor,
    floor: { lowest: undefined, raise: async () => {} },
    managers: [newTokenSource(cluster.domainManager, plaintextPeers.credentials)],
    workers: cluster.workers.length,
    notices: noNotices,
    onProblem: (_address, error) => problems.push(String(error)),
  });
  const pool = new WorkerPool({
    workers: cluster.addresses.map((address) => newWorkerClient(address, plaintextPeers.credentials)),
    host: cluster.host,
    domain: view,
    clock: systemClock,
    maxInFlight: 1000,
    onProblem: (address, error) => problems.push(`${address}: ${String(error)}`),
  });
  return {
    view,
    pool,
    problems,
    execute: pool.execute.bind(pool) as typeof pool.execute,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await view[Symbol.asyncDispose]();
    },
  };
}

/** Restarts the worker with nobody to tell it of tokens after the present ones. */
async function cutOff(worker: WorkerProcess): Promise<void> {
  await worker.kill();
  using present = await TokenServer.start();
  present.tokens.push(...cluster.tokens);
  await worker.reconfigure({ domainManagers: [present.address], log: { level: 'debug' } });
  await worker.start();
  await worker.installed(cluster.tokens.length);
}

/** What opens a stream to this worker as `session`'s host would. Ends the stream when the test is done with it. */
async function openAs(session: HostSession, worker: WorkerClient): Promise<void> {
  const events = { onReply: () => {}, onClosed: () => {} };
  const { domain } = cluster;
  const channel = await openChannel(worker.execute(), { session, domain, clock: systemClock, protocols, events });
  channel.close();
}

/** A session in the host's name that whoever has `keyring` makes up. */
function forgedSession(keyring: Keyring, signedHello: Uint8Array, delegatedKey: KeyObject): HostSession {
  const sessionKey = createSecretKey(randomBytes(32));
  const sessionId = randomBytes(16);
  const notBefore = Date.now();
  const expiresAt = notBefore + SESSION_MS;
  const session = { sessionId, sessionKey, signedHello, notBefore, expiresAt };
  const sessionToken = sealSessionToken(session, { keyring, nonce: randomBytes });
  const { generation } = cluster.state;
  const memberId = 'hsm-1';
  return { memberId, sessionId, sessionKey, sessionToken, delegatedKey, generation, renewAt: expiresAt, expiresAt };
}

describe('a session', () => {
  test('is not opened by whoever has a domain key, an old one or the newest', async () => {
    const former = new Hsm({
      memberId: 'former',
      anchor: cluster.anchor,
      sealKey: newSealKey(randomBytes(32), randomBytes),
      clock: systemClock,
      random: randomBytes,
    });
    await change({ name: 'ModifyMembers', body: { admit: [memberOf(former)], remove: [] } }, cluster.workers);
    former.install(cluster.tokens);
    // It is a member now: nothing that it does later is worse.
    const { keyring } = former.installed!;
    using worker = disposable(newWorkerClient(cluster.addresses[0]!, plaintextPeers.credentials));
    const { host, domain } = cluster;
    const recorded = await Negotiation.start({ domain, host, clock: systemClock });
    const own = generateKeyPairSync('ed25519');
    const fields = Hello.decode(SignedMessage.decode(recorded.hello).message);
    const message = Hello.encode({ ...fields, delegatedKey: own.publicKey.export({ format: 'raw-public' }) });
    const ofNobody = SignedMessage.encode({ message, signature: signBytes(newHost().privateKey, message) });
    // Were the host's key the attacker's as well, it would be a session: so it is for nothing else that the others are
    // refused.
    const ofHost = SignedMessage.encode({ message, signature: signBytes(host.privateKey, message) });
    await openAs(forgedSession(keyring, ofHost, own.privateKey), worker);
    for (const hello of [ofNobody, recorded.hello]) {
      await expect(openAs(forgedSession(keyring, hello, own.privateKey), worker)).rejects.toThrow('did not accept');
    }
    await change({ name: 'ModifyMembers', body: { admit: [], remove: ['former'] } }, cluster.workers);
    for (const hello of [ofNobody, recorded.hello, ofHost]) {
      await expect(openAs(forgedSession(keyring, hello, own.privateKey), worker)).rejects.toThrow('did not accept');
    }
  });

  test('that was recorded stays closed to who later has every key that was ever stored', async () => {
    const recording: Buffer[] = [];
    const tapped = cluster.addresses.slice(0, 1).map((address): WorkerClient => {
      const client = newWorkerClient(address, plaintextPeers.credentials);
      return {
        ...client,
        execute: () => {
          const stream = client.execute();
          const write = stream.write.bind(stream);
          stream.write = (message: { body: Uint8Array }) => (recording.push(Buffer.from(message.body)), write(message));
          stream.on('data', ({ body }) => recording.push(Buffer.from(body ?? [])));
          return stream;
        },
      };
    });
    const { host, domain } = cluster;
    const options = { workers: tapped, host, domain, clock: systemClock, maxInFlight: 9, onProblem: () => {} };
    {
      await using pool = new WorkerPool(options);
      await pool.execute('GenerateRandom', { length: 8 }, soon());
    }
    const [open, accept, , reply] = recording as [Buffer, Buffer, Buffer, Buffer];
    const { sessionToken, ephemeralKey } = StreamOpen.decode(DelegatedMessage.decode(open).message);

    // The seal key and the volume of the worker, and the log of tokens, which anyone may fetch.
    const [worker] = cluster.workers as [WorkerProcess];
    const sealKey = newSealKey(Buffer.from(readFileSync(worker.sealKeyFile, 'utf8'), 'base64'), randomBytes);
    const { identity } = openIdentity(readFileSync(join(worker.dataDir, 'identity')), sealKey);
    const newest = parseToken(cluster.tokens.at(-1)!);
    const { state } = newest;
    const keyring = newKeyring({ state, secrets: openDomainToken(newest, identity) }, state.generation, new Map());
    const { sessionKey } = openSessionToken(sessionToken, keyring);

    // As it was before streams had keys of their own: the session key is all.
    const streamId = sha256(Buffer.concat(['keyfleet/session/stream/1', open, accept].map(prefixed)));
    const old = hkdfSync('sha256', sessionKey, streamId, 'keyfleet/session/member-to-host/1', 32);
    const spki = Buffer.concat([
      Buffer.from('3076301006072a8648ce3d020106052b8104002203620004', 'hex'),
      ephemeralKey.subarray(1),
    ]);
    const guesses = [Buffer.alloc(48), identity.agree(spki)].map(
      (agreed) => streamKeys({ sessionKey, agreed, encapsulated: Buffer.alloc(32) }, open, accept).memberToHost,
    );
    for (const key of [createSecretKey(Buffer.from(old)), ...guesses]) {
      expect(() => new FrameOpener(key).open(reply)).toThrow();
    }
  });
});

test('a hello that is replayed in a flood is answered once, and the worker serves on', async () => {
  await using frontend = await newFrontend();
  await eventually('the frontend uses every worker', () => frontend.pool.ready === 3);
  using client = Object.assign(new HsmClient(cluster.addresses[0]!, credentials.createInsecure()), {
    [Symbol.dispose]: () => client.close(),
  });
  const { host, domain } = cluster;
  const { hello } = await Negotiation.start({ domain, host, clock: systemClock });
  const stop = new AbortController();
  const served = (async () => {
    let count = 0;
    while (!stop.signal.aborted) {
      await frontend.execute('GenerateRandom', { length: 1 }, soon());
      count++;
    }
    return count;
  })();
  const codes = await Promise.all(
    Array.from({ length: 300 }, () =>
      unary(client, HsmClient.service.NegotiateSession, { hello: Buffer.from(hello) }, 30_000).then(
        () => status.OK,
        ({ code }: { code: status }) => code,
      ),
    ),
  );
  stop.abort();
  expect(await served).toBeGreaterThan(0);
  expect(codes.filter((code) => code === status.OK)).toHaveLength(1);
  const refused = [status.UNAUTHENTICATED, status.RESOURCE_EXHAUSTED];
  expect(codes.filter((code) => !refused.includes(code))).toEqual([status.OK]);
  expect(codes.filter((code) => code === status.RESOURCE_EXHAUSTED).length).toBeGreaterThan(0);
});

test('a stream on which nothing is said is ended: nobody fills a worker with them', async () => {
  using client = Object.assign(new HsmClient(cluster.addresses[1]!, credentials.createInsecure()), {
    [Symbol.dispose]: () => client.close(),
  });
  const streams = Array.from({ length: 20 }, () => client.Execute());
  const errors = await Promise.all(streams.map(async (stream) => (await once(stream, 'error'))[0] as ServiceError));
  expect(errors.map(({ code }) => code)).toEqual(streams.map(() => status.RESOURCE_EXHAUSTED));
});

test('a worker that was removed and plays on is sent nothing more, and no request fails under load', async () => {
  const [first, second, third] = cluster.workers as [WorkerProcess, WorkerProcess, WorkerProcess];
  await cutOff(third);
  await using frontend = await newFrontend();
  const { execute, pool, problems } = frontend;
  await eventually('the frontend uses every worker', () => pool.ready === 3);
  const stop = new AbortController();
  let done = 0;
  const load = Array.from({ length: 32 }, async () => {
    while (!stop.signal.aborted) {
      await execute('GenerateBackingKey', newKey, soon());
      done++;
    }
  });
  const asked = () => third.stderr.split('"signed commands"').length - 1;
  try {
    await eventually('the third worker does its share', () => asked() > 10);
    await change({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } }, [first, second]);
    await eventually('the frontend knows', () => frontend.view.state?.members.length === 2);
    const doneThen = done;
    await eventually('the frontend uses the others', () => pool.ready === 2 && done > doneThen + 200);
    const [askedThen, { length }] = [asked(), [...problems]];
    const tries = () => problems.slice(length).filter((problem) => problem.includes(third.address));
    await eventually('the third worker is tried again', () => tries().length > 0);
    const doneLater = done;
    await eventually('the others go on', () => done > doneLater + 200);
    expect(asked()).toBe(askedThen);
    expect(pool.ready).toBe(2);
  } finally {
    stop.abort();
  }
  // Not one of them failed.
  await Promise.all(load);
});

function disposable(worker: WorkerClient): WorkerClient & Disposable {
  return { ...worker, [Symbol.dispose]: () => worker.close() };
}

function prefixed(value: Uint8Array | string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(value));
  return Buffer.concat([length, Buffer.from(value as string)]);
}
