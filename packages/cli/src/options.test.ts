import { expect, test } from 'vitest';
import { newPassphraseOf } from './options.ts';
import type { Terminal } from './terminal.ts';

/** Somebody who types these lines. */
function personTyping(...lines: string[]): Terminal {
  return { write: () => {}, note: () => {}, askSecret: async () => lines.shift() ?? '' };
}

test('a new passphrase is asked twice, and one that is short or typed differently is refused', async () => {
  const ask = (...lines: string[]) => newPassphraseOf({}, personTyping(...lines), 'New passphrase');
  expect(await ask('tremble lantern', 'tremble lantern')).toBe('tremble lantern');
  await expect(ask('tremble lantern', 'tremble lanterns')).rejects.toThrow('the two passphrases differ');
  await expect(ask('short', 'short')).rejects.toThrow('too short: at least 12 characters');
});
