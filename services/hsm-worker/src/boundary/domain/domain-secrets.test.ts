import { createSecretKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { domainKeyIdOf } from './domain-secrets.ts';

test('the id of a domain key follows from the key, its domain and its generation', () => {
  const key = createSecretKey(Buffer.from(Array.from({ length: 32 }, (_, i) => i)));
  const idOf = (domain: string, generation: number) => domainKeyIdOf(key, { domain, generation });
  expect(idOf('example.org', 7)).toBe('0523e144781b40dbb3cef4d32c226de6');
  expect(new Set([idOf('example.org', 7), idOf('example.org', 8), idOf('example.net', 7)]).size).toBe(3);
});
