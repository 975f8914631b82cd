import { expect, test } from 'vitest';
import { formatBackup, isBackedUp, parseBackup, type StoredValue } from './backup-file.ts';

const values: StoredValue[] = [
  { name: 'kf:secret:{x}', type: 'string', value: 'AP8=' },
  { name: 'kf:domain:{test}:tokens', type: 'list', value: ['AQ==', 'Ag=='] },
];

test('a backup reads back as it was written', () => {
  expect(parseBackup(formatBackup(values))).toEqual(values);
  expect(parseBackup(formatBackup([]))).toEqual([]);
});

test('a backup that was cut anywhere or changed anywhere is refused', () => {
  const text = formatBackup(values);
  for (let length = 0; length < text.length; length++) {
    expect(() => parseBackup(text.slice(0, length))).toThrow();
  }
  for (let at = 0; at < text.length - 1; at++) {
    const changed = text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1);
    expect(() => parseBackup(changed)).toThrow();
  }
});

test('what proves nothing later is not backed up', () => {
  const names = [
    'kf:domain:{test}:tokens',
    'kf:domain:{test}:lease',
    'kf:domain:{test}:proposals',
    'kf:domain:{test}:proposal:ab',
    'kf:domain:{test}:reseal:7',
    'kf:key:{us-east-1/x}',
    'other',
  ];
  expect(names.filter(isBackedUp)).toEqual(['kf:domain:{test}:tokens', 'kf:key:{us-east-1/x}']);
});
