import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsCredentials } from '../../tools/aws-files.ts';
import { found } from './support/topology/found.ts';
import { type Outcome, outcomesOf, SdkLoad } from './support/topology/sdk-load.ts';
import { Topology } from './support/topology/topology.ts';

// What a customer of the AWS SDK, with its retries as they are by default, sees of restarts.

let topology: Topology;
let credentials: AwsCredentials;
beforeAll(async () => {
  topology = await Topology.start();
  credentials = await found(topology);
});
afterAll(() => topology?.[Symbol.asyncDispose]());

// Of hsm-workers, domain-managers, NATS and Redis this has not been shown yet.
test('a rolling restart of the frontends fails no call', async () => {
  await using load = await SdkLoad.start(topology, credentials);
  await topology.rollingRestart('frontend');
  const outcomes = outcomesOf(await load.stop());
  report('rolling restart of the frontends', outcomes);
  expect(outcomes.flatMap(({ errors }) => errors)).toEqual([]);
}, 600_000);

function report(what: string, outcomes: readonly Outcome[]): void {
  for (const { operation, calls, failed, repeated, longestMs, unavailableMs, errors } of outcomes) {
    const figures = `${calls} calls, ${failed} failed, ${repeated} repeated, longest ${longestMs} ms, none answered for ${unavailableMs} ms`;
    process.stdout.write(`${what}: ${operation}: ${figures} ${errors.join('; ')}\n`);
  }
}
