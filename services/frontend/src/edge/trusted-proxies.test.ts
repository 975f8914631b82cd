import { describe, expect, test } from 'vitest';
import { saysTls, TrustedProxies } from './trusted-proxies.ts';

const proxies = new TrustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);

describe('the source of a request', () => {
  test.each([
    ['a connection of anybody else, whatever it claims', '198.51.100.1', '203.0.113.9', '198.51.100.1'],
    ['a proxy that names one', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['a proxy that adds to what its client wrote', '10.0.0.1', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['a chain of proxies', '192.0.2.7', '127.0.0.1, 203.0.113.9, 10.9.9.9,10.0.0.2', '203.0.113.9'],
    ['proxies all the way', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['a proxy that says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['a proxy that says what is no address', '10.0.0.1', '203.0.113.9, unknown', '10.0.0.1'],
    ['a proxy behind another that says nonsense', '10.0.0.1', 'x, 10.0.0.2', '10.0.0.2'],
    ['a proxy that adds the port', '10.0.0.1', '203.0.113.9:4711', '203.0.113.9'],
    ['IPv6 with a port', '2001:db8::1', '[2001:DB9::1]:4711', '2001:DB9::1'],
    ['IPv6', '2001:db8::1', '2001:db9::1', '2001:db9::1'],
    ['an IPv4 proxy on a socket for both', '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ])('%s', (_, connected, forwardedFor, source) => {
    expect(proxies.sourceOf(connected, forwardedFor)).toBe(source);
  });

  test('where none is trusted it is who is connected', () => {
    expect(new TrustedProxies([]).sourceOf('10.0.0.1', '203.0.113.9')).toBe('10.0.0.1');
  });
});

test('TLS is spoken where the nearest proxy says so', () => {
  expect(saysTls('https')).toBe(true);
  expect(saysTls('http, https')).toBe(true);
  expect(saysTls('https, http')).toBe(false);
  expect(saysTls(undefined)).toBe(false);
});
