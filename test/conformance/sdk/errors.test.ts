import type { Operation } from '@keyfleet/shared/api/operation';
import { type OperationName, operations } from '@keyfleet/shared/api/registry';
import { findHandler } from '@keyfleet/frontend/operations/index';
import { call, refusalOf } from '@keyfleet/test-support/sdk-client';
import { sharedKey } from '@keyfleet/test-support/sdk-keys';
import { afterAll, expect, test } from 'vitest';
import { whyNever } from './cannot-occur.ts';
import { type Provocation, provocationOf } from './provocations.ts';
import { requestAbout, requests } from './requests.ts';

const all = Object.values<Operation>(operations) as (Operation & { name: OperationName })[];
const isHere = ({ name }: { name: OperationName }): boolean => findHandler(name) !== undefined;
const pairs = all.filter(isHere).flatMap((operation) => operation.errors.map((error) => ({ operation, error })));

/** Reason -> error -> the operations that declare it. */
const never = new Map<string, Map<string, string[]>>();
for (const { operation, error } of pairs) {
  const because = whyNever(operation, error);
  if (because === undefined) continue;
  const errors = never.get(because) ?? new Map<string, string[]>();
  never.set(because, errors.set(error, [...(errors.get(error) ?? []), operation.name]));
}
const waiting: string[] = [];
const provoked = pairs.flatMap(({ operation, error }) => {
  if (whyNever(operation, error) !== undefined) return [];
  const provocation = provocationOf(operation.name, error);
  const missing = provocation?.needs?.filter((name) => !isHere({ name })) ?? [];
  if (missing.length === 0) return [{ name: operation.name, error, provocation }];
  waiting.push(`${operation.name} ${error} needs ${missing.join(', ')}`);
  return [];
});

test.each(provoked)('$name answers $error as AWS does', async ({ error, provocation }) => {
  expect(provocation, 'no way to provoke it, and no reason why not').toBeDefined();
  const { answer, says } = await (provocation as Provocation).provoke();
  expect(await refusalOf(answer)).toBe(says === undefined ? error : `${error}: ${says}`);
});

test.each(all.filter((operation) => !isHere(operation)))(
  '$name is not in this release, and says so',
  async ({ name }) => {
    const { kind, input } = requests[name];
    const request = kind === undefined ? await input({} as never) : await requestAbout(name, await sharedKey(kind));
    expect(await refusalOf(call(name, request))).toMatch(/^UnknownOperationException/);
  },
);

test('a key identifier that is none is a key that is not there', async () => {
  const { KeyId } = await sharedKey('symmetric');
  for (const identifier of ['fake-key-id', KeyId.replaceAll('-', ''), 'mrk-12']) {
    const refusal = refusalOf(call('DescribeKey', { KeyId: identifier }));
    expect(await refusal).toBe(`NotFoundException: Invalid keyId '${identifier}'`);
  }
});

afterAll(() => {
  const reasons = [...never].flatMap(([because, errors]) => [
    `Cannot occur, as ${because}:`,
    ...[...errors].map(([error, names]) => `  ${error} (${names.join(', ')})`),
  ]);
  const done = `${provoked.length} declared errors of ${all.filter(isHere).length} operations were provoked.`;
  const wait = waiting.length > 0 ? ['Not yet:', ...waiting.map((line) => `  ${line}`)] : [];
  process.stdout.write(`${[done, ...reasons, ...wait].join('\n')}\n`);
});
