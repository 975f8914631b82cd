import { duration, filePath, hostPort } from '@keyfleet/shared/config';
import { HealthAddress } from '@keyfleet/shared/grpc/health';
import { LogConfig } from '@keyfleet/shared/log';
import { NatsConfig } from '@keyfleet/shared/notices';
import { RedisConfig } from '@keyfleet/shared/redis/connect';
import { PeerTlsConfig } from '@keyfleet/shared/grpc/peers';
import { AllowPlaintext, refusePlaintext } from '@keyfleet/shared/tls/plaintext';
import { z } from 'zod';

/** domain-manager.json. */
export const DomainManagerConfig = z
  .strictObject({
    grpc: hostPort().describe('Where operators, frontends and hsm-workers reach it.'),
    health: HealthAddress,
    redis: RedisConfig.describe('The store of domain tokens, proposals and the lease of the leader.'),
    nats: NatsConfig.extend({
      replicas: z
        .int()
        .min(1)
        .max(5)
        .default(1)
        .describe(
          'How many servers keep what waits: 3 in a NATS cluster of three, or due work waits for the one that has it.',
        ),
    }).describe('Carries notices.'),
    hsmWorkers: z
      .array(hostPort())
      .min(1)
      .describe('Every hsm-worker, members and candidates. Workers that are not listed are pushed no token.'),
    trustAnchorFile: filePath().describe(
      "The domain's name and its founding operators' public keys (docs/ceremony.md).",
    ),
    schedulerKey: z
      .strictObject({
        operatorId: z.string().min(1).describe('Its operator id in the domain, with the role `scheduler`.'),
        file: filePath().describe('P-384 private key, PKCS #8 PEM.'),
      })
      .describe('Signs requests to hsm-workers and scheduled rotations.'),
    rotation: z
      .strictObject({
        every: duration('24h').describe(
          'The age at which the active domain key is replaced. hsm-workers refuse to within their `rotationPause`.',
        ),
      })
      .prefault({}),
    dueWork: z
      .strictObject({
        every: duration('60s').describe('How often due deletions and rotations of KMS keys are carried out.'),
      })
      .prefault({}),
    peerTls: PeerTlsConfig,
    allowPlaintext: AllowPlaintext,
    drain: duration('2s').describe('How long calls may continue after SIGTERM.'),
    log: LogConfig,
  })
  .superRefine(refusePlaintext);

export type DomainManagerConfig = z.output<typeof DomainManagerConfig>;
