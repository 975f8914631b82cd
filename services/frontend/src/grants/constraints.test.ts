import { describe, expect, test } from 'vitest';
import { newKey } from '../store/key-store.contract.ts';
import { formOf, permissionsOf } from '@keyfleet/shared/stored/grant-permissions';
import { allows, covers, type GrantQuestion, pairsOf, permissionsFor } from './constraints.ts';
import type { Grant, GrantConstraints, GrantOperation } from './grant.ts';
import { newGrant } from './grant-store.contract.ts';

type Context = Record<string, string>;

const equals = (context: Context): GrantConstraints => ({ encryptionContextEquals: pairsOf(context) });
const subset = (context: Context): GrantConstraints => ({ encryptionContextSubset: pairsOf(context) });
const source = (sourceArn: string): GrantConstraints => ({ sourceArn });

function grant(operations: GrantOperation[], constraints: GrantConstraints = {}): Grant {
  return newGrant(newKey(), { operations, constraints });
}

describe('what a grant allows', () => {
  test('its operations, and no others', () => {
    expect(allows(grant(['Encrypt']), { operation: 'Encrypt' })).toBe(true);
    expect(allows(grant(['Encrypt']), { operation: 'Decrypt' })).toBe(false);
    expect(allows(grant(['ReEncryptFrom']), { operation: 'ReEncryptTo' })).toBe(false);
  });

  test.each<[string, GrantConstraints, Context | undefined, boolean]>([
    ['no constraint, any context', {}, { a: '1' }, true],
    ['equal', equals({ a: '1', b: '2' }), { b: '2', a: '1' }, true],
    ['equal, and one pair more', equals({ a: '1' }), { a: '1', b: '2' }, false],
    ['equal, and one pair less', equals({ a: '1', b: '2' }), { a: '1' }, false],
    ['equal but for the case of a value', equals({ a: 'x' }), { a: 'X' }, false],
    ['equal but for the case of a name', equals({ a: 'x' }), { A: 'x' }, false],
    ['equal, and the context is absent', equals({ a: '1' }), undefined, false],
    ['equal to nothing', equals({}), { a: '1' }, false],
    ['a subset', subset({ a: '1' }), { a: '1', b: '2' }, true],
    ['a subset that is all', subset({ a: '1' }), { a: '1' }, true],
    ['no subset: another value', subset({ a: '1' }), { a: '2', b: '1' }, false],
    ['no subset: absent', subset({ a: '1' }), undefined, false],
    ['a name that objects have', subset({ __proto__x: '1' }), {}, false],
    ['a name that every object inherits', subset(JSON.parse('{"__proto__":"1"}') as Context), {}, false],
    [
      'that name, given',
      equals(JSON.parse('{"__proto__":"1"}') as Context),
      JSON.parse('{"__proto__":"1"}') as Context,
      true,
    ],
    ['both, and both hold', { ...equals({ a: '1', b: '2' }), ...subset({ a: '1' }) }, { a: '1', b: '2' }, true],
    ['both, and one holds', { ...equals({ a: '1' }), ...subset({ b: '2' }) }, { a: '1' }, false],
  ])('%s', (_, constraints, encryptionContext, expected) => {
    expect(allows(grant(['Decrypt'], constraints), { operation: 'Decrypt', encryptionContext })).toBe(expected);
  });

  test('an encryption context is not asked of what has none', () => {
    const constrained = grant(['DescribeKey', 'RetireGrant'], equals({ a: '1' }));
    expect(allows(constrained, { operation: 'DescribeKey' })).toBe(true);
    expect(allows(constrained, { operation: 'RetireGrant' })).toBe(true);
  });

  test('a source is never named by who calls for himself, and only retiring needs none', () => {
    const constrained = grant(['Decrypt', 'DescribeKey', 'RetireGrant'], source('arn:aws:s3:::bucket'));
    expect(allows(constrained, { operation: 'Decrypt' })).toBe(false);
    expect(allows(constrained, { operation: 'DescribeKey' })).toBe(false);
    expect(allows(constrained, { operation: 'RetireGrant' })).toBe(true);
  });
});

describe('a grant that is given by a grantee', () => {
  test('has operations of its parent only', () => {
    const parent = grant(['CreateGrant', 'Decrypt']);
    const child = (operations: GrantOperation[]) => ({ operation: 'CreateGrant', child: grant(operations) }) as const;
    expect(allows(parent, child(['Decrypt']))).toBe(true);
    expect(allows(parent, child(['CreateGrant', 'Decrypt']))).toBe(true);
    expect(allows(parent, child(['Decrypt', 'Encrypt']))).toBe(false);
    expect(allows(grant(['Decrypt']), child(['Decrypt']))).toBe(false);
    expect(allows(parent, { operation: 'CreateGrant' })).toBe(false);
  });

  test.each<[string, GrantConstraints, GrantConstraints, boolean]>([
    ['none of none', {}, {}, true],
    ['one where the parent has none', {}, equals({ a: '1' }), true],
    ['none where the parent has one', equals({ a: '1' }), {}, false],
    ['none where the parent has a subset', subset({ a: '1' }), {}, false],
    ['the same', equals({ a: '1' }), equals({ a: '1' }), true],
    ['more pairs than equal', equals({ a: '1' }), equals({ a: '1', b: '2' }), false],
    ['a subset of what must be equal', equals({ a: '1' }), subset({ a: '1' }), false],
    ['equal to more than a subset', subset({ a: '1' }), equals({ a: '1', b: '2' }), true],
    ['equal to less than a subset', subset({ a: '1', b: '2' }), equals({ a: '1' }), false],
    ['a larger subset', subset({ a: '1' }), subset({ a: '1', b: '2' }), true],
    ['a smaller subset', subset({ a: '1', b: '2' }), subset({ a: '1' }), false],
    ['another value', subset({ a: '1' }), subset({ a: '2' }), false],
    ['the same source', source('arn:1'), source('arn:1'), true],
    ['no source', source('arn:1'), {}, false],
    ['another source', source('arn:1'), source('arn:2'), false],
  ])('%s', (_, parent, child, expected) => {
    expect(covers(grant(['Decrypt'], parent), grant(['Decrypt'], child))).toBe(expected);
  });

  test('never allows what its parent would not', () => {
    const contexts: Context[] = [{}, { a: '1' }, { a: '2' }, { b: '1' }, { a: '1', b: '1' }, { a: '1', b: '2' }];
    const some = [{}, ...contexts.flatMap((context) => [equals(context), subset(context)])];
    const all = [...some, ...some.flatMap((one) => some.map((other) => ({ ...one, ...other })))];
    const operations: GrantOperation[] = ['Decrypt'];
    const grants = all.map((constraints) => ({ ...grant(operations), constraints }));
    const allowing = new Map(
      grants.map((one) => {
        const asked = (encryptionContext: Context) => allows(one, { operation: 'Decrypt', encryptionContext });
        return [one, contexts.map(asked)] as const;
      }),
    );
    const exceeding = grants.flatMap((parent) =>
      grants.filter(
        (child) => covers(parent, child) && allowing.get(child)!.some((is, i) => is && !allowing.get(parent)![i]),
      ),
    );
    expect(exceeding).toEqual([]);
  });
});

test('whatever a grant allows, it is found by one of its permissions', () => {
  const names = ['a', 'b', 'c'];
  /** Every context of these names with one of two values. */
  const contexts = Array.from({ length: 27 }, (_, n) =>
    Object.fromEntries(names.flatMap((name, i) => [[], [[name, '1']], [[name, '2']]][Math.floor(n / 3 ** i) % 3]!)),
  );
  const constraints = [{}, ...contexts.flatMap((context) => [equals(context), subset(context)])];
  const operations = ['Encrypt', 'Decrypt', 'DescribeKey', 'CreateGrant'] as const;
  const questions: GrantQuestion[] = [
    ...operations.flatMap((operation) => contexts.map((encryptionContext) => ({ operation, encryptionContext }))),
    ...constraints.map((child) => ({ operation: 'CreateGrant' as const, child: grant(['Encrypt'], child) })),
  ];
  let allowed = 0;
  for (const one of constraints) {
    const given = grant(['Encrypt', 'DescribeKey', 'CreateGrant'], one);
    const its = permissionsOf(given);
    for (const question of questions.filter((asked) => allows(given, asked))) {
      allowed += 1;
      const { ofForm } = permissionsFor(given.grantee, question);
      expect(its.some((one) => ofForm(formOf(one)) === one)).toBe(true);
    }
  }
  expect(allowed).toBeGreaterThan(1_000);
});
