import { refusalOfKeyPolicy } from '@keyfleet/test-support/policy/given';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readGivenKeyPolicy } from './given-policy.ts';
import { parseKeyPolicy } from './document.ts';

const account = '111122223333';
const root = `arn:aws:iam::${account}:root`;
const good = { Effect: 'Allow', Principal: { AWS: root }, Action: 'kms:*', Resource: '*' };

/** Documents that are nearly policies: elements present, absent or repeated, under any name that the shape knows. */
const scalar = fc.constantFrom(
  '"Allow"',
  '"Deny"',
  '"*"',
  '"kms:*"',
  '""',
  '[]',
  '{}',
  `{"AWS":"${root}"}`,
  'null',
  '1',
);

const element = fc.tuple(
  fc.constantFrom('Effect', 'Principal', 'Action', 'Resource', 'Condition', 'Sid', 'NotAction', '__proto__', 'effect'),
  fc.oneof(
    scalar,
    fc.constantFrom('{"StringEquals":{"aws:userid":"b"}}', '{"__proto__":{"a":"b"}}', '{"AWS":[],"AWS":"*"}'),
  ),
);

const whole = Object.entries(good).map(([name, value]) => [name, JSON.stringify(value)] as [string, string]);

const statement = fc
  .tuple(fc.array(element, { maxLength: 2 }), fc.nat({ max: 4 }))
  .map(([more, at]) => [...whole.slice(0, at), ...more, ...whole.slice(at)])
  .map((elements) => `{${elements.map(([name, value]) => `"${name}":${value}`).join(',')}}`);

test('every element of a policy that is taken is one that is enforced', () => {
  let taken = 0;
  fc.assert(
    fc.property(fc.array(statement, { minLength: 1, maxLength: 3 }), (statements) => {
      const text = `{"Statement":[${statements.join(',')}]}`;
      if (refusalOfKeyPolicy(text) !== undefined) return;
      taken++;
      const written = [...text.matchAll(/"(\w+)":/g)].map(([, name]) => name);
      const read = JSON.stringify(JSON.parse(text));
      expect(text).toBe(read);
      expect(
        written.every((name) =>
          ['Statement', ...Object.keys(good), 'AWS', 'Sid', 'Condition', 'StringEquals'].includes(name!),
        ),
      ).toBe(true);
      // A stored policy is compiled again at every start, by the laxer reader, with the same result.
      const compiled = parseKeyPolicy(text).statements.map(({ effect, principals }) => ({
        effect,
        principals,
      }));
      expect(readGivenKeyPolicy(text, 'aws').statements).toMatchObject(compiled);
    }),
    { numRuns: 3_000 },
  );
  expect(taken).toBeGreaterThan(10);
});
