import { expect, test } from 'vitest';
import { assumeRoleWithWebIdentity } from '../identities/sts/web-identity.ts';
import type { HttpRequest } from './http-message.ts';
import { QueryEdge } from './query-edge.ts';

/** Reads the call and performs nothing. */
const edge = new QueryEdge({
  pipeline: { process: async (_request, { parse, format }) => format(await parse(), {} as never) },
  perform: async () => undefined,
  operations: [assumeRoleWithWebIdentity],
  regions: new Set(['us-east-1']),
});

async function answerTo(form: string): Promise<string> {
  const body = Buffer.from(`Action=AssumeRoleWithWebIdentity&Version=2011-06-15&${form}`);
  const request: Partial<HttpRequest> = { body, query: '', requestId: 'r', headers: new Map() };
  const { status, body: answer } = await edge.answer(request as HttpRequest);
  return `${status} ${answer.toString()}`;
}

test('of a call that anybody may send, no long form is read, and none is said back', async () => {
  expect(await answerTo(`RoleArn=${'%22'.repeat(300_000)}`)).toMatch(/^400 .*more than 32768 characters/s);
  expect(await answerTo('a=1&'.repeat(200))).toMatch(/^400 .*more than 200 parameters/s);
  expect((await answerTo(`RoleArn=${'%22'.repeat(10_000)}`)).length).toBeLessThan(100_000);
});
