import { expect, test } from 'vitest';
import { PoolTurns } from './pool-turns.ts';

const AT_ONCE = 32;

/** Jobs that end when they are told to, in the order in which they began. */
function newJobs(turns = new PoolTurns()) {
  const begun: { name: string; end: (error?: Error) => void }[] = [];
  const refused: string[] = [];
  const add = (account: string, keyId: string, caller?: { isWaiting(): boolean }) => {
    const work = () =>
      new Promise<void>((resolve, reject) => {
        begun.push({ name: `${account}${keyId}`, end: (error) => (error ? reject(error) : resolve()) });
      });
    turns.run({ account, keyId }, caller, work).catch(({ refusal, message }: { refusal?: string; message: string }) => {
      refused.push(refusal ?? message);
    });
  };
  return { begun, refused, add, names: () => begun.slice(AT_ONCE).map(({ name }) => name) };
}

/** Lets everything that is already settled run. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function endAll({ begun }: ReturnType<typeof newJobs>): Promise<void> {
  for (let ended = 0; ended < begun.length; ended++) {
    begun[ended]!.end();
    await turn();
  }
}

test('some are begun at once, and then accounts take turns, and the keys of an account', async () => {
  const jobs = newJobs();
  for (let n = 0; n < AT_ONCE + 3; n++) jobs.add('a', '1');
  for (const keyId of ['2', '2']) jobs.add('a', keyId);
  jobs.add('b', '1');
  await turn();
  expect(jobs.begun).toHaveLength(AT_ONCE);
  await endAll(jobs);
  expect(jobs.names()).toEqual(['a1', 'b1', 'a2', 'a1', 'a2', 'a1']);
});

test('what too many wait for is refused, of one key and of one account, and other accounts are not', async () => {
  const jobs = newJobs();
  for (let n = 0; n < AT_ONCE + 512; n++) jobs.add('a', '1');
  for (const keyId of ['1', ...Array<string>(512).fill('2'), '3']) jobs.add('a', keyId);
  jobs.add('b', '1');
  await turn();
  expect(jobs.refused).toEqual(['overloaded', 'overloaded']);
  await endAll(jobs);
  expect(jobs.begun).toHaveLength(AT_ONCE + 512 + 512 + 1);
});

test('what nobody waits for any more is not begun', async () => {
  const jobs = newJobs();
  const caller = { waits: true, isWaiting: () => caller.waits };
  for (let n = 0; n < AT_ONCE; n++) jobs.add('a', '1', caller);
  for (let n = 0; n < 3; n++) jobs.add('a', '2', caller);
  jobs.add('b', '1');
  await turn();
  caller.waits = false;
  await endAll(jobs);
  expect(jobs.names()).toEqual(['b1']);
  expect(jobs.refused).toEqual(['expired', 'expired', 'expired']);
});

test('one that fails gives its turn to the next', async () => {
  const jobs = newJobs();
  for (let n = 0; n <= AT_ONCE; n++) jobs.add('a', '1');
  await turn();
  jobs.begun[0]!.end(new Error('it failed'));
  await turn();
  expect([jobs.refused, jobs.names()]).toEqual([['it failed'], ['a1']]);
});
