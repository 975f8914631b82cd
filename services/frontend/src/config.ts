import { byteSize, duration, filePath, hostPort } from '@keyfleet/shared/config';
import { ACCOUNT_ID } from '@keyfleet/shared/ids';
import { LogConfig } from '@keyfleet/shared/log';
import { NatsConfig } from '@keyfleet/shared/notices';
import { RedisConfig } from '@keyfleet/shared/redis/connect';
import { IpNetworks } from '@keyfleet/shared/ip-networks';
import { PeerTlsConfig } from '@keyfleet/shared/grpc/peers';
import { AllowPlaintext, refusePlaintext } from '@keyfleet/shared/tls/plaintext';
import { CertificateConfig } from '@keyfleet/shared/tls/tls-files';
import { z } from 'zod';
import { OidcIssuers } from './identities/oidc-issuers.ts';
import { rateClasses } from './quotas/rates.ts';
import { XksProxyConfig } from './xks-proxy/config.ts';

/** frontend.json. */
export const FrontendConfig = z
  .strictObject({
    regions: z
      .array(z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be a Region name such as "us-east-1"'))
      .min(1)
      .describe('The Regions served. A key in one does not exist in another.'),
    partition: z.enum(['aws', 'aws-cn', 'aws-us-gov']).default('aws').describe('First part of every ARN.'),
    http: hostPort().describe('Where the AWS APIs (KMS, IAM, STS) listen.'),
    grpc: hostPort().describe('Where the gRPC API listens.'),
    grpcReflection: z
      .boolean()
      .default(false)
      .describe('Whether the gRPC port describes its services and messages to anyone; for development.'),
    developmentTags: z
      .boolean()
      .default(false)
      .describe(
        'Whether CreateKey takes the id of the new key from the tag `_custom_id_` or `floci:override-id`, and its material from `_custom_key_material_`, as emulators do; for development.',
      ),
    trustedProxies: z
      .array(z.string().refine(IpNetworks.accepts, 'must be a network such as "10.0.0.0/8"'))
      .default([])
      .describe(
        'Networks of the load balancers whose X-Forwarded-For and X-Forwarded-Proto are believed (docs/operations.md, "Behind a load balancer").',
      ),
    hsmWorkers: z
      .array(hostPort())
      .min(1)
      .describe(
        'Every hsm-worker of the domain, each by an address of its own. With only one, no other member can confirm the tokens that it seals.',
      ),
    domainManagers: z.array(hostPort()).min(1).describe('Where domain tokens are fetched.'),
    redis: RedisConfig.describe('The store of records.'),
    nats: NatsConfig.optional().describe(
      'Brings notices of new domain tokens; without it the frontend polls for them.',
    ),
    trustAnchorFile: filePath().describe(
      "The domain's name and its founding operators' public keys (docs/ceremony.md).",
    ),
    dataDir: filePath().describe(
      'Its own directory, for the newest domain token (`domain-floor.json`) and the record keys (`record-key-floor.json`) that it has relied on.',
    ),
    hostKey: z
      .strictObject({
        operatorId: z.string().min(1).describe('Its operator id in the domain, with the role `service-host`.'),
        file: filePath().describe('P-384 private key, PKCS #8 PEM.'),
      })
      .describe('Proves this frontend to the hsm-workers.'),
    requestTimeout: duration('5s').describe(
      'How long a request may take before its caller gets DependencyTimeoutException.',
    ),
    serveStale: duration('30s').describe(
      'How long cryptography continues with keys in memory while Redis is away (SECURITY.md); `"0s"` forbids it.',
    ),
    clockSkew: duration('5m').describe("How far a signature's time may be off."),
    maxInFlight: z.int().min(1).default(8192).describe('The most HSM commands at once; more are throttled.'),
    keyCache: byteSize('64MiB').describe('Memory for records of recently used keys, about 3 KB each.'),
    requestQuotas: z
      .strictObject({
        profile: z
          .enum(['generous', 'aws'])
          .default('generous')
          .describe("`aws`: AWS's own numbers; `generous`: a thousand times as many."),
        perSecond: z
          .partialRecord(z.enum(rateClasses), z.int().min(1))
          .default({})
          .describe('Numbers for some classes that replace the profile\'s, such as `{ "CreateKey": 50 }`.'),
      })
      .prefault({})
      .describe('Requests per second for an account in a Region (docs/operations.md, "Quotas").'),
    keyQuota: z.int().min(1).default(10_000_000).describe('The most KMS keys of an account in a Region, in any state.'),
    firstAdministrator: z
      .strictObject({
        accountId: z.string().regex(ACCOUNT_ID, 'must be 12 digits').describe('The account, 12 digits.'),
        userName: z
          .string()
          .regex(/^[\w+=,.@-]{1,64}$/, 'must be an IAM user name')
          .describe('The name of its IAM user.'),
        credentialsFile: filePath().describe('Where its access key is written, as an AWS credentials file.'),
      })
      .optional()
      .describe('An administrator, created if its account has no access key yet.'),
    oidcIssuers: OidcIssuers.default([]).describe(
      'The OIDC issuers whose tokens AssumeRoleWithWebIdentity accepts (docs/identities.md).',
    ),
    externalKeyStores: z
      .strictObject({
        timeout: duration('250ms').describe('How long a proxy may take for one call, including the connection.'),
        proxies: z
          .array(
            z.strictObject({
              host: z.hostname('must be a host name').describe('The host in `XksProxyUriEndpoint`, after `https://`.'),
              address: hostPort().optional().describe('Where to reach it, if not at port 443 of its name.'),
              caFile: filePath()
                .optional()
                .describe(
                  "Authorities (PEM) that the proxy's certificate must chain to; without it, those that Node.js trusts.",
                ),
              clientCertificate: z
                .strictObject({
                  certificateFile: filePath().describe('PEM.'),
                  keyFile: filePath().describe('Its private key, PEM.'),
                })
                .optional()
                .describe('What this frontend presents to a proxy that asks for a certificate.'),
            }),
          )
          .default([])
          .describe('The proxies that customers may name. No other host is ever called.'),
      })
      .prefault({})
      .describe('External key stores (docs/custom-key-stores.md).'),
    xksProxy: XksProxyConfig.optional().describe(
      "Serves AWS's External Key Store Proxy API over this deployment's keys (docs/custom-key-stores.md); without it, there is none.",
    ),
    attestationRootFiles: z
      .array(filePath())
      .default([])
      .describe(
        "Root certificates (PEM, one a file) under which an attestation document may be signed, besides AWS Nitro's own (docs/attestation.md); for tests.",
      ),
    auditFile: filePath().optional().describe('The file for audit records, one JSON object per line.'),
    edgeTls: z
      .array(CertificateConfig)
      .min(1)
      .optional()
      .describe(
        'TLS 1.2 and 1.3 on both edges: the certificate for the name that the client asks for (SNI), else the first. Files are read again when they change.',
      ),
    peerTls: PeerTlsConfig,
    allowPlaintext: AllowPlaintext,
    // A longer time is none that a timer can keep: it would be over at once.
    maxConnectionAge: duration('5m')
      .refine((ms) => ms >= 1_000 && ms <= 7 * 24 * 3_600_000, 'must be from "1s" to "7d"')
      .describe(
        'After about this long, `1s` to `7d`, a client is asked to connect anew, between two calls: else those of before would never use a frontend that is added.',
      ),
    drain: duration('10s').describe('How long requests may continue after SIGTERM.'),
    log: LogConfig,
  })
  .superRefine(refusePlaintext);

export type FrontendConfig = z.output<typeof FrontendConfig>;
