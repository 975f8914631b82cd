import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@keyfleet/shared/clock';
import { ConfigError, readSecretFile } from '@keyfleet/shared/config';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { readIfThere, writeDurably } from '@keyfleet/shared/durable-file';
import { Hsm } from './boundary/hsm.ts';
import { newSealKey, type SealKey, sealKeyLength } from './boundary/seal-key.ts';
import type { WorkerConfig } from './config.ts';

/** The sealed identity. */
export function identityFileOf({ dataDir }: WorkerConfig): string {
  return join(dataDir, 'identity');
}

/** An existing file is opened or the start fails: a new identity in its place would not be the member. */
export async function openHsm(config: WorkerConfig, anchor: TrustAnchor, onKeysLost: () => void): Promise<Hsm> {
  const identityFile = identityFileOf(config);
  const sealedIdentity = await readIfThere(identityFile);
  const options = {
    memberId: config.memberId ?? hostname(),
    anchor,
    sealKey: sealKeyOf(config.sealKeyFile),
    clock: systemClock,
    random: randomBytes,
    onKeysLost,
    rotationPauseMs: config.rotationPause,
  };
  try {
    const hsm = new Hsm(sealedIdentity === undefined ? options : { ...options, sealedIdentity });
    if (sealedIdentity === undefined) await writeDurably(identityFile, hsm.sealedIdentity());
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

/** The file holds 32 bytes in base64. */
function sealKeyOf(path: string): SealKey {
  const text = readSecretFile(path, 'sealKeyFile');
  const key = Buffer.from(text, 'base64');
  if (key.length !== sealKeyLength || key.toString('base64') !== text) {
    throw new ConfigError(`sealKeyFile: ${path} must hold ${sealKeyLength} random bytes in base64.`);
  }
  try {
    return newSealKey(key, randomBytes);
  } finally {
    key.fill(0);
  }
}
