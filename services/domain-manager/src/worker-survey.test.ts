import { beforeEach, expect, test } from 'vitest';
import { foundedReplica, resetWorld, world } from '@keyfleet/test-support/replicas';
import { isClockRefused, SharedSurvey, surveyWorkers } from './worker-survey.ts';

beforeEach(resetWorld);

test('many who ask for the status within a second cost the workers one question, and a new token another', async () => {
  const { tokens } = await foundedReplica();
  let asked = 0;
  const [worker] = world.workers;
  const description = await worker!.describe();
  const describe = async () => (asked++, description);
  const survey = new SharedSurvey([Object.assign(worker!, { describe })], world.clock);
  const views = await Promise.all(Array.from({ length: 1000 }, () => survey.take(tokens.head)));
  expect(asked).toBe(1);
  expect(views[999]!.map(({ standing }) => standing)).toEqual(['member']);
  await survey.take({ ...tokens.head! });
  expect(asked).toBe(2);
  world.clock.advance(1000);
  await survey.take(tokens.head);
  expect(asked).toBe(3);
});

test('two workers that say they are one member are both named', async () => {
  const { tokens } = await foundedReplica();
  const [first, second] = world.workers;
  first!.claims = await second!.describe();
  const views = await surveyWorkers(world.workers, tokens.head);
  expect(views.map(({ problem }) => problem)).toEqual([
    'says that it is hsm-2, and so does hsm-2:1',
    'says that it is hsm-2, and so does hsm-1:1',
    undefined,
  ]);
});

test.each([
  ['most members in reach', [300_001, -300_001, 0], true],
  ['the only one in reach', [300_001], true],
  ['one of three', [3_600_000, 0, 0], false],
  ['one of two', [3_600_000, 0], false],
  ['none of them, being within five minutes', [300_000, -300_000, 300_000], false],
  ['nobody, if none is in reach', [], false],
])('the clock here is minutes from that of %s', async (_, differences, isRefused) => {
  const { tokens } = await foundedReplica();
  for (const [i, worker] of world.workers.entries()) {
    const description = await worker.describe();
    worker.down = differences[i] === undefined;
    if (!worker.down) worker.describe = async () => ({ ...description, clockAheadMs: differences[i]! });
  }
  expect(isClockRefused(await surveyWorkers(world.workers, tokens.head))).toBe(isRefused);
});
