import { filePath } from '@keyfleet/shared/config';
import { z } from 'zod';

const OidcIssuer = z
  .strictObject({
    issuer: z.url({ protocol: /^https?$/ }).describe('The `iss` of its tokens.'),
    audiences: z.array(z.string().min(1)).min(1).describe('The `aud` of a token must be one of these.'),
    jwksFile: filePath().optional().describe('Its public keys, as a JSON Web Key Set; this or `jwksUrl`.'),
    jwksUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Where to fetch them.'),
    caFile: filePath()
      .optional()
      .describe('Certificates (PEM) that the one of `jwksUrl` must chain to; without it, those that Node.js trusts.'),
  })
  .refine(({ jwksUrl, caFile }) => caFile === undefined || jwksUrl?.startsWith('https:') === true, {
    message: 'caFile is for a jwksUrl of https',
  })
  .refine(({ jwksFile, jwksUrl }) => (jwksFile === undefined) !== (jwksUrl === undefined), {
    message: 'needs one of jwksFile and jwksUrl',
  });

/** The OIDC issuers whose tokens are accepted. */
export const OidcIssuers = z.array(OidcIssuer).superRefine((issuers, context) => {
  const byName = new Map<string, string>();
  for (const [i, { issuer }] of issuers.entries()) {
    const before = byName.get(issuerName(issuer));
    byName.set(issuerName(issuer), issuer);
    if (before === undefined) continue;
    const same = before === issuer ? '' : `; a trust policy that means ${before} would mean it, too`;
    context.addIssue({ code: 'custom', path: [i, 'issuer'], message: `${issuer} is listed twice${same}` });
  }
});

export type OidcIssuer = z.output<typeof OidcIssuer>;

/** What policies call an issuer, as with AWS: `https://example.com/a` is `example.com/a`. */
export function issuerName(issuer: string): string {
  return issuer.replace(/^https?:\/\//i, '');
}
