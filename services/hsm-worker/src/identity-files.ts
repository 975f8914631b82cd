import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@keyfleet/shared/clock';
import { ConfigError } from '@keyfleet/shared/config';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { readIfThere, writeDurably } from '@keyfleet/shared/durable-file';
import { Hsm } from './boundary/hsm.ts';
import { memberIdOf, type WorkerConfig } from './config.ts';
import { openSealKey } from './seal-keys.ts';

/** The sealed identity. */
export function identityFileOf({ dataDir }: WorkerConfig): string {
  return join(dataDir, 'identity');
}

/** See `DurableHsm.heldToken`. It needs no protection: whoever gets it verifies it. */
export function heldTokenFileOf({ dataDir }: WorkerConfig): string {
  return join(dataDir, 'held-token');
}

/** An existing file is opened or the start fails: a new identity in its place would not be the member. */
export async function openHsm(config: WorkerConfig, anchor: TrustAnchor, onKeysLost: () => void): Promise<Hsm> {
  const identityFile = identityFileOf(config);
  const stored = await readIfThere(identityFile);
  const options = {
    memberId: memberIdOf(config),
    anchor,
    clock: systemClock,
    random: randomBytes,
    onKeysLost,
    rotationPauseMs: config.rotationPause,
  };
  try {
    const { sealKey, sealedIdentity } = await openSealKey(config, stored);
    const hsm = new Hsm({ ...options, sealKey, ...(sealedIdentity && { sealedIdentity }) });
    if (sealedIdentity !== stored || stored === undefined) await writeDurably(identityFile, hsm.sealedIdentity());
    return hsm;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const advice = 'Restore the file or the seal key; to give this member up, move the file away.';
    throw new ConfigError(`the identity ${identityFile} is not usable: ${error.message}. ${advice}`, { cause: error });
  }
}

/** What the ceremony needs of this worker. */
export async function writePublicIdentity({ dataDir }: WorkerConfig, hsm: Hsm): Promise<void> {
  const { memberId, signingKey, agreementKey, encapsulationKey } = hsm.describe();
  const text = (key: Uint8Array): string => Buffer.from(key).toString('base64');
  const identity = {
    memberId,
    signingKey: text(signingKey),
    agreementKey: text(agreementKey),
    ...(encapsulationKey && { encapsulationKey: text(encapsulationKey) }),
  };
  await writeDurably(join(dataDir, 'identity.pub.json'), Buffer.from(`${JSON.stringify(identity, undefined, 2)}\n`));
}
