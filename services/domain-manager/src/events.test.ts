import type { Log } from '@keyfleet/shared/log';
import { expect, test } from 'vitest';
import { DomainManagerEvents } from './events.ts';

test('of what stands in Redis in the place of a domain token, the log has one line, however many ask for the tokens', () => {
  const said: string[] = [];
  const events = new DomainManagerEvents({ warn: (_: object, text: string) => said.push(text) } as object as Log);
  for (let n = 0; n < 100; n++) events.tokensUnreadable(new Error(`token ${n} cannot be read`));
  expect(said).toEqual(['the stored domain tokens could not be read']);
});
