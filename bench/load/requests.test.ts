import { expect, test } from 'vitest';
import type { ReadyRequest, Transport } from '../wire/endpoint.ts';
import { newRequests } from './requests.ts';

const signing = { region: 'us-east-1', accessKeyId: 'ADMIN', secretAccessKey: 'secret' };
const endpoint = { transport: 'http1', tls: false, host: '127.0.0.1', port: 8900, signing } as const;
const pools = [{ operation: 'Encrypt', weight: 1, requests: [{ method: 'POST', path: '/', headers: {}, body: '{}' }] }];
const asIs: Transport<unknown> = {
  encode: (request) => request,
  connect: () => {
    throw new Error('nothing is sent here');
  },
};

function signersOf(count: number, callers?: Parameters<typeof newRequests>[0]['callers']): string[] {
  const requests = newRequests({ endpoint, callers, pools, choice: { kind: 'turn' } }, asIs, Math.random);
  return Array.from({ length: count }, () => {
    const { headers } = requests.next().request as ReadyRequest;
    const found = new Map(headers);
    const [, accessKeyId] = /Credential=([^/]+)/.exec(found.get('authorization')!)!;
    return `${accessKeyId} ${found.get('x-amz-security-token') ?? ''}`.trim();
  });
}

test('requests are signed by the callers in turn, or else by the signer of the endpoint', () => {
  const callers = [
    { ...signing, accessKeyId: 'USER' },
    { ...signing, accessKeyId: 'SESSION', sessionToken: 'token' },
  ];
  expect(signersOf(3, callers)).toEqual(['USER', 'SESSION token', 'USER']);
  expect(signersOf(2)).toEqual(['ADMIN', 'ADMIN']);
});
