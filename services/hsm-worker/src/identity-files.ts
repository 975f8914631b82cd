import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@keyfleet/shared/clock';
import { ConfigError } from '@keyfleet/shared/config';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { readIfThere, writeDurably } from '@keyfleet/shared/durable-file';
import { Hsm, type HsmOptions } from './boundary/hsm.ts';
import { HeldTokens } from './held-tokens.ts';
import { memberIdOf, type WorkerConfig } from './config.ts';
import type { WorkerEvents } from './events.ts';
import { openSealKey } from './seal-keys.ts';

/** The sealed identity. */
export function identityFileOf({ dataDir }: WorkerConfig): string {
  return join(dataDir, 'identity');
}

export function openHeldTokens({ dataDir }: WorkerConfig): Promise<HeldTokens> {
  return HeldTokens.open(join(dataDir, 'held-tokens'));
}

/** An existing file is opened or the start fails: a new identity in its place would not be the member. */
export async function openHsm(
  config: WorkerConfig,
  options: Pick<HsmOptions, 'anchor' | 'heldTokens' | 'onKeysLost'>,
): Promise<Hsm> {
  const identityFile = identityFileOf(config);
  const stored = await readIfThere(identityFile);
  const all = {
    ...options,
    memberId: memberIdOf(config),
    clock: systemClock,
    random: randomBytes,
    rotationPauseMs: config.rotationPause,
  };
  try {
    const { sealKey, sealedIdentity } = await openSealKey(config, stored);
    const hsm = new Hsm({ ...all, sealKey, ...(sealedIdentity && { sealedIdentity }) });
    if (sealedIdentity !== stored || stored === undefined) await writeDurably(identityFile, hsm.sealedIdentity());
    return hsm;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const advice = 'Restore the file or the seal key; to give this member up, move the file away.';
    throw new ConfigError(`the identity ${identityFile} is not usable: ${error.message}. ${advice}`, { cause: error });
  }
}

/**
 * Says in the log whose keys are in memory, and writes what the ceremony needs of this worker. The file is not sealed:
 * whoever writes the volume can put other keys there, so people compare with the log.
 */
export async function publishIdentity(
  { dataDir }: Pick<WorkerConfig, 'dataDir'>,
  hsm: Pick<Hsm, 'describe'>,
  events: Pick<WorkerEvents, 'hasIdentity'>,
): Promise<void> {
  events.hasIdentity(hsm.describe());
  await writeDurably(publicIdentityFile(dataDir), publicIdentityOf(hsm));
}

/** Says so if the public part on the disk, which is not sealed, is not that of this worker. */
export async function checkPublicIdentity(
  { dataDir }: Pick<WorkerConfig, 'dataDir'>,
  hsm: Pick<Hsm, 'describe'>,
  events: Pick<WorkerEvents, 'foreignPublicIdentity'>,
): Promise<void> {
  const file = publicIdentityFile(dataDir);
  const found = await readIfThere(file);
  if (found !== undefined && !found.equals(publicIdentityOf(hsm))) events.foreignPublicIdentity(file);
}

function publicIdentityFile(dataDir: string): string {
  return join(dataDir, 'identity.pub.json');
}

function publicIdentityOf(hsm: Pick<Hsm, 'describe'>): Buffer {
  const { memberId, signingKey, agreementKey, encapsulationKey } = hsm.describe();
  const text = (key: Uint8Array): string => Buffer.from(key).toString('base64');
  const identity = {
    memberId,
    signingKey: text(signingKey),
    agreementKey: text(agreementKey),
    ...(encapsulationKey && { encapsulationKey: text(encapsulationKey) }),
  };
  return Buffer.from(`${JSON.stringify(identity, undefined, 2)}\n`);
}
