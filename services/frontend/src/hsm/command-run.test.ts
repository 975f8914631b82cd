import { commands } from '@keyfleet/shared/hsm/commands';
import { expect, test } from 'vitest';
import { CommandRun, UnansweredRuns } from './command-run.ts';

function newRun(): CommandRun {
  return new CommandRun(commands.GenerateRandom, Buffer.from([1]), 0);
}

test('a command is found by its id, once', () => {
  const unanswered = new UnansweredRuns();
  const [first, second] = [newRun(), newRun()];
  expect([unanswered.add(first), unanswered.add(second)]).toEqual([0, 1]);
  expect(unanswered.take(1)).toBe(second);
  expect(unanswered.take(1)).toBeUndefined();
  expect([...unanswered]).toEqual([first]);
  expect(unanswered.size).toBe(1);
});

test('an id that was never given out finds nothing', () => {
  const unanswered = new UnansweredRuns();
  unanswered.add(newRun());
  for (const id of [1, 7, 2 ** 32 - 1]) expect(unanswered.take(id)).toBeUndefined();
  expect(unanswered.size).toBe(1);
});

test('ids keep rising when everything before was answered', () => {
  const unanswered = new UnansweredRuns();
  for (let id = 0; id < 5; id++) {
    const run = newRun();
    expect(unanswered.add(run)).toBe(id);
    expect(unanswered.take(id)).toBe(run);
  }
  expect(unanswered.take(0)).toBeUndefined();
});

test('one that is answered late is found behind thousands that came and went', () => {
  const unanswered = new UnansweredRuns();
  const slow = newRun();
  const slowId = unanswered.add(slow);
  let kept: { id: number; run: CommandRun }[] = [];
  for (let turn = 0; turn < 500; turn++) {
    for (let count = 0; count < 10; count++) {
      const run = newRun();
      kept.push({ id: unanswered.add(run), run });
    }
    // Out of order, with every third left for another turn.
    for (const { id, run } of kept.filter((_, index) => index % 3 !== 0).toReversed()) {
      expect(unanswered.take(id)).toBe(run);
    }
    kept = kept.filter((_, index) => index % 3 === 0);
  }
  expect([...unanswered]).toEqual([slow, ...kept.map(({ run }) => run)]);
  expect(unanswered.take(slowId)).toBe(slow);
  expect(unanswered.size).toBe(kept.length);
  for (const { id, run } of kept) expect(unanswered.take(id)).toBe(run);
  expect(unanswered.size).toBe(0);
});

test('settled commands are forgotten', () => {
  const unanswered = new UnansweredRuns();
  const all = Array.from({ length: 4 }, newRun);
  for (const run of all) unanswered.add(run);
  for (const index of [0, 2]) all[index]!.succeed({ output: Buffer.alloc(0), memberId: 'hsm-1' });
  unanswered.forgetSettled();
  expect([...unanswered]).toEqual([all[1], all[3]]);
  expect(unanswered.take(2)).toBeUndefined();
  expect(unanswered.take(3)).toBe(all[3]);
  expect(unanswered.add(newRun())).toBe(4);
});

test('the bytes of a command are overwritten when it is settled, whether it was done or not', async () => {
  const [done, failed] = [newRun(), newRun()];
  done.succeed({ output: Buffer.from([2]), memberId: 'm' });
  failed.fail(new Error('refused'));
  await expect(failed.answer).rejects.toThrow('refused');
  expect([done.input, failed.input]).toEqual([Buffer.from([0]), Buffer.from([0])]);
});
