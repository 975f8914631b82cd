import { byteSize, duration, filePath, hostPort } from '@keyfleet/shared/config';
import { ACCOUNT_ID } from '@keyfleet/shared/ids';
import { LogConfig } from '@keyfleet/shared/log';
import { NatsConfig } from '@keyfleet/shared/notices';
import { RedisConfig } from '@keyfleet/shared/redis/connect';
import { z } from 'zod';
import { rateClasses } from './quotas/rate-classes.ts';
import { parseNetwork } from './edge/trusted-proxies.ts';

/** frontend.json. */
export const FrontendConfig = z.strictObject({
  regions: z
    .array(z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be a Region name such as "us-east-1"'))
    .min(1)
    .describe('The Regions that this deployment serves; a key of one does not exist in another.'),
  partition: z.enum(['aws', 'aws-cn', 'aws-us-gov']).default('aws').describe('First part of every ARN.'),
  http: hostPort().describe('Where the AWS JSON API and STS listen.'),
  grpc: hostPort().describe('Where the gRPC API listens.'),
  grpcReflection: z
    .boolean()
    .default(false)
    .describe('Whether the gRPC port tells anyone its services and messages; for development.'),
  trustedProxies: z
    .array(z.string().refine((text) => parseNetwork(text) !== undefined, 'must be a network such as "10.0.0.0/8"'))
    .default([])
    .describe('Load balancers that are believed whom they forward for, in X-Forwarded-For; nobody else is.'),
  hsmWorkers: z.array(hostPort()).min(1).describe('Every hsm-worker of the domain.'),
  domainManagers: z.array(hostPort()).min(1).describe('Where domain tokens are fetched.'),
  redis: RedisConfig.describe('The system of record.'),
  nats: NatsConfig.optional().describe('Notices of new domain tokens; without it the frontend polls.'),
  trustAnchorFile: filePath().describe("The domain's name and its founding operators' public keys."),
  dataDir: filePath().describe('Where this frontend keeps the newest domain token that it relied on.'),
  hostKey: z
    .strictObject({ operatorId: z.string().min(1), file: filePath() })
    .describe('Proves this frontend to the HSMs: P-384, PKCS #8 PEM, mode 0600.'),
  requestTimeout: duration('5s').describe('After which a caller gets DependencyTimeoutException.'),
  serveStale: duration('30s').describe(
    'For how long cryptography goes on with keys in memory when Redis is away; "0s" forbids it.',
  ),
  clockSkew: duration('5m').describe("How far a signature's time may be off."),
  maxInFlight: z.int().min(1).default(8192).describe('HSM commands at once; more are throttled.'),
  keyCache: byteSize('64MiB').describe('Memory for the records of keys that were used lately.'),
  requestQuotas: z
    .strictObject({
      profile: z.enum(['generous', 'aws']).default('generous'),
      perSecond: z.partialRecord(z.enum(rateClasses), z.int().min(1)).default({}),
    })
    .prefault({})
    .describe(
      "Requests a second of an account in a Region: `aws` has AWS's own numbers, `generous` a thousand times as many.",
    ),
  keyQuota: z.int().min(1).default(10_000_000).describe('KMS keys of an account in a Region.'),
  firstAdministrator: z
    .strictObject({
      accountId: z.string().regex(ACCOUNT_ID, 'must be 12 digits'),
      userName: z.string().regex(/^[\w+=,.@-]{1,64}$/, 'must be an IAM user name'),
      credentialsFile: filePath(),
    })
    .optional()
    .describe('Made when its account has no access key yet.'),
  oidcIssuers: z
    .array(
      z
        .strictObject({
          issuer: z.url({ protocol: /^https?$/ }),
          audiences: z.array(z.string().min(1)).min(1),
          jwksFile: filePath().optional(),
          jwksUrl: z.url({ protocol: /^https?$/ }).optional(),
        })
        .refine(({ jwksFile, jwksUrl }) => (jwksFile === undefined) !== (jwksUrl === undefined), {
          message: 'needs one of jwksFile and jwksUrl',
        }),
    )
    .default([])
    .describe('OIDC issuers whose tokens AssumeRoleWithWebIdentity takes, and where their public keys are.'),
  auditFile: filePath().optional().describe('Where audit records go, one JSON object a line; none if absent.'),
  log: LogConfig,
});

export type FrontendConfig = z.output<typeof FrontendConfig>;
