import { filePath, hostPort } from '@keyfleet/shared/config';
import { ACCOUNT_ID } from '@keyfleet/shared/ids';
import { z } from 'zod';

/** `xksProxy` in frontend.json. */
export const XksProxyConfig = z.strictObject({
  listen: hostPort().describe('Where it listens, with TLS.'),
  certificateFile: filePath().describe('Its certificate and the chain above it, PEM.'),
  keyFile: filePath().describe('The private key of the certificate, PEM.'),
  client: z
    .strictObject({
      caFile: filePath().describe("Authorities (PEM) that a client's certificate must chain to."),
      commonName: z
        .string()
        .min(1)
        .describe("The subject's common name; AWS KMS has `cks.kms.<Region>.amazonaws.com`."),
    })
    .optional()
    .describe('The clients it serves: with it, a client without such a certificate is cut off (mutual TLS).'),
  maxInFlight: z.int().min(1).default(256).describe('The most genuine requests at once; more get ThrottlingException.'),
  paths: z
    .array(
      z.strictObject({
        prefix: z
          .string()
          .regex(/^(?:\/[A-Za-z0-9_-]+)*$/, 'must be "" or such as "/customer-a"')
          .describe('What precedes `/kms/xks/v1` in its URIs; may be empty.'),
        accountId: z.string().regex(ACCOUNT_ID, 'must be 12 digits').describe('The account whose keys are used.'),
        region: z.string().min(1).describe('The Region of the keys.'),
        userName: z.string().min(1).describe("The account's IAM user on whose behalf keys are used."),
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
          .describe('Any of them may sign; two while one replaces the other.'),
      }),
    )
    .min(1)
    .describe('The paths served.'),
});

export type XksProxyConfig = z.output<typeof XksProxyConfig>;
