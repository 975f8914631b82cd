import { expect, test } from 'vitest';
import { weaknessOf } from './passphrase.ts';

test.each(['correct horse battery', 'jYk8-vQ2w-pX9d-Lm4', 'vier zufällige wörter hier', 'любые пять слов подряд'])(
  '%j will do',
  (passphrase) => {
    expect(weaknessOf(passphrase)).toBeUndefined();
  },
);

test.each(['', 'correct horse', 'jYk8-vQ2w-pX9d'])('%j is too short', (passphrase) => {
  expect(weaknessOf(passphrase)).toContain('too short');
});

test.each([
  'aaaaaaaaaaaaaaaaaaaa',
  'abcabcabcabcabcabcabc',
  'abcdefghijklmnopqrstuvwxyz',
  'zyxwvutsrqponmlkjihgfedcba',
  '12345678901234567890',
  'passwordpasswordpassword',
  'aabbccddeeffgghhiijj',
])('%j is long and easy to guess', (passphrase) => {
  expect(weaknessOf(passphrase)).toContain('repeats itself');
});
