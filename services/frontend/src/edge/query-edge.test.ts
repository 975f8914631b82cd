import { expect, test } from 'vitest';
import { assumeRoleWithWebIdentity } from '../identities/sts/web-identity.ts';
import type { HttpRequest } from './http-message.ts';
import { QueryEdge } from './query-edge.ts';

/** The service that the last call was taken to be of, as the audit log names it. */
let service: string;

/** Reads the call and performs nothing. */
const edge = new QueryEdge({
  pipeline: {
    process: async (_request, call) => {
      service = call.service;
      return call.format(await call.parse(), {} as never);
    },
  },
  perform: async () => undefined,
  operations: [assumeRoleWithWebIdentity],
  regions: new Set(['us-east-1']),
});

async function answerTo(form: string, version = '2011-06-15'): Promise<string> {
  const body = Buffer.from(`Action=AssumeRoleWithWebIdentity&Version=${version}&${form}`);
  const request: Partial<HttpRequest> = { body, query: '', requestId: 'r', headers: new Map() };
  const { status, body: answer } = await edge.answer(request as HttpRequest);
  return `${status} ${answer.toString()}`;
}

test('of a call that anybody may send, no long form is read, and none is said back', async () => {
  expect(await answerTo(`RoleArn=${'%22'.repeat(300_000)}`)).toMatch(/^400 .*more than 32768 characters/s);
  expect(await answerTo('a=1&'.repeat(200))).toMatch(/^400 .*more than 200 parameters/s);
  expect((await answerTo(`RoleArn=${'%22'.repeat(10_000)}`)).length).toBeLessThan(100_000);
});

test.each(['constructor', '__proto__', 'toString', '1999-12-31', ''])(
  'a call of the version %j, which no service has, is one of STS that does not exist',
  async (version) => {
    const answer = await answerTo('', version);
    expect(service).toBe('sts');
    expect(answer).toMatch(/^400 <ErrorResponse xmlns="https:\/\/sts\.amazonaws\.com\/doc\/2011-06-15\/">/);
    expect(answer).toContain(`Could not find operation AssumeRoleWithWebIdentity for version ${version}<`);
  },
);
