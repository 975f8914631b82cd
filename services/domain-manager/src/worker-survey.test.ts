import { beforeEach, expect, test } from 'vitest';
import { foundedReplica, resetWorld, world } from '@keyfleet/test-support/replicas';
import { SharedSurvey, surveyWorkers } from './worker-survey.ts';

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
