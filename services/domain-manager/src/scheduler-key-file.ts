import { createPrivateKey } from 'node:crypto';
import { ConfigError, readSecretFile } from '@keyfleet/shared/config';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import type { DomainManagerConfig } from './config.ts';

/** Throws ConfigError. */
export function loadScheduler({ operatorId, file }: DomainManagerConfig['schedulerKey']): Signer {
  const pem = readSecretFile(file, 'schedulerKey.file');
  try {
    return { operatorId, privateKey: createPrivateKey(pem) };
  } catch (cause) {
    throw new ConfigError(
      `schedulerKey.file: ${file} is not a PEM private key. Make one with: keyfleet operator create-key --role scheduler`,
      { cause },
    );
  }
}
