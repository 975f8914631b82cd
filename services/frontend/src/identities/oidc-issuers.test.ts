import { expect, test } from 'vitest';
import { OidcIssuers } from './oidc-issuers.ts';

function problemOf(...issuers: readonly string[]): string | undefined {
  const given = issuers.map((issuer) => ({ issuer, audiences: ['sts.amazonaws.com'], jwksFile: '/keys.json' }));
  const issue = OidcIssuers.safeParse(given).error?.issues[0];
  return issue && `${issue.path.join('.')}: ${issue.message}`;
}

test('no two issuers have the name by which trust policies mean one', () => {
  const twice = 'https://a.example/x';
  expect(problemOf(twice, 'https://b.example', twice)).toBe(`2.issuer: ${twice} is listed twice`);
  for (const plain of ['http://a.example/x', 'HTTP://a.example/x'])
    expect(problemOf(twice, plain)).toBe(
      `1.issuer: ${plain} is listed twice; a trust policy that means ${twice} would mean it, too`,
    );
  expect(problemOf(twice, 'https://a.example', 'https://a.example/x/', 'https://a.example:8443/x')).toBeUndefined();
});
