import { RefusedError } from '@keyfleet/hsm-worker/boundary/errors';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import { until } from '@keyfleet/test-support/loopback-worker';
import { answering, MANY, type RandomHandler, startTwoWorkers } from '@keyfleet/test-support/two-workers';
import { describe, expect, test } from 'vitest';

const MINUTE_MS = 60_000;

const never: RandomHandler = () => new Promise(() => {});
const refusing =
  (refusal: Refusal): RandomHandler =>
  () => {
    throw new RefusedError(refusal);
  };

describe('the pool', () => {
  test('sends the commands of a turn to one worker in one frame', async () => {
    await using frontend = await startTwoWorkers(answering(1), answering(2));
    await Promise.all(Array.from({ length: 10 }, () => frontend.ask()));
    const [first, second] = frontend.workers;
    expect(first.frames + second.frames).toBe(1);
  });

  test('gives a part of a turn with many commands to each worker', async () => {
    await using frontend = await startTwoWorkers(answering(1), answering(2));
    const answers = await Promise.all(Array.from({ length: MANY }, () => frontend.ask()));
    expect(frontend.workers.map(({ frames }) => frames)).toEqual([1, 1]);
    expect(new Set(answers)).toEqual(new Set([1, 2]));
  });

  test('gives the unanswered commands of a worker that dies to another', async () => {
    await using frontend = await startTwoWorkers(never, answering(2));
    const asked = Array.from({ length: MANY }, () => frontend.ask());
    await until(() => frontend.workers[0].frames > 0);
    frontend.workers[0].die();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([2]));
  });

  test('says when a worker connects, and when none did in time', async () => {
    await using frontend = await startTwoWorkers(answering(1), answering(2));
    const [worker] = frontend.workers;
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.mayOpen = promise;
    worker.die();
    await until(() => frontend.pool.ready === 1);
    expect(await frontend.pool.connects(20)).toBe(false);
    const waiting = [frontend.pool.connects(MINUTE_MS), frontend.pool.connects(MINUTE_MS)];
    resolve();
    expect(await Promise.all(waiting)).toEqual([true, true]);
    expect(frontend.pool.ready).toBe(2);
  });

  test('gives up a worker that is silent, though its connection stands', async () => {
    await using frontend = await startTwoWorkers(answering(1), answering(2));
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
    await using frontend = await startTwoWorkers(() => slow.promise, refusing('unknown-domain-key'));
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
    await using frontend = await startTwoWorkers(deadly, deadly);
    await expect(frontend.ask()).rejects.toMatchObject({ reason: 'timed-out' });
    expect(met).toBeLessThanOrEqual(3);
  });

  test.each(['unknown-domain-key', 'overloaded', 'no-domain'] as const)(
    'asks another worker when one says %s',
    async (refusal) => {
      await using frontend = await startTwoWorkers(refusing(refusal), answering(2));
      const answers = await Promise.all(Array.from({ length: MANY }, () => frontend.ask()));
      expect(new Set(answers)).toEqual(new Set([2]));
      expect(frontend.workers[0].frames).toBeGreaterThan(0);
    },
  );

  test('answers what workers are no longer too busy for, and asks less and less often', async () => {
    let asked = 0;
    const busy: RandomHandler = (...request) =>
      asked++ < 7 ? refusing('overloaded')(...request) : { bytes: Buffer.of(1) };
    await using frontend = await startTwoWorkers(busy, busy);
    const answer = frontend.ask(MINUTE_MS);
    // The other one is asked at once.
    for (const [already, ms] of [50, 100, 200, 400, 400, 400].entries()) {
      await until(() => asked === 2 + already);
      frontend.domain.clock.advance(ms);
    }
    expect(await answer).toBe(1);
    expect([asked, frontend.pool.inFlight]).toEqual([8, 0]);
  });

  test('throttles what all workers stay too busy for, long before the deadline, beyond an eighth of its places', async () => {
    let asked = 0;
    let isBusy = true;
    const busy: RandomHandler = (...request) => {
      asked++;
      return isBusy ? refusing('overloaded')(...request) : { bytes: Buffer.of(1) };
    };
    await using frontend = await startTwoWorkers(busy, busy);
    const answers = Array.from({ length: 200 }, () => frontend.ask(MINUTE_MS).catch((error: object) => error));
    for (const [already, ms] of [50, 100, 200].entries()) {
      await until(() => asked === 200 * (2 + already));
      frontend.domain.clock.advance(ms);
    }
    await until(() => asked === 1_000 && frontend.pool.inFlight === 125);
    isBusy = false;
    frontend.domain.clock.advance(400);
    const all = await Promise.all(answers);
    expect(all.filter((answer) => answer === 1)).toHaveLength(125);
    expect(all.filter((answer) => answer !== 1)).toMatchObject(Array(75).fill({ reason: 'overloaded' }));
  });

  test('throttles at the deadline what workers are too busy for', async () => {
    let refusals = 0;
    const overloaded: RandomHandler = (...request) => {
      refusals++;
      return refusing('overloaded')(...request);
    };
    await using frontend = await startTwoWorkers(overloaded, overloaded);
    const asked = frontend.ask(40);
    await until(() => refusals === 2);
    frontend.domain.clock.advance(40);
    await expect(asked).rejects.toMatchObject({ reason: 'overloaded' });
  });

  test('asks another member than those that must not answer, and says who did', async () => {
    await using frontend = await startTwoWorkers(answering(1), answering(2));
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
    await using frontend = await startTwoWorkers(answering(1), never);
    const { hsm, domain, workers } = frontend;
    const asked = hsm.executeByMember('GenerateRandom', { length: 1 }, domain.clock.now() + 1000, new Set(['hsm-1']));
    await until(() => workers[1].frames > 0);
    workers[1].die();
    await expect(asked).rejects.toMatchObject({ reason: 'nobody-else' });
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('says that no worker has a cluster only when each was asked', async () => {
    await using frontend = await startTwoWorkers(refusing('no-cluster'), refusing('no-cluster'));
    await expect(frontend.ask()).rejects.toMatchObject({ refusal: 'no-cluster' });
    // The pool connects anew at once.
    frontend.workers[0].mayOpen = new Promise(() => {});
    frontend.workers[0].die();
    await until(() => frontend.pool.ready === 1);
    await expect(frontend.ask()).rejects.toMatchObject({ refusal: 'cluster-away' });
  });

  test('passes any other refusal on', async () => {
    await using frontend = await startTwoWorkers(refusing('cannot-open'), refusing('cannot-open'));
    await expect(frontend.ask()).rejects.toMatchObject({ name: 'HsmRefusedError', refusal: 'cannot-open' });
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('fails a command at its deadline, and takes no harm from the late answer', async () => {
    const late = Promise.withResolvers<{ bytes: Buffer }>();
    let calls = 0;
    const handler: RandomHandler = () => (calls++ === 0 ? late.promise : { bytes: Buffer.of(7) });
    await using frontend = await startTwoWorkers(handler, handler);
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
    await using frontend = await startTwoWorkers(noting(1), noting(2));
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
      return never({ length: 1 }, undefined as never, undefined);
    };
    const overloaded: RandomHandler = () => {
      asked++;
      throw new RefusedError('overloaded');
    };
    await using frontend = await startTwoWorkers(overloaded, dying);
    await frontend.tellAll(MINUTE_MS);
    expect(asked).toBe(2);
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('waits for a worker that was told and does not answer no longer than the deadline', async () => {
    await using frontend = await startTwoWorkers(never, answering(2));
    const told = frontend.tellAll(1000);
    await until(() => frontend.workers.every(({ frames }) => frames > 0));
    frontend.domain.clock.advance(1000);
    await told;
    expect(frontend.pool.inFlight).toBe(0);
  });

  test('gives no command up because streams end in order, however many do', async () => {
    let ended = 0;
    const ending: RandomHandler = () => {
      if (ended++ > 10) return { bytes: Buffer.of(1) };
      frontend.workers.forEach((worker) => worker.end());
      return new Promise(() => {});
    };
    await using frontend = await startTwoWorkers(ending, ending);
    expect(await frontend.ask(MINUTE_MS)).toBe(1);
  });
});
