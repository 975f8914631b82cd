import type { Log } from '@keyfleet/shared/log';
import { DamagedValueError } from '@keyfleet/shared/redis/stored-values';
import { expect, test } from 'vitest';
import { FrontendEvents } from './events.ts';
import { DamagedRecordError } from './store/store.ts';

// Whoever wrote to Redis has left as many damaged records as he liked. Each is another text.

function lines(happen: (events: FrontendEvents, n: number) => void): string[] {
  const said: string[] = [];
  const say = (_: object, text: string): void => void said.push(text);
  const events = new FrontendEvents({ warn: say, error: say } as object as Log);
  for (let n = 0; n < 100; n++) happen(events, n);
  return said;
}

const damage = (n: number): Error => new DamagedRecordError(`kf:key:{eu-west-1/${n}} record is not authentic`);

test.each<[string, (events: FrontendEvents, n: number) => void]>([
  ['request failed', (events, n) => events.requestFailed(damage(0), `${n}`)],
  ['request failed', (events, n) => events.requestFailed(new DamagedValueError('kf:keys:{0} is a list'), `${n}`)],
  ['a deletion or rotation was not done; it will be retried', (events, n) => events.dueWorkLeft(`r/${n}`, damage(n))],
  ['deletions and rotations of keys are delayed', (events, n) => events.dueWorkProblem(damage(n))],
  ['request rates are not shared with other frontends now', (events, n) => events.ratesProblem(damage(n))],
  ['not resealed yet; another pass will retry', (events, n) => events.notResealed(`kf:key:{r/${n}}`, damage(n))],
])('of many damaged records the log has one line: %s', (text, happen) => {
  expect(lines(happen)).toEqual([text]);
});

test('the log names the records that requests find damaged, twenty of them a minute', () => {
  expect(lines((events, n) => events.requestFailed(damage(n % 50), `${n}`))).toHaveLength(20);
});

test('each deletion that was put off is named, twenty of them a minute, and once', () => {
  expect(lines((events, n) => events.deletionPutOff(`r/${n % 9}`, 0))).toHaveLength(9);
  expect(lines((events, n) => events.deletionPutOff(`r/${n}`, 0))).toHaveLength(20);
});

test('a request that fails for another reason always has a line, by which its requestId is found', () => {
  expect(lines((events, n) => events.requestFailed(new Error('a fault'), `${n}`))).toHaveLength(100);
});
