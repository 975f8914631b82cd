import { createSecretKey, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { asOfNow } from '@keyfleet/frontend/hsm/known-domain';
import { openChannel } from '@keyfleet/frontend/hsm/open-channel';
import { MAX_STREAMS_OF_HOST } from '@keyfleet/hsm-worker/boundary/host-load';
import { openSessionToken, sealSessionToken } from '@keyfleet/hsm-worker/boundary/session-token';
import { encodedPublicKey, signBytes } from '@keyfleet/shared/domain/signature';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import { Answer, SignedMessage } from '@keyfleet/shared/hsm/session';
import { TestClock } from '@keyfleet/test-support/domain';
import { LoopbackWorker, startLoopbackPool, until } from '@keyfleet/test-support/loopback-worker';
import { FakeDomain, negotiate, newIdentity } from '@keyfleet/test-support/session-pair';
import { answering, host, MANY, type RandomHandler, startTwoWorkers } from '@keyfleet/test-support/two-workers';
import { describe, expect, test } from 'vitest';

const MINUTE_MS = 60_000;

describe('the session of a pool', () => {
  test('renews its session at half time, and what is under way on the old streams is answered', async () => {
    const slow = Promise.withResolvers<{ bytes: Buffer }>();
    await using frontend = await startTwoWorkers(
      () => slow.promise,
      () => slow.promise,
    );
    const asked = frontend.ask(90 * MINUTE_MS);
    await until(() => frontend.workers.some(({ frames }) => frames > 0));
    const negotiated = () => frontend.workers[0].negotiations + frontend.workers[1].negotiations;
    const before = negotiated();
    frontend.domain.clock.advance(31 * MINUTE_MS);
    await until(() => negotiated() > before);
    slow.resolve({ bytes: Buffer.of(1) });
    expect(await asked).toBe(1);
  });

  test('has members prove a new domain token on new streams, and asks ever less often while none does', async () => {
    const slow = Promise.withResolvers<{ bytes: Buffer }>();
    await using frontend = await startTwoWorkers(
      () => slow.promise,
      () => slow.promise,
    );
    const { domain, workers } = frontend;
    const asked = frontend.ask(90 * MINUTE_MS);
    const opened = () => Math.min(...workers.map((worker) => worker.opened));
    /** Lets time pass, of which the token is the age; answers how many streams each worker has had then. */
    const after = async (ms: number, age: number): Promise<number> => {
      domain.clock.advance(ms);
      domain.unprovenMs = age;
      await delay(150);
      return opened();
    };
    expect(await after(10, 5)).toBe(2);
    expect(await after(490, 495)).toBe(2);
    expect(await after(20, 515)).toBe(3);
    expect(await after(4_000, 9_000)).toBe(3);
    expect(await after(1_000, 10_000 - 1)).toBe(4);
    domain.unprovenMs = undefined;
    domain.clock.advance(10 * MINUTE_MS);
    await delay(150);
    expect(opened()).toBe(4);
    expect(frontend.pool.ready).toBe(2);
    expect(workers.every(({ negotiations }) => negotiations === 1)).toBe(true);
    slow.resolve({ bytes: Buffer.of(1) });
    expect(await asked).toBe(1);
  });

  test('gives no command to a stream that a newer one replaced and that still answers', async () => {
    const slow = Promise.withResolvers<void>();
    const begun = [0, 0];
    let held = true;
    const answer =
      (number: 0 | 1): RandomHandler =>
      async () => {
        begun[number]!++;
        if (held) await slow.promise;
        return { bytes: Buffer.of(number) };
      };
    await using frontend = await startTwoWorkers(answer(0), answer(1));
    const { workers, pool, domain } = frontend;
    const asked = Promise.allSettled(Array.from({ length: MANY }, () => frontend.ask(90 * MINUTE_MS)));
    await until(() => begun[0]! + begun[1]! === MANY);
    expect(Math.min(...begun)).toBeGreaterThan(0);
    const answers = workers.map((worker) => worker.answers);
    domain.clock.advance(31 * MINUTE_MS);
    // The second answer on the new stream is to the frame that the frontend writes when it begins to use it.
    await until(() => workers.every((worker, i) => worker.answers >= answers[i]! + 2));
    held = false;
    const before = [...begun];
    await frontend.tellAll(MINUTE_MS);
    expect(begun).toEqual(before.map((count) => count + 1));
    expect(pool.ready).toBe(2);
    slow.resolve();
    expect(new Set((await asked).map(({ status }) => status))).toEqual(new Set(['fulfilled']));
  });

  test('keeps a worker at which somebody holds open as many streams of its own as a host may have', async () => {
    const domain = new FakeDomain([host]);
    const worker = new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) });
    await using frontend = await startLoopbackPool({ domain, host, workers: [worker] });
    const ask = () => frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + 1000);
    await ask();
    const events = { onReply() {}, onClosed() {} };
    const session = await negotiate(domain, host, worker);
    for (let i = 0; i < 2 * MAX_STREAMS_OF_HOST; i++) {
      await openChannel(worker.execute(), { session, domain, clock: domain.clock, protocols, events });
      await ask();
    }
    expect(frontend.problems).toEqual([]);
    const before = worker.opened;
    domain.clock.advance(31 * MINUTE_MS);
    await until(() => worker.opened > before);
    for (let i = 0; i < 10; i++) await ask();
    expect(frontend.problems).toEqual([]);
  });

  test('uses its stream for as long as the worker refuses the first frame of the next one', async () => {
    const domain = new FakeDomain([host]);
    const worker = new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) });
    let isFull = false;
    const execute = () => {
      const stream = worker.execute();
      if (isFull) stream.once('data', () => stream.emit('error', new Error('too many streams')));
      return stream;
    };
    const link = { address: worker.address, negotiate: worker.negotiate, execute, close() {} };
    await using frontend = await startLoopbackPool({ domain, host, workers: [link] });
    isFull = true;
    domain.clock.advance(31 * MINUTE_MS);
    await until(() => frontend.problems.length > 3);
    for (let i = 0; i < 10; i++) {
      const { bytes } = await frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + 1000);
      expect(bytes[0]).toBe(1);
    }
    expect(new Set(frontend.problems)).toEqual(new Set(['Error: too many streams']));
  });

  test('is opened again at once by a worker that ended its stream, unless that was soon after it was opened', async () => {
    const domain = new FakeDomain([host]);
    const worker = new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) });
    await using frontend = await startLoopbackPool({ domain, host, workers: [worker] });
    const endedAfter = async (ms: number) => {
      const before = worker.opened;
      domain.clock.advance(ms);
      worker.end();
      await until(() => worker.opened > before && frontend.pool.ready === 1);
    };
    await endedAfter(2_000);
    expect(frontend.problems).toEqual([]);
    await endedAfter(1_999);
    expect(frontend.problems).toEqual(['Error: the channel ended soon after it was opened']);
  });

  test('is asked of a worker that makes no new session less and less often, while the old channel serves', async () => {
    const domain = new FakeDomain([host]);
    const worker = new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) });
    let refused: number | undefined;
    const negotiate = (hello: Uint8Array) =>
      refused === undefined ? worker.negotiate(hello) : Promise.reject(new Error(`the disk is full ${++refused}`));
    const full = { address: worker.address, negotiate, execute: () => worker.execute(), close() {} };
    await using frontend = await startLoopbackPool({ domain, host, workers: [full] });
    refused = 0;
    domain.clock.advance(31 * MINUTE_MS);
    // Tries without a rest would be forty or more.
    await delay(1_500);
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(20);
    expect(frontend.pool.ready).toBe(1);
  });

  test('is heard every second by a worker that it asks nothing: whom a worker hears least gives way to others', async () => {
    await using frontend = await startTwoWorkers(answering(1), answering(2));
    const { workers, domain } = frontend;
    for (let second = 0; second < 3; second++) {
      const frames = workers.map((worker) => worker.frames);
      domain.clock.advance(1000);
      await until(() => workers.every((worker, i) => worker.frames === frames[i]! + 1));
    }
  });

  test('keeps its session when another worker lags behind', async () => {
    const domain = new FakeDomain([host]);
    const laggard = domain.copy();
    domain.rotate();
    const workers = [
      new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) }),
      new LoopbackWorker(laggard, 'hsm-2', { GenerateRandom: answering(2) }),
    ] as const;
    await using frontend = await startLoopbackPool({ domain, host, workers }, 1);
    await until(() => workers[1].negotiations > 3);
    expect(workers[0].negotiations).toBe(1);
    expect(frontend.pool.ready).toBe(1);
  });

  test('is with one worker: whatever a hostile one seals into its session token, the others serve', async () => {
    const domain = new FakeDomain([host]);
    const [hostile, honest] = (['hsm-1', 'hsm-2'] as const).map(
      (memberId, i) => new LoopbackWorker(domain, memberId, { GenerateRandom: answering(i + 1) }),
    ) as [LoopbackWorker, LoopbackWorker];
    // Another session key than the one that it gives the host: no member can tell before the first frame.
    const negotiate = async (hello: Uint8Array) => {
      const answer = Answer.decode(SignedMessage.decode(await hostile.negotiate(hello)).message);
      const { keyring } = domain;
      const { sessionId, signedHello, notBefore, expiresAt } = openSessionToken(answer.sessionToken, keyring);
      const sessionKey = createSecretKey(randomBytes(32));
      const other = { sessionId, signedHello, notBefore, expiresAt, sessionKey };
      const sessionToken = sealSessionToken(other, { keyring, nonce: randomBytes });
      const message = Answer.encode({ ...answer, sessionToken });
      return SignedMessage.encode({ message, signature: signBytes(domain.identities['hsm-1'], message) });
    };
    hostile.frozen = true;
    const liar = { address: hostile.address, negotiate, execute: () => hostile.execute(), close() {} };
    for (const workers of [
      [liar, honest],
      [honest, liar],
    ]) {
      await using frontend = await startLoopbackPool({ domain, host, workers }, 1);
      const ask = () => frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + 1000);
      await until(() => hostile.opened > 0);
      const answers = await Promise.all(Array.from({ length: MANY }, ask));
      expect(new Set(answers.map(({ bytes }) => bytes[0]))).toEqual(new Set([2]));
      expect([honest.negotiations, honest.opened]).toEqual([1, 1]);
      Object.assign(honest, { negotiations: 0, opened: 0 });
      hostile.opened = 0;
    }

    // It accepts streams and cannot read their frames.
    hostile.frozen = false;
    await using frontend = await startLoopbackPool({ domain, host, workers: [liar, honest] }, 1);
    const problem = 'SessionNotAcceptedError: the worker did not accept the session';
    await until(() => frontend.problems.length > 3);
    expect(new Set(frontend.problems)).toEqual(new Set([problem]));
    expect(hostile.opened - frontend.problems.length).toBeLessThanOrEqual(1);
  });

  test('does not use an HSM that its own copy of the domain state does not know', async () => {
    const domain = new FakeDomain([host]);
    const members = domain.state.members.filter(({ memberId }) => memberId === 'hsm-2');
    const verified = { ...domain.verified, state: { ...domain.state, members } };
    const known = asOfNow(verified);
    const workers = (['hsm-1', 'hsm-2'] as const).map(
      (memberId, i) => new LoopbackWorker(domain, memberId, { GenerateRandom: answering(i + 1) }),
    );
    await using frontend = await startLoopbackPool({ domain, host, workers, known }, 1);
    const ask = () => frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + 1000);
    const answers = await Promise.all(Array.from({ length: 10 }, ask));
    expect(new Set(answers.map(({ bytes }) => bytes[0]))).toEqual(new Set([2]));
    await until(() => workers[0]!.negotiations + workers[0]!.opened > 3);
    expect(frontend.pool.ready).toBe(1);
  });

  test('stops using a worker at once that the domain removed, though it plays on, and for ever', async () => {
    const domain = new FakeDomain([host]);
    // It follows no domain any more, and by its clock no time passes.
    const frozen = Object.assign(domain.copy(), { clock: new TestClock() });
    const workers = [
      new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) }),
      new LoopbackWorker(frozen, 'hsm-2', { GenerateRandom: answering(2) }),
    ] as const;
    await using frontend = await startLoopbackPool({ domain, host, workers });
    const ask = () => frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + 1000);
    await ask();
    domain.remove('hsm-2');
    const { frames } = workers[1];
    for (const ms of [0, MINUTE_MS, 120 * MINUTE_MS, 14_400 * MINUTE_MS]) {
      domain.clock.advance(ms);
      const answers = await Promise.all(Array.from({ length: MANY }, ask));
      expect(new Set(answers.map(({ bytes }) => bytes[0]))).toEqual(new Set([1]));
      await until(() => frontend.pool.ready === 1);
    }
    expect(workers[1].frames).toBe(frames);
  });

  test('stops using a member that the domain has as an offline one now, though it has the newest token', async () => {
    const domain = new FakeDomain([host]);
    const workers = (['hsm-1', 'hsm-2'] as const).map(
      (memberId, i) => new LoopbackWorker(domain, memberId, { GenerateRandom: answering(i + 1) }),
    );
    await using frontend = await startLoopbackPool({ domain, host, workers });
    const [first, second] = domain.state.members;
    domain.change({ version: 3, members: [first!, { ...second!, offline: true }] });
    const ask = () => frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + 1000);
    await until(() => frontend.pool.ready === 1 && frontend.problems.some((one) => one.includes('offline member')));
    const answers = await Promise.all(Array.from({ length: MANY }, ask));
    expect(new Set(answers.map(({ bytes }) => bytes[0]))).toEqual(new Set([1]));
  });

  test('does not use a worker under a name whose keys are others since', async () => {
    const domain = new FakeDomain([host]);
    const frozen = domain.copy();
    const workers = [new LoopbackWorker(frozen, 'hsm-1', { GenerateRandom: answering(1) })] as const;
    await using frontend = await startLoopbackPool({ domain, host, workers });
    const [first, ...others] = domain.state.members;
    domain.change({ members: [{ ...first!, signingKey: encodedPublicKey(newIdentity()) }, ...others] });
    await until(() => frontend.problems.some((problem) => /older|does not verify/.test(problem)));
    expect(frontend.pool.ready).toBe(0);
  });

  test('makes a new session when a member left, and no command fails', async () => {
    const slow = Promise.withResolvers<void>();
    let begun = 0;
    const answer =
      (number: number): RandomHandler =>
      async () => {
        begun++;
        await slow.promise;
        return { bytes: Buffer.of(number) };
      };
    await using frontend = await startTwoWorkers(answer(1), answer(2));
    const asked = Array.from({ length: MANY }, () => frontend.ask(MINUTE_MS));
    // One that its worker has not begun is refused and held back, for ever by a clock that stands.
    await until(() => begun === MANY);
    expect(frontend.workers.every(({ frames }) => frames > 0)).toBe(true);
    const { negotiations: negotiated, opened } = frontend.workers[0];
    frontend.domain.remove('hsm-2');
    // Its old stream has commands to answer, and takes no others.
    await until(() => frontend.workers[0].negotiations > negotiated && frontend.workers[0].opened > opened);
    await until(() => frontend.pool.ready === 1);
    slow.resolve();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([1]));
  });

  test('makes a new session when a member left though the others still take the old one', async () => {
    const domain = new FakeDomain([host]);
    const lenient = domain.copy();
    const worker = new LoopbackWorker(lenient, 'hsm-1', { GenerateRandom: answering(1) });
    await using frontend = await startLoopbackPool({ domain, host, workers: [worker] });
    const { negotiations } = worker;
    domain.remove('hsm-2');
    // What it holds against sessions from before is left out.
    const { keys, state, hash } = domain;
    Object.assign(lenient, { keys, state, hash });
    await until(() => worker.negotiations > negotiations && frontend.pool.ready === 1);
  });

  test('ends the streams of a session that is over, whatever the worker thinks', async () => {
    const domain = new FakeDomain([host]);
    const frozen = Object.assign(domain.copy(), { clock: new TestClock() });
    const workers = [new LoopbackWorker(frozen, 'hsm-1', { GenerateRandom: answering(1) })] as const;
    await using frontend = await startLoopbackPool({ domain, host, workers });
    // Its clock stands still, so that no new session is made that either side believes in.
    domain.clock.advance(60 * MINUTE_MS);
    await until(() => frontend.pool.ready === 0);
  });

  test.each([
    ['behind', (worker: FakeDomain) => worker, 'older'],
    ['on a fork', (worker: FakeDomain) => (worker.change({ backupHorizonMs: 1 }), worker), 'forked'],
  ])('does not begin to use a worker that is %s', async (_case, changed, why) => {
    const domain = new FakeDomain([host]);
    const other = domain.copy();
    domain.change({});
    const workers = [
      new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) }),
      new LoopbackWorker(changed(other), 'hsm-2', { GenerateRandom: answering(2) }),
    ];
    await using frontend = await startLoopbackPool({ domain, host, workers }, 1);
    await until(() => frontend.problems.some((problem) => problem.includes(why)));
    expect(frontend.pool.ready).toBe(1);
  });

  test('comes back to a worker that restarted after a rotation and takes only sessions under the newest key', async () => {
    const domain = new FakeDomain([host]);
    const restarted = domain.copy();
    const workers = [
      new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) }),
      new LoopbackWorker(restarted, 'hsm-2', { GenerateRandom: answering(2) }),
    ] as const;
    await using frontend = await startLoopbackPool({ domain, host, workers });
    domain.rotate();
    const { keys, state, hash } = domain;
    Object.assign(restarted, { keys, state, hash }).restart();
    const { opened } = workers[1];
    workers[1].die();
    await until(() => workers[1].opened > opened && frontend.pool.ready === 2);
  });
});
