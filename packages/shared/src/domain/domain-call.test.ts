import { newOperator, publicPart, refusalOf } from '@keyfleet/test-support/domain';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  CALL_SKEW_MS,
  type CallSubject,
  type DomainCallMethod,
  domainCallMethods,
  signCall,
  verifyCall,
} from './domain-call.ts';

const scheduler = newOperator('domain-manager-1', 'scheduler');
const other = newOperator('domain-manager-2', 'scheduler');
const schedulers = [publicPart(scheduler)];
const now = Date.UTC(2026, 10, 26);
const subject: CallSubject = {
  domain: 'test',
  method: 'InstallDomainTokens',
  memberId: 'hsm-1',
  request: [Buffer.from('one'), Buffer.from('two')],
};

test('a scheduler’s call is taken for what it says, about when it says', () => {
  const call = signCall(subject, scheduler, now);
  for (const at of [now, now - CALL_SKEW_MS, now + CALL_SKEW_MS]) verifyCall(call, subject, { schedulers, now: at });
});

test.each<[string, Partial<CallSubject>]>([
  ['domain', { domain: 'production' }],
  ['method', { method: 'PrepareDomainToken' }],
  ['member', { memberId: 'hsm-2' }],
  ['request', { request: [Buffer.from('onetwo')] }],
])('a call is worth nothing for another %s', (_, difference) => {
  const call = signCall(subject, scheduler, now);
  expect(refusalOf(() => verifyCall(call, { ...subject, ...difference }, { schedulers, now }))).toBe(
    'unauthorized-call',
  );
});

test('a call that is too old, from the future, or of someone else is refused', () => {
  const refused = (by: typeof scheduler, at: number) =>
    refusalOf(() => verifyCall(signCall(subject, by, at), subject, { schedulers, now }));
  expect(refused(scheduler, now - CALL_SKEW_MS - 1)).toBe('unauthorized-call');
  expect(refused(scheduler, now + CALL_SKEW_MS + 1)).toBe('unauthorized-call');
  expect(refused(other, now)).toBe('unauthorized-call');
  expect(refused({ ...other, operatorId: scheduler.operatorId }, now)).toBe('unauthorized-call');
});

test('a call with any byte changed is refused', () => {
  const call = signCall(subject, scheduler, now);
  for (let at = 0; at < call.length; at++) {
    const changed = Buffer.from(call);
    changed[at]! ^= 1;
    expect(refusalOf(() => verifyCall(changed, subject, { schedulers, now }))).toMatch(/unauthorized-call|malformed/);
  }
});

test('calls that were signed once are taken for ever (golden vectors)', () => {
  const files = ['domain-call.json', 'domain-call-check.json'].map(vectorsIn);
  expect(files.flatMap(({ calls }) => calls.map(({ method }) => method))).toEqual(domainCallMethods);
  for (const { domain, memberId, schedulerId: operatorId, signingKey: key, issuedAt, calls } of files) {
    const signingKey = Buffer.from(key, 'hex');
    for (const { method, request, signed } of calls) {
      verifyCall(
        Buffer.from(signed, 'hex'),
        { domain, memberId, method, request: request.map((part) => Buffer.from(part, 'hex')) },
        { schedulers: [{ operatorId, role: 'scheduler', signingKey }], now: issuedAt },
      );
    }
  }
});

interface Vectors {
  readonly domain: string;
  readonly memberId: string;
  readonly schedulerId: string;
  readonly signingKey: string;
  readonly issuedAt: number;
  readonly calls: readonly { method: DomainCallMethod; request: string[]; signed: string }[];
}

function vectorsIn(name: string): Vectors {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../../../test/vectors/kms', name), 'utf8')) as Vectors;
}
