import { expect, test } from 'vitest';
import { statementSpans } from './statement-spans.ts';

// The documents and positions of AWS CLI's examples of simulate-custom-policy and simulate-principal-policy.
test('a lone statement begins after its brace', () => {
  const document =
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}';
  expect(statementSpans(document)).toEqual([{ start: { Line: 1, Column: 38 }, end: { Line: 1, Column: 167 } }]);
});

test('a statement of a list begins where what is before it ends', () => {
  const document = JSON.stringify(
    {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['codecommit:ListRepositories'], Resource: '*' },
        { Effect: 'Deny', Action: '*', Resource: '*', Condition: { Null: { 'a:Statement': 'true' } } },
      ],
    },
    undefined,
    4,
  );
  const [first, second] = statementSpans(document);
  expect(first).toEqual({ start: { Line: 3, Column: 19 }, end: { Line: 10, Column: 10 } });
  expect(second).toEqual({ start: { Line: 10, Column: 10 }, end: { Line: 20, Column: 10 } });
});
