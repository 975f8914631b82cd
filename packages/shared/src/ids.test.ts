import { expect, test } from 'vitest';
import { isAliasName, isKeyId, isMultiRegionKeyId, newKeyId } from './ids.ts';

test('new key ids are key ids, and tell multi-Region keys apart', () => {
  expect(isKeyId(newKeyId(false))).toBe(true);
  expect(isKeyId(newKeyId(true))).toBe(true);
  expect([newKeyId(false), newKeyId(true)].map(isMultiRegionKeyId)).toEqual([false, true]);
});

test.each([
  '1234abcd12ab34cd56ef1234567890ab',
  '1234ABCD-12AB-34CD-56EF-1234567890AB',
  'mrk-1234abcd12ab34cd56ef1234567890a',
  'mrk-1234abcd-12ab-34cd-56ef-1234567890ab',
  '1234abcd-12ab-34cd-56ef-1234567890ab\n',
  '',
])('%j is not a key id', (text) => {
  expect(isKeyId(text)).toBe(false);
});

test('an alias name has its prefix and something after it', () => {
  expect(['alias/a', 'alias/', 'a', 'Alias/a'].map(isAliasName)).toEqual([true, false, false, false]);
});
