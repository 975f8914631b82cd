import { expect, test } from 'vitest';
import { canonicalRequest } from './sigv4.ts';

/** The canonical form of one header value. Characters are bytes, as node:http returns them. */
function canonicalValueOf(value: string): string {
  const headers = new Map([['x-amz-meta', value]]);
  const request = { method: 'POST', path: '/', query: '', headers, payloadHash: 'hash' };
  return /^x-amz-meta:(.*)$/m.exec(canonicalRequest(request, 'x-amz-meta') ?? '')?.[1] ?? '';
}

test.each([
  [' a ', 'a'],
  ['\ta\t', 'a'],
  ['a  b', 'a b'],
  ['a \t b', 'a b'],
  ['a\tb', 'a b'],
  ['a b', 'a b'],
])('spaces and tabs of a header value are trimmed and collapsed: %j', (value, canonical) => {
  expect(canonicalValueOf(value)).toBe(canonical);
});

test.each(['\u00A0', 'a\u00A0', '\u00A0a', 'a\u00A0\u00A0b', '\u000Ba', 'a\f'])(
  'no other byte is a space: %j is signed as it was sent',
  (value) => {
    expect(canonicalValueOf(value)).toBe(value);
  },
);

test('UTF-8 that ends in the byte A0 keeps it', () => {
  const asSent = Buffer.from('caffè à').toString('latin1');
  expect(canonicalValueOf(asSent)).toBe(asSent);
});
