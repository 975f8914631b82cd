import { filePath, hostPort } from '@keyfleet/shared/config';
import { ACCOUNT_ID } from '@keyfleet/shared/ids';
import { z } from 'zod';

/** `xksProxy` in frontend.json. */
export const XksProxyConfig = z.strictObject({
  listen: hostPort().describe('Where it listens, with TLS.'),
  certificateFile: filePath().describe('Its certificate and those that it leads to, PEM.'),
  keyFile: filePath().describe('The private key of the certificate, PEM.'),
  client: z
    .strictObject({
      caFile: filePath().describe('Certificates (PEM) that a client must lead to.'),
      commonName: z
        .string()
        .min(1)
        .describe("The subject's common name; AWS KMS has `cks.kms.<Region>.amazonaws.com`."),
    })
    .optional()
    .describe('Whom it talks to: with it, a client without such a certificate is cut off (mutual TLS).'),
  maxInFlight: z.int().min(1).default(256).describe('Requests at once; more get ThrottlingException.'),
  paths: z
    .array(
      z.strictObject({
        prefix: z
          .string()
          .regex(/^(?:\/[A-Za-z0-9_-]+)*$/, 'must be "" or such as "/customer-a"')
          .describe('What stands before `/kms/xks/v1` in its URIs; may be empty.'),
        accountId: z.string().regex(ACCOUNT_ID, 'must be 12 digits').describe('Whose keys are used.'),
        region: z.string().min(1).describe('The Region of the keys.'),
        userName: z.string().min(1).describe('The IAM user of the account as whom keys are used.'),
        credentials: z
          .array(
            z.strictObject({
              accessKeyId: z
                .string()
                .regex(/^[A-Z2-7]{20,30}$/, 'must be 20 to 30 characters of A-Z and 2-7')
                .describe('20 to 30 characters of A-Z and 2-7.'),
              secretFile: filePath().describe(
                'Its secret access key: 43 to 64 characters of A-Z, a-z, 0-9, +, / and =.',
              ),
            }),
          )
          .min(1)
          .describe('Which of them signs, either way; two while one replaces the other.'),
      }),
    )
    .min(1)
    .describe('What each path is for.'),
});

export type XksProxyConfig = z.output<typeof XksProxyConfig>;
