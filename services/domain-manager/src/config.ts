import { duration, filePath, hostPort } from '@keyfleet/shared/config';
import { LogConfig } from '@keyfleet/shared/log';
import { NatsConfig } from '@keyfleet/shared/notices';
import { RedisConfig } from '@keyfleet/shared/redis/connect';
import { z } from 'zod';

/** domain-manager.json. */
export const DomainManagerConfig = z.strictObject({
  grpc: hostPort().describe('Where it listens.'),
  redis: RedisConfig.describe('Where domain tokens, proposals and the lease are kept.'),
  nats: NatsConfig.describe('Where notices go.'),
  hsmWorkers: z
    .array(hostPort())
    .min(1)
    .describe('Every hsm-worker, members and candidates: whoever is not listed gets nothing pushed.'),
  trustAnchorFile: filePath().describe("The domain's name and its founding operators' public keys."),
  schedulerKey: z
    .strictObject({ operatorId: z.string().min(1), file: filePath() })
    .describe('Signs what is asked of hsm-workers, and what the rules let a scheduler do alone: rotations.'),
  rotation: z
    .strictObject({ every: duration('24h').describe('Age at which the active domain key is replaced.') })
    .prefault({}),
  dueWork: z
    .strictObject({
      every: duration('60s').describe('How often deletions and rotations of keys that are due are carried out.'),
    })
    .prefault({}),
  drain: duration('2s').describe('How long calls may go on after SIGTERM.'),
  log: LogConfig,
});

export type DomainManagerConfig = z.output<typeof DomainManagerConfig>;
