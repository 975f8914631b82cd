import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import { outcomesOf, report, SdkLoad } from './support/topology/sdk-load.ts';

// What a customer of the AWS SDK, with its retries as they are by default, sees of restarts.

let topology: Founded;
beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

test.each(['frontend', 'hsm-worker', 'domain-manager', 'nats', 'redis'])(
  'a rolling restart of %s fails no call',
  async (app) => {
    await using load = await SdkLoad.start(topology);
    await topology.rollingRestart(app);
    const outcomes = outcomesOf(await load.stop());
    report(`rolling restart of ${app}`, outcomes);
    expect(outcomes.flatMap(({ errors }) => errors)).toEqual([]);
  },
  600_000,
);
