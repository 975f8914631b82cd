import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { hostPort } from '../config.ts';
import { NatsConfig } from '../notices.ts';
import { RedisConfig } from '../redis/connect.ts';
import { PeerTlsConfig } from '../grpc/peers.ts';
import { AllowPlaintext, refusePlaintext } from './plaintext.ts';

const files = { certificateFile: 'a.pem', keyFile: 'a.key', caFile: 'ca.pem' };
const Config = z
  .strictObject({
    grpc: hostPort(),
    hsmWorkers: z.array(hostPort()).default([]),
    domainManagers: z.array(hostPort()).default([]),
    redis: RedisConfig.optional(),
    nats: NatsConfig.optional(),
    oidcIssuers: z.array(z.strictObject({ jwksUrl: z.string().optional() })).default([]),
    peerTls: PeerTlsConfig,
    allowPlaintext: AllowPlaintext,
  })
  .superRefine((config, context) => refusePlaintext({ ...config, redis: config.redis! }, context));

function problemsOf(config: object): readonly string[] {
  const { error } = Config.safeParse({ grpc: '127.0.0.1:1', ...config });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

test('connections within this machine need nothing', () => {
  const local = {
    hsmWorkers: ['localhost:1', '[::1]:2'],
    domainManagers: ['127.3.2.1:1'],
    redis: { url: 'redis://localhost:1' },
    nats: { servers: ['nats://127.0.0.1:4222', '[::1]:4222', 'localhost'] },
    oidcIssuers: [{}, { jwksUrl: 'http://[::1]:1/keys' }, { jwksUrl: 'https://idp.example.com/keys' }],
  };
  expect(problemsOf(local)).toEqual([]);
});

describe('an unencrypted connection to another machine is refused, with what to do', () => {
  test.each([
    ['grpc', { grpc: '0.0.0.0:1' }, 'set peerTls'],
    ['hsmWorkers', { hsmWorkers: ['127.0.0.1:1', 'worker-0.worker:1'] }, 'set peerTls'],
    ['domainManagers', { domainManagers: ['10.0.0.1:1'] }, 'set peerTls'],
    ['redis.url', { redis: { url: 'redis://redis:6379' } }, 'write rediss://'],
    ['redis.url', { redis: { url: 'redis+sentinel://127.0.0.1:1,sentinel-1:1/keyfleet' } }, 'write rediss://'],
    ['redis.url', { redis: { url: 'redis+sentinel://127.0.0.1:1/keyfleet' } }, 'write rediss://'],
    ['redis.url', { redis: { url: 'redis+cluster://127.0.0.1:1' } }, 'write rediss://'],
    ['nats.servers', { nats: { servers: ['nats://nats-0.nats:4222'] } }, 'set nats.tls'],
    ['nats.servers', { nats: { servers: ['127.0.0.1.example.com:4222'] } }, 'set nats.tls'],
    ['oidcIssuers', { oidcIssuers: [{ jwksUrl: 'HTTP://idp.example.com/keys' }] }, 'write https://'],
  ])('%s', (field, config, remedy) => {
    const [problem, ...others] = problemsOf(config);
    expect(others).toEqual([]);
    const elsewhere = '(\\S+ is not this machine|a Redis that it names may be on another machine)';
    expect(problem).toMatch(new RegExp(`^${field}: ${elsewhere}, and .*${remedy}, or set allowPlaintext$`));
    expect(problemsOf({ ...config, allowPlaintext: true })).toEqual([]);
  });
});

test('with TLS, peers are named by the host name of their certificate', () => {
  expect(problemsOf({ peerTls: files, grpc: '0.0.0.0:1', hsmWorkers: ['worker-0.worker:1'] })).toEqual([]);
  expect(problemsOf({ peerTls: files, hsmWorkers: ['worker-0:1', '10.0.0.1:1'] })).toEqual([
    'hsmWorkers: 10.0.0.1:1: with peerTls, write the host name of its certificate, not an IP address',
  ]);
});
