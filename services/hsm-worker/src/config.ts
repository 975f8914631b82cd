import { hostname } from 'node:os';
import { byteSize, duration, filePath, gone, hostPort } from '@keyfleet/shared/config';
import { entityId } from '@keyfleet/shared/domain/state';
import { HealthAddress } from '@keyfleet/shared/grpc/health';
import { LogConfig } from '@keyfleet/shared/log';
import { ACCOUNT_ID } from '@keyfleet/shared/ids';
import { NatsConfig } from '@keyfleet/shared/notices';
import { PeerTlsConfig } from '@keyfleet/shared/grpc/peers';
import { AllowPlaintext, refusePlaintext } from '@keyfleet/shared/tls/plaintext';
import { z } from 'zod';

/** How a token is reached. */
const token = {
  module: filePath().describe("The PKCS#11 module: the vendor's shared library."),
  token: z
    .strictObject({
      label: z.string().min(1).max(32).optional().describe('Its label.'),
      serial: z.string().min(1).max(16).optional().describe('Its serial number.'),
    })
    .refine(({ label, serial }) => label !== undefined || serial !== undefined, 'needs label, serial or both')
    .describe('Selects one of the tokens of the module.'),
  environment: z
    .record(z.string(), z.string())
    .default({})
    .describe("The module's environment variables. It has no others."),
  timeout: duration('2s').describe('How long the token may take.'),
};

const SealKey = z
  .strictObject({
    pkcs11: z
      .strictObject({
        ...token,
        pinFile: filePath().describe("The PIN of the token's user; `<user>:<password>` for modules that take that."),
        keyLabel: z
          .string()
          .min(1)
          .max(64)
          .describe('The AES-256 key in the token, which the first start makes. Each worker has a key of its own.'),
      })
      .describe('The token.'),
  })
  .describe('A PKCS#11 token with the key that seals the identity (docs/operations.md); this or `sealKeyFile`.');

const Cluster = z
  .strictObject({
    id: z
      .string()
      .regex(/^cluster-[2-7a-zA-Z]{11,16}$/, 'must be cluster- and 11 to 16 letters or digits from 2 to 7')
      .describe('The CloudHsmClusterId that customers give: `cluster-` and 11 to 16 letters or digits from 2 to 7.'),
    accountId: z
      .string()
      .regex(ACCOUNT_ID)
      .describe('The account that owns it. No key store of another account can be in it.'),
    region: z.string().min(1).max(32).describe('Its Region.'),
    ...token,
    user: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Who logs in, for modules that take `<user>:<password>`, as AWS CloudHSM does; otherwise the password alone is the PIN.',
      ),
    trustAnchorFile: filePath().describe('The certificate (PEM) that customers must give as TrustAnchorCertificate.'),
    sessions: z.int().min(1).max(32).default(2).describe('Sessions at once, each in a process of about 50 MB.'),
  })
  .describe('A CloudHSM cluster: a token behind a PKCS#11 module.');

const count = (fallback: number) => z.int().min(0).max(1_000_000).default(fallback);

export const WorkerConfig = z
  .strictObject({
    memberId: entityId
      .optional()
      .describe(
        "Its name in the domain, which never changes once it has an identity; if not set, the machine's host name.",
      ),
    grpc: hostPort().describe('Where frontends and domain-managers reach it.'),
    health: HealthAddress,
    dataDir: filePath().describe('A volume of this worker alone, for its sealed identity.'),
    sealKeyFile: filePath()
      .optional()
      .describe('The key that seals the identity: 32 random bytes in base64, kept off that volume.'),
    sealKey: SealKey.optional(),
    trustAnchorFile: filePath().describe(
      "The domain's name and its founding operators' public keys (docs/ceremony.md).",
    ),
    domainManagers: z.array(hostPort()).min(1).describe('Where domain tokens are fetched.'),
    nats: NatsConfig.optional().describe('Brings notices of new domain tokens; without it the worker polls for them.'),
    maxInFlight: z
      .strictObject({
        worker: count(4096).describe(
          'The most HSM commands at once, and 32 KiB in memory for each; more are refused as throttled.',
        ),
        stream: count(2048).describe('The same of one frontend.'),
      })
      .prefault({}),
    backingKeyCache: z
      .strictObject({
        maxBytes: byteSize('64MiB').describe('The most memory for them; a symmetric key takes about 3 KB.'),
        maxAge: duration('5m').describe('How long a key is kept.'),
        capacity: gone('set maxBytes, an amount of memory such as "64MiB"; a key takes about 3 KB'),
      })
      .prefault({})
      .describe('Opened backing keys in memory.'),
    rsaKeyPool: z
      .strictObject({
        '2048': count(8).describe('Pairs of 2048 bits.'),
        '3072': count(4).describe('Pairs of 3072 bits.'),
        '4096': count(4).describe('Pairs of 4096 bits.'),
      })
      .prefault({})
      .describe('Fresh RSA key pairs in memory, so that CreateKey need not wait.'),
    clusters: z
      .array(Cluster)
      .default([])
      .describe('CloudHSM clusters in which customers may have a custom key store (docs/custom-key-stores.md).'),
    rotationPause: duration('1h').describe(
      'How long after a new domain key was made it makes no further one by rotation, unless those signed it who may change the members.',
    ),
    pollEvery: duration('3s').describe('How often it looks for a new domain token without a notice.'),
    peerTls: PeerTlsConfig,
    allowPlaintext: AllowPlaintext,
    drain: duration('3s').describe('How long HSM commands may continue after SIGTERM.'),
    log: LogConfig,
  })
  .superRefine(refusePlaintext)
  .refine(({ sealKeyFile, sealKey }) => sealKeyFile !== undefined || sealKey !== undefined, {
    path: ['sealKeyFile'],
    message: 'is missing: the identity needs it, or sealKey',
  });
export type WorkerConfig = z.output<typeof WorkerConfig>;

export function memberIdOf({ memberId }: WorkerConfig): string {
  return memberId ?? hostname();
}
