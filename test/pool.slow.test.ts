import { RefusedError } from '@keyfleet/hsm-worker/boundary/errors';
import type { CommandHandlers } from '@keyfleet/hsm-worker/boundary/dispatch';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import type { Refusal } from '@keyfleet/shared/hsm/commands';
import { TestClock } from '@keyfleet/test-support/domain';
import { LoopbackWorker, startLoopbackPool, until } from '@keyfleet/test-support/loopback-worker';
import { newHost, newIdentity, FakeDomain } from '@keyfleet/test-support/session-pair';
import { describe, expect, test } from 'vitest';

type RandomHandler = CommandHandlers['GenerateRandom'];
const host = newHost();
const MINUTE_MS = 60_000;
/** In one turn: too many for the frame of one worker. */
const MANY = 40;

/** A worker answers GenerateRandom with its own number. */
const answering =
  (number: number): RandomHandler =>
  () => ({ bytes: Buffer.of(number) });
const never: RandomHandler = () => new Promise(() => {});
const refusing =
  (refusal: Refusal): RandomHandler =>
  () => {
    throw new RefusedError(refusal);
  };

/** Two workers of one domain, each with its GenerateRandom, and a frontend's pool over them. */
async function start(first: RandomHandler, second: RandomHandler) {
  const domain = new FakeDomain([host]);
  const workers = [
    new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: first }),
    new LoopbackWorker(domain, 'hsm-2', { GenerateRandom: second }),
  ] as const;
  const frontend = await startLoopbackPool({ domain, host, workers });
  const ask = async (ms = 1000) => {
    const { bytes } = await frontend.execute('GenerateRandom', { length: 1 }, domain.clock.now() + ms);
    return bytes[0];
  };
  const tellAll = (ms: number) => frontend.executeEverywhere('GenerateRandom', { length: 1 }, domain.clock.now() + ms);
  return {
    domain,
    workers,
    pool: frontend.pool,
    hsm: frontend.pool,
    ask,
    tellAll,
    [Symbol.asyncDispose]: () => frontend[Symbol.asyncDispose](),
  };
}

describe('the pool', () => {
  test('sends the commands of a turn to one worker in one frame', async () => {
    await using frontend = await start(answering(1), answering(2));
    await Promise.all(Array.from({ length: 10 }, () => frontend.ask()));
    const [first, second] = frontend.workers;
    expect(first.frames + second.frames).toBe(1);
  });

  test('gives a part of a turn with many commands to each worker', async () => {
    await using frontend = await start(answering(1), answering(2));
    const answers = await Promise.all(Array.from({ length: MANY }, () => frontend.ask()));
    expect(frontend.workers.map(({ frames }) => frames)).toEqual([1, 1]);
    expect(new Set(answers)).toEqual(new Set([1, 2]));
  });

  test('gives the unanswered commands of a worker that dies to another', async () => {
    await using frontend = await start(never, answering(2));
    const asked = Array.from({ length: MANY }, () => frontend.ask());
    await until(() => frontend.workers[0].frames > 0);
    frontend.workers[0].die();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([2]));
  });

  test('gives up a worker that is silent, though its connection stands', async () => {
    await using frontend = await start(answering(1), answering(2));
    frontend.workers[0].frozen = true;
    const asked = Array.from({ length: MANY }, () => frontend.ask(MINUTE_MS));
    await until(() => frontend.workers[0].frames > 0 && frontend.pool.inFlight < MANY);
    frontend.domain.clock.advance(600);
    await until(() => frontend.workers[0].frames > 1);
    frontend.domain.clock.advance(1100);
    expect(new Set(await Promise.all(asked))).toEqual(new Set([2]));
  });

  test('leaves a worker alone that is slow, but there', async () => {
    const slow = Promise.withResolvers<{ bytes: Buffer }>();
    await using frontend = await start(() => slow.promise, refusing('unknown-domain-key'));
    const asked = frontend.ask(MINUTE_MS);
    await until(() => frontend.workers[0].frames === 1);
    for (let pings = 0; pings < 4; pings++) {
      const { answers } = frontend.workers[0];
      frontend.domain.clock.advance(600);
      await until(() => frontend.workers[0].answers > answers);
    }
    slow.resolve({ bytes: Buffer.of(1) });
    expect(await asked).toBe(1);
  });

  test('does not carry a command on for ever that ends every worker it meets', async () => {
    let met = 0;
    const deadly: RandomHandler = () => {
      met++;
      frontend.workers.forEach((worker) => worker.die());
      return { bytes: Buffer.of(0) };
    };
    await using frontend = await start(deadly, deadly);
    await expect(frontend.ask()).rejects.toMatchObject({ reason: 'timed-out' });
    expect(met).toBeLessThanOrEqual(3);
  });

  test.each(['unknown-domain-key', 'overloaded', 'no-domain'] as const)(
    'asks another worker when one says %s',
    async (refusal) => {
      await using frontend = await start(refusing(refusal), answering(2));
      const answers = await Promise.all(Array.from({ length: MANY }, () => frontend.ask()));
      expect(new Set(answers)).toEqual(new Set([2]));
      expect(frontend.workers[0].frames).toBeGreaterThan(0);
    },
  );

  test('throttles when all workers are overloaded until the deadline', async () => {
    let refusals = 0;
    const overloaded: RandomHandler = (...request) => {
      refusals++;
      return refusing('overloaded')(...request);
    };
    await using frontend = await start(overloaded, overloaded);
    const asked = frontend.ask(1000);
    // It is asked for a third time when the refusals of both have been heard.
    await until(() => refusals >= 3);
    frontend.domain.clock.advance(1000);
    await expect(asked).rejects.toMatchObject({ reason: 'overloaded' });
  });

  test('asks another member than those that must not answer, and says who did', async () => {
    await using frontend = await start(answering(1), answering(2));
    const { hsm, domain } = frontend;
    const ask = (...notBy: string[]) =>
      hsm.executeByMember('GenerateRandom', { length: 1 }, domain.clock.now() + 1000, new Set(notBy));
    const answers = await Promise.all(Array.from({ length: MANY }, () => ask('hsm-1')));
    expect(new Set(answers.map(({ memberId }) => memberId))).toEqual(new Set(['hsm-2']));
    expect(new Set(answers.map(({ output }) => output.bytes[0]))).toEqual(new Set([2]));
    await expect(ask('hsm-1', 'hsm-2')).rejects.toMatchObject({ reason: 'nobody-else' });
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('says that nobody else is there when the only other member dies over the question', async () => {
    await using frontend = await start(answering(1), never);
    const { hsm, domain, workers } = frontend;
    const asked = hsm.executeByMember('GenerateRandom', { length: 1 }, domain.clock.now() + 1000, new Set(['hsm-1']));
    await until(() => workers[1].frames > 0);
    workers[1].die();
    await expect(asked).rejects.toMatchObject({ reason: 'nobody-else' });
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('passes any other refusal on', async () => {
    await using frontend = await start(refusing('cannot-open'), refusing('cannot-open'));
    await expect(frontend.ask()).rejects.toMatchObject({ name: 'HsmRefusedError', refusal: 'cannot-open' });
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('fails a command at its deadline, and takes no harm from the late answer', async () => {
    const late = Promise.withResolvers<{ bytes: Buffer }>();
    let calls = 0;
    const handler: RandomHandler = () => (calls++ === 0 ? late.promise : { bytes: Buffer.of(7) });
    await using frontend = await start(handler, handler);
    const asked = frontend.ask(1000);
    await until(() => calls === 1);
    frontend.domain.clock.advance(1000);
    await expect(asked).rejects.toMatchObject({ reason: 'timed-out' });
    late.resolve({ bytes: Buffer.of(1) });
    expect(await frontend.ask()).toBe(7);
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('tells every worker when each is meant', async () => {
    const told: number[] = [];
    const noting =
      (number: number): RandomHandler =>
      () => {
        told.push(number);
        return { bytes: Buffer.of(number) };
      };
    await using frontend = await start(noting(1), noting(2));
    await frontend.tellAll(1000);
    expect(new Set(told)).toEqual(new Set([1, 2]));
    expect(told).toHaveLength(2);
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('asks nobody else for what a worker was meant to do that refused or died', async () => {
    let asked = 0;
    const dying: RandomHandler = () => {
      asked++;
      frontend.workers[1].die();
      return never({ length: 1 }, undefined as never);
    };
    const overloaded: RandomHandler = () => {
      asked++;
      throw new RefusedError('overloaded');
    };
    await using frontend = await start(overloaded, dying);
    await frontend.tellAll(MINUTE_MS);
    expect(asked).toBe(2);
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('waits for a worker that was told and does not answer no longer than the deadline', async () => {
    await using frontend = await start(never, answering(2));
    const told = frontend.tellAll(1000);
    await until(() => frontend.workers.every(({ frames }) => frames > 0));
    frontend.domain.clock.advance(1000);
    await told;
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('renews its session at half time, and what is under way on the old streams is answered', async () => {
    const slow = Promise.withResolvers<{ bytes: Buffer }>();
    await using frontend = await start(
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

  test('keeps its session when one worker lags behind and cannot open it', async () => {
    const domain = new FakeDomain([host]);
    const laggard = domain.copy();
    domain.rotate();
    const workers = [
      new LoopbackWorker(domain, 'hsm-1', { GenerateRandom: answering(1) }),
      new LoopbackWorker(laggard, 'hsm-2', { GenerateRandom: answering(2) }),
    ] as const;
    // Were it refused by the laggard before anyone serves it, it would rightly be made anew.
    const served = Promise.withResolvers<void>();
    workers[1].mayOpen = served.promise;
    await using frontend = await startLoopbackPool({ domain, host, workers }, 1);
    const { negotiations } = workers[0];
    served.resolve();
    const { opened } = workers[1];
    await until(() => workers[1].opened > opened + 3);
    expect(workers[0].negotiations).toBe(negotiations);
    expect(frontend.pool.ready).toBe(1);
  });

  test('does not use an HSM that its own copy of the domain state does not know', async () => {
    const domain = new FakeDomain([host]);
    const members = domain.state.members.filter(({ memberId }) => memberId === 'hsm-2');
    const verified = { ...domain.verified, state: { ...domain.state, members } };
    const known = { verified, noteNewer: () => {}, refresh: async () => {} };
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

  test('does not use a worker under a name whose keys are others since', async () => {
    const domain = new FakeDomain([host]);
    const frozen = domain.copy();
    const workers = [new LoopbackWorker(frozen, 'hsm-1', { GenerateRandom: answering(1) })] as const;
    await using frontend = await startLoopbackPool({ domain, host, workers });
    const [first, ...others] = domain.state.members;
    domain.change({ members: [{ ...first!, signingKey: encodedPublicKey(newIdentity()) }, ...others] });
    await until(() => frontend.pool.ready === 0 && frontend.problems.length > 0);
    expect(frontend.problems.join()).toMatch(/older|does not verify/);
  });

  test('makes a new session when a member left, and no command fails', async () => {
    const slow = Promise.withResolvers<void>();
    const answer =
      (number: number): RandomHandler =>
      () =>
        slow.promise.then(() => ({ bytes: Buffer.of(number) }));
    await using frontend = await start(answer(1), answer(2));
    const asked = Array.from({ length: MANY }, () => frontend.ask(MINUTE_MS));
    await until(() => frontend.workers.every(({ frames }) => frames > 0));
    const negotiated = frontend.workers[0].negotiations;
    frontend.domain.remove('hsm-2');
    await until(() => frontend.workers[0].negotiations > negotiated && frontend.pool.ready === 1);
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

  test('gives no command up because streams end in order, however many do', async () => {
    let ended = 0;
    const ending: RandomHandler = () => {
      if (ended++ > 10) return { bytes: Buffer.of(1) };
      frontend.workers.forEach((worker) => worker.end());
      return new Promise(() => {});
    };
    await using frontend = await start(ending, ending);
    expect(await frontend.ask(MINUTE_MS)).toBe(1);
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
    workers[1].die();
    await until(() => frontend.pool.ready === 1);
    await until(() => frontend.pool.ready === 2);
  });
});
