import { operationMeter } from '@keyfleet/shared/telemetry/meters';
import { operations } from '@keyfleet/shared/api/registry';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { accountId, user } from '@keyfleet/test-support/fakes/frontend';
import { describe, expect, test } from 'vitest';
import type { QueryOperation } from '../identities/query-operation.ts';
import { assumeRoleWithWebIdentity } from '../identities/sts/web-identity.ts';
import type { RequestRates } from '../quotas/request-rates.ts';
import { Pipeline } from './pipeline.ts';

function newPipeline(charge: RequestRates['charge'], isPresigned = false, recorded: string[] = []): Pipeline {
  return new Pipeline({
    authenticator: {
      authenticate: () => ({ caller: user('alice'), region: 'us-east-1', isPresigned }),
      namesKey: () => true,
    },
    perform: async () => undefined,
    cached: { lastKnown: () => undefined },
    audit: { assertRecordable: () => {}, record: ({ name }) => (recorded.push(name), '') },
    lastUsages: { note: () => {} },
    rates: { charge },
    clock: { now: Date.now },
    requestTimeoutMs: 5_000,
    meter: operationMeter('keyfleet.requests'),
    onFault: () => {},
  });
}

const request = {
  method: 'GET',
  path: '/',
  query: '',
  headers: new Map<string, string>(),
  payloadHash: '',
  requestId: 'r',
  sourceIpAddress: '192.0.2.1',
  isSecure: true,
  onGenuine: () => {},
};
const ofSts = { service: 'sts', regions: new Set(['us-east-1']), presigned: true } as const;

test.each([
  ['in a header, which its sender made, makes the sender known', false, 1],
  ['in a URL, which is made to be given to others, makes nobody known', true, 0],
])('a genuine signature %s; either is recorded', async (_, isPresigned, known) => {
  let called = 0;
  const recorded: string[] = [];
  const pipeline = newPipeline(() => {}, isPresigned, recorded);
  const answer = await pipeline.process(
    { ...request, onGenuine: () => called++ },
    {
      name: 'GetCallerIdentity',
      service: 'sts',
      operation: undefined,
      signedFor: ofSts,
      parse: () => ({}),
      perform: async () => ({}),
      format: (_output, { arn }) => arn,
    },
  );
  expect(answer).toBe(user('alice').arn);
  expect(called).toBe(known);
  expect(recorded).toEqual(['GetCallerIdentity']);
});

describe('a call that cannot be read', () => {
  const unread = {
    name: 'x',
    signedFor: ofSts,
    parse: () => {
      throw new KmsException('ValidationException', 'no such form');
    },
    format: () => undefined,
  };
  const { CreateKey, Decrypt } = operations;
  const calls = [
    { ...unread, service: 'kms', operation: CreateKey },
    { ...unread, service: 'kms', operation: Decrypt },
    { ...unread, service: 'iam', operation: undefined, query: { service: 'iam', readOnly: false } as QueryOperation },
    { ...unread, service: 'sts', operation: undefined, query: assumeRoleWithWebIdentity, signedFor: undefined },
  ] as const;

  test('is charged to the account that signed it, like every other', async () => {
    const charged: string[] = [];
    const pipeline = newPipeline(({ accountId: of, region }, rateClass) =>
      charged.push(`${of} ${region} ${rateClass}`),
    );
    for (const call of calls) await expect(pipeline.process(request, call)).rejects.toThrow('no such form');
    expect(charged).toEqual([
      `${accountId} us-east-1 CreateKey`,
      `${accountId} us-east-1 SymmetricCryptography`,
      `${accountId} aws-global IamWrite`,
    ]);
  });

  test('is refused for its rate when that is used up', async () => {
    const pipeline = newPipeline(() => {
      throw new KmsException('ThrottlingException', 'too many');
    });
    await expect(pipeline.process(request, calls[0])).rejects.toThrow('too many');
  });
});
