import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import { user } from '@keyfleet/test-support/fakes/frontend';
import { expect, test } from 'vitest';
import { Pipeline } from './pipeline.ts';

test.each([
  ['in a header, which its sender made, makes the sender known', false, 1],
  ['in a URL, which is made to be given to others, makes nobody known', true, 0],
])('a genuine signature %s', async (_, isPresigned, known) => {
  let called = 0;
  const pipeline = new Pipeline({
    authenticator: {
      authenticate: () => ({ caller: user('alice'), region: 'us-east-1', isPresigned }),
      namesKey: () => true,
    },
    perform: async () => undefined,
    cached: { lastKnown: () => undefined },
    audit: { assertRecordable: () => {}, record: () => '' },
    lastUsages: { note: () => {} },
    clock: { now: Date.now },
    requestTimeoutMs: 5_000,
    meter: operationMeter('keyfleet.requests'),
    onFault: () => {},
  });
  const request = {
    method: 'GET',
    path: '/',
    query: '',
    headers: new Map<string, string>(),
    payloadHash: '',
    requestId: 'r',
    sourceIpAddress: '192.0.2.1',
    isSecure: true,
    onGenuine: () => called++,
  };
  const answer = await pipeline.process(request, {
    name: 'GetCallerIdentity',
    service: 'sts',
    operation: undefined,
    signedFor: { service: 'sts', regions: new Set(['us-east-1']), presigned: true },
    parse: () => ({}),
    perform: async () => ({}),
    format: (_output, { arn }) => arn,
  });
  expect(answer).toBe(user('alice').arn);
  expect(called).toBe(known);
});
