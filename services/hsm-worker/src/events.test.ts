import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { Log } from '@keyfleet/shared/log';
import { expect, test } from 'vitest';
import { WorkerEvents } from './events.ts';

function start() {
  const lines: string[] = [];
  const write = (fields: { err?: Error }, text: string) => void lines.push(`${text}: ${fields.err?.message ?? ''}`);
  const log = { warn: write, error: write } as object as Log;
  return { lines, events: new WorkerEvents(log, () => {}) };
}

test('a stranger fills no log, in whatever words the calls are refused, and hides no other refusal', () => {
  const { lines, events } = start();
  for (let call = 0; call < 1_000; call++) {
    events.domainCallRefused('/Activate', new DomainError('unauthorized-call', `of you-${call % 2}`));
    events.sessionRefused();
    events.streamRefused();
  }
  events.domainCallRefused('/Activate', new DomainError('stale', 'an older token'));
  events.domainCallRefused('/Install', new DomainError('unauthorized-call', 'of me'));
  expect(lines).toEqual([
    'domain call refused: of you-0',
    'host session refused: ',
    'stream refused: ',
    'domain call refused: an older token',
    'domain call refused: of me',
  ]);
});
