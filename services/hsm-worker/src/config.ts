import { byteSize, duration, filePath, gone, hostPort } from '@keyfleet/shared/config';
import { entityId } from '@keyfleet/shared/domain/state';
import { LogConfig } from '@keyfleet/shared/log';
import { NatsConfig } from '@keyfleet/shared/notices';
import { z } from 'zod';

const count = (fallback: number) => z.int().min(0).max(1_000_000).default(fallback);

export const WorkerConfig = z.strictObject({
  memberId: entityId.describe('The name of this HSM in its domain; for ever, once it has an identity.'),
  grpc: hostPort().describe('Where frontends and domain-managers reach this worker.'),
  dataDir: filePath().describe('Where the sealed identity is kept: a volume of this worker alone.'),
  sealKeyFile: filePath().describe('Key that seals the identity; not to be kept on the same volume.'),
  trustAnchorFile: filePath().describe('The founding operators; the domain is verified from it.'),
  domainManagers: z.array(hostPort()).min(1).describe('Where domain tokens are fetched.'),
  nats: NatsConfig.optional().describe('Notices of new domain tokens; without it the worker polls.'),
  maxInFlight: z
    .strictObject({
      worker: count(4096).describe('Commands at once; more are refused with a throttling error.'),
      stream: count(2048).describe('Commands at once of one frontend.'),
    })
    .prefault({}),
  backingKeyCache: z
    .strictObject({
      maxBytes: byteSize('64MiB'),
      maxAge: duration('5m'),
      capacity: gone('set maxBytes, an amount of memory such as "64MiB"; a key takes about 3 KB'),
    })
    .prefault({})
    .describe('Opened backing keys kept in memory.'),
  rsaKeyPool: z
    .strictObject({ '2048': count(8), '3072': count(4), '4096': count(4) })
    .prefault({})
    .describe('Fresh RSA key pairs kept in memory, by modulus length.'),
  pollEvery: duration('3s').describe('How often a new domain token is looked for when no notice came.'),
  drain: duration('3s').describe('How long commands may go on after SIGTERM.'),
  log: LogConfig,
});
export type WorkerConfig = z.output<typeof WorkerConfig>;
