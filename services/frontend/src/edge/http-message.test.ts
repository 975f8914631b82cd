import { expect, test } from 'vitest';
import { readTarget } from './http-message.ts';

test.each([
  ['/', { path: '/', query: '' }],
  ['/?a=b?c', { path: '/', query: 'a=b?c' }],
  ['//x', { path: '//x', query: '' }],
  ['http://host:8900/', { path: '/', query: '', authority: 'host:8900' }],
  ['HTTPS://host', { path: '/', query: '', authority: 'host' }],
  ['http://host?a=b', { path: '/', query: 'a=b', authority: 'host' }],
  ['http://[::1]:1/p?q', { path: '/p', query: 'q', authority: '[::1]:1' }],
])('%s is read', (text, expected) => {
  expect(readTarget(text)).toEqual(expected);
});

test.each(['', '*', 'host:443', 'ftp://host/', 'http:///', 'http://host/#x'])('%j is no target', (text) => {
  expect(readTarget(text)).toBeUndefined();
});
