import { expect, test } from 'vitest';
import { parseRedisUrl } from './url.ts';

test.each([
  ['redis://localhost', { kind: 'standalone', tls: false, nodes: [{ host: 'localhost', port: 6379 }] }],
  ['rediss://r.example:7000/0', { kind: 'standalone', tls: true, nodes: [{ host: 'r.example', port: 7000 }] }],
  ['redis://[::1]:7000', { kind: 'standalone', tls: false, nodes: [{ host: '::1', port: 7000 }] }],
  [
    'redis+sentinel://a:1,b/mymaster',
    {
      kind: 'sentinel',
      tls: false,
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26_379 },
      ],
      masterName: 'mymaster',
    },
  ],
  ['rediss+cluster://a:1', { kind: 'cluster', tls: true, nodes: [{ host: 'a', port: 1 }] }],
])('%s says where Redis is', (url, expected) => {
  expect(parseRedisUrl(url)).toEqual(expected);
});

test.each([
  'http://localhost',
  'redis://',
  'redis://a:1,b:2',
  'redis://user:secret@localhost',
  'redis://localhost:70000',
  'redis://localhost/db',
  'redis://localhost/3',
  'redis+sentinel://a:1',
  'redis+cluster://a:1/0',
])('%s is not a place to connect to', (url) => {
  expect(parseRedisUrl(url)).toBeUndefined();
});
