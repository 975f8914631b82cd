import { expect, test } from 'vitest';
import { askedKeys } from './asked-keys.ts';

const policyOf = (statement: object, Version = '2012-10-17'): string =>
  JSON.stringify({ Version, Statement: { Effect: 'Allow', Action: '*', ...statement } });

test('conditions and variables ask for keys, each named once', () => {
  const one = policyOf({
    Resource: ['arn:aws:s3:::b/${aws:username}/*', 'arn:aws:s3:::${*}'],
    Condition: {
      DateGreaterThan: { 'aws:CurrentTime': '2015-08-16T12:00:00Z' },
      StringEquals: { 'aws:ResourceTag/team': "${aws:PrincipalTag/team, 'none'}", 'AWS:Username': 'a' },
    },
  });
  const other = policyOf({
    NotResource: 'arn:aws:s3:::${aws:userid}',
    Condition: { Null: { 'aws:currenttime': 'true' } },
  });
  expect(askedKeys([one, other])).toEqual([
    'aws:username',
    'aws:CurrentTime',
    'aws:ResourceTag/team',
    'aws:PrincipalTag/team',
    'aws:userid',
  ]);
});

test('before version 2012-10-17 there are no variables', () => {
  expect(askedKeys([policyOf({ Resource: 'arn:aws:s3:::${aws:username}' }, '2008-10-17')])).toEqual([]);
});
