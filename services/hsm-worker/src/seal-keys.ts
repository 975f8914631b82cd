import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { ConfigError, readSecretBytes, readSecretFile } from '@keyfleet/shared/config';
import { resealIdentity, wrappedSealKeyOf } from './boundary/identity.ts';
import { newTokenSealKey, openTokenSealKey, SealTokenError } from './boundary/pkcs11/token-seal-key.ts';
import { newSealKey, type SealKey, sealKeyLength, type WrappedSealKey } from './boundary/seal-key.ts';
import { memberIdOf, type WorkerConfig } from './config.ts';

type SealToken = NonNullable<WorkerConfig['sealKey']>['pkcs11'];

export interface OpenedSealKey {
  readonly sealKey: SealKey;
  /** The stored identity under `sealKey`: as it was stored, or moved there just now. */
  readonly sealedIdentity?: Uint8Array | undefined;
}

/**
 * The seal key of the configuration. An identity that a token sealed needs that token; one that a file sealed moves
 * into the token if the configuration names both. Throws ConfigError, or DomainError if the identity does not open.
 */
export async function openSealKey(config: WorkerConfig, stored: Uint8Array | undefined): Promise<OpenedSealKey> {
  const wrapped = stored && wrappedSealKeyOf(stored);
  const { sealKeyFile } = config;
  if (config.sealKey === undefined) {
    if (wrapped !== undefined) throw new ConfigError('sealKey: is missing, and a PKCS#11 token sealed this identity.');
    return { sealKey: sealKeyOf(sealKeyFile!), sealedIdentity: stored };
  }
  const { pkcs11 } = config.sealKey;
  if (stored === undefined || wrapped !== undefined) {
    return { sealKey: await tokenSealKeyOf(config, pkcs11, wrapped), sealedIdentity: stored };
  }
  if (sealKeyFile === undefined) {
    throw new ConfigError(
      'sealKeyFile: is missing, and this identity is sealed under it. Name it beside sealKey once.',
    );
  }
  const old = sealKeyOf(sealKeyFile);
  const sealKey = await tokenSealKeyOf(config, pkcs11, undefined);
  return { sealKey, sealedIdentity: resealIdentity(stored, old, sealKey) };
}

/** `wrapped`: what the token brings back; a new one without it. */
async function tokenSealKeyOf(
  config: WorkerConfig,
  { pinFile, timeout: timeoutMs, ...token }: SealToken,
  wrapped: WrappedSealKey | undefined,
): Promise<SealKey> {
  const field = 'sealKey.pkcs11';
  if (!existsSync(token.module)) {
    throw new ConfigError(`${field}.module: ${token.module} does not exist. Install the module, or correct the path.`);
  }
  const options = { ...token, timeoutMs, memberId: memberIdOf(config), random: randomBytes };
  const pin = readSecretBytes(pinFile, `${field}.pinFile`);
  try {
    return await (wrapped === undefined ? newTokenSealKey(options, pin) : openTokenSealKey(options, pin, wrapped));
  } catch (error) {
    if (!(error instanceof SealTokenError)) throw error;
    throw new ConfigError(`${field}: ${error.message}.`, { cause: error });
  }
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
