import { expect, test } from 'vitest';
import { addressesInTurn, tlsOptions } from './endpoint.ts';

const endpoint = { transport: 'http1', tls: true, host: '127.0.0.1', port: 1 } as const;

test('connections are dealt out to all addresses in turn', () => {
  const next = addressesInTurn({ ...endpoint, also: [{ host: '127.0.0.1', port: 2 }] });
  expect([next().port, next().port, next().port]).toEqual([1, 2, 1]);
});

test('TLS asks for a name where there is one, as an address cannot be asked for', () => {
  expect(tlsOptions({ ...endpoint, ca: 'PEM' }, endpoint)).toEqual({ ca: 'PEM' });
  expect(tlsOptions(endpoint, { host: 'kms.example', port: 1 })).toEqual({ servername: 'kms.example' });
});
