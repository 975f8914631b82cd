import { createPrivateKey, type KeyObject } from 'node:crypto';
import { ConfigError, readSecretFile } from '@keyfleet/shared/config';
import type { FrontendConfig } from '../config.ts';
import type { HostIdentity } from './negotiation.ts';

/** Throws ConfigError. */
export function loadHostIdentity({ operatorId, file }: FrontendConfig['hostKey']): HostIdentity {
  const privateKey = privateKeyOf(readSecretFile(file, 'hostKey.file'));
  if (privateKey?.asymmetricKeyDetails?.namedCurve !== 'secp384r1') {
    throw new ConfigError(
      `hostKey.file: ${file} is not a P-384 private key in PEM. Make one with: keyfleet operator create-key --role service-host`,
    );
  }
  return { operatorId, privateKey };
}

function privateKeyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
