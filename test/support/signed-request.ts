import { createHash } from 'node:crypto';
import type { Caller } from '@keyfleet/frontend/operations/handler';
import { amzDateOf, authorizationOf, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4';

export const now = Date.UTC(2026, 10, 23, 12);
export const record = { accessKeyId: 'AKIDEXAMPLE' };
export const caller: Caller = {
  accountId: '000000000000',
  arn: 'arn:aws:iam::000000000000:user/alice',
  userId: 'AIDAEXAMPLE',
  accessKeyId: record.accessKeyId,
  policies: [],
};
export const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

export interface Changes {
  readonly accessKeyId?: string;
  readonly secret?: string;
  readonly headers?: Record<string, string>;
}

export function signed(
  { accessKeyId = record.accessKeyId, secret: signingSecret = secret, headers = {} }: Changes = {},
  region = 'us-east-1',
) {
  const amzDate = amzDateOf(now);
  const scope = { date: amzDate.slice(0, 8), region, service: 'kms' };
  const request = {
    method: 'POST',
    path: '/',
    query: '',
    headers: new Map(
      Object.entries({ host: 'kms', 'x-amz-date': amzDate, 'x-amz-target': 'TrentService.ListKeys', ...headers }),
    ),
    payloadHash: createHash('sha256').update('{}').digest('hex'),
    sourceIpAddress: '192.0.2.1',
  };
  const signingKey = deriveSigningKey(newSigningSecret(signingSecret), scope);
  request.headers.set('authorization', authorizationOf(request, amzDate, { accessKeyId, scope, signingKey }));
  return request;
}
