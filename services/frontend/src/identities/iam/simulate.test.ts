import { beforeEach, expect, test } from 'vitest';
import { Policies } from '../../policy/policies.ts';
import type { Admitted, IamDeps } from '../query-operation.ts';
import { simulationOperations } from './simulate.ts';

const policy = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } });
const simulateCustomPolicy = simulationOperations.find(({ name }) => name === 'SimulateCustomPolicy')!;

interface Answer {
  readonly EvaluationResults: readonly { readonly EvalActionName: string; readonly EvalResourceName: string }[];
  readonly IsTruncated: boolean;
  readonly Marker: string | undefined;
}

/** The requests that were charged beside the requests themselves. */
let charged = 0;
let charge: (requests: number) => void;
beforeEach(() => {
  charged = 0;
  charge = (requests) => void (charged += requests);
});

async function simulate(ActionNames: readonly string[], ResourceArns: readonly string[], paging: object = {}) {
  const accountId = '000000000000';
  const caller = { arn: `arn:aws:iam::${accountId}:user/a`, accountId, userId: 'AIDAA', policies: [policy] };
  const call = {
    caller,
    region: 'us-east-1',
    sourceIpAddress: '127.0.0.1',
    isSecure: true,
    userAgent: '',
    deadline: 5_000,
  };
  const input = { ActionNames, ResourceArns, PolicyInputList: [policy], ...paging };
  const deps = {
    policies: new Policies(),
    rates: { chargeMore: (_of: object, _class: string, requests: number) => charge(requests) },
    clock: { now: () => 0 },
    partition: 'aws',
    markers: {
      seal: async (_: object, position: string) => `after ${position}`,
      open: async (_: object, marker: string) => marker.slice('after '.length),
    },
  };
  const admitted = { input, call } as object as Admitted<never, never>;
  return (await simulateCustomPolicy.run(admitted, deps as object as IamDeps)) as Answer;
}

test('pages hold every action on every resource once, also what is given twice', async () => {
  const [actions, resources] = [
    ['kms:Encrypt', 'kms:Decrypt', 'kms:Encrypt'],
    ['one', 'two'],
  ];
  const seen: string[] = [];
  const sizes: number[] = [];
  let Marker: string | undefined;
  do {
    const answer: Answer = await simulate(actions, resources, { MaxItems: 5, ...(Marker !== undefined && { Marker }) });
    seen.push(...answer.EvaluationResults.map((one) => `${one.EvalActionName} ${one.EvalResourceName}`));
    sizes.push(answer.EvaluationResults.length);
    expect(answer.IsTruncated).toBe(answer.Marker !== undefined);
    ({ Marker } = answer);
  } while (Marker !== undefined);
  expect(sizes).toEqual([5, 1]);
  expect(seen).toEqual(actions.flatMap((action) => resources.map((resource) => `${action} ${resource}`)));
});

test('a page of a million decisions makes only its own, and other work is done between them', async () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `kms:a${i}`);
  let turns = 0;
  const turn = (): void => {
    turns += 1;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  const { EvaluationResults, IsTruncated } = await simulate(names, names);
  clearImmediate(next);
  expect(EvaluationResults).toHaveLength(100);
  expect(IsTruncated).toBe(true);
  expect(turns).toBeGreaterThan(2);
});

test('the policies of one simulation have together the length that one may have', async () => {
  const PolicyInputList = Array.from({ length: 9 }, () => policy.padEnd(16_384));
  await simulate(['kms:Encrypt'], ['*'], { PolicyInputList: PolicyInputList.slice(1) });
  await expect(simulate(['kms:Encrypt'], ['*'], { PolicyInputList })).rejects.toMatchObject({
    queryCode: 'InvalidInput',
  });
});

test('a page ends early once many statements matched, and nothing is left out', async () => {
  const Statement = Array.from({ length: 1_500 }, () => ({ Effect: 'Allow', Action: '*', Resource: '*' }));
  const PolicyInputList = [JSON.stringify({ Version: '2012-10-17', Statement })];
  const names = Array.from({ length: 9 }, (_, i) => `kms:a${i}`);
  const first = await simulate(names, ['*'], { PolicyInputList });
  expect(first.EvaluationResults.map(({ EvalActionName }) => EvalActionName)).toEqual(['kms:a0', 'kms:a1']);
  const { EvaluationResults } = await simulate(names, ['*'], { PolicyInputList, Marker: first.Marker });
  expect(EvaluationResults[0]!.EvalActionName).toBe('kms:a2');
});

test('what a simulation takes beyond a usual request counts as more, and a page ends once that is much', async () => {
  await simulate(['kms:Encrypt'], ['*']);
  expect(charged).toBe(0);
  const Statement = { Effect: 'Allow', Action: '*', Resource: `arn:aws:s3:::${'*a'.repeat(500)}b` };
  const PolicyInputList = [JSON.stringify({ Version: '2012-10-17', Statement })];
  const names = Array.from({ length: 1_000 }, (_, i) => `kms:a${i}`);
  const resource = `arn:aws:s3:::${'a'.repeat(2_000)}`;
  const { EvaluationResults, Marker } = await simulate(names, [resource], { PolicyInputList, MaxItems: 1_000 });
  expect(EvaluationResults.length).toBeLessThan(500);
  expect(Marker).toBeDefined();
  // A million steps, and what the last result took beyond that.
  expect(charged).toBeGreaterThanOrEqual(10);
  expect(charged).toBeLessThanOrEqual(60);
});

test('policies that are read count by their length', async () => {
  await simulate(['kms:Encrypt'], ['*'], { PolicyInputList: [policy.padEnd(131_072)] });
  expect(charged).toBe(32);
});

test('of simulations at once each begins when the one before was charged', async () => {
  charge = (requests) => {
    if (charged > 20) throw new Error('exceeded');
    charged += requests;
  };
  const Statement = { Effect: 'Allow', Action: '*', Resource: `arn:aws:s3:::${'*a'.repeat(500)}b` };
  const PolicyInputList = [JSON.stringify({ Version: '2012-10-17', Statement })];
  const names = Array.from({ length: 1_000 }, (_, i) => `kms:a${i}`);
  const all = await Promise.allSettled(
    Array.from({ length: 50 }, () => simulate(names, [`arn:aws:s3:::${'a'.repeat(2_000)}`], { PolicyInputList })),
  );
  expect(all.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(10);
});
