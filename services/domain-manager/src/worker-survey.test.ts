import { beforeEach, expect, test } from 'vitest';
import { foundedReplica, resetWorld, world } from '@keyfleet/test-support/replicas';
import { SharedSurvey } from './worker-survey.ts';

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
