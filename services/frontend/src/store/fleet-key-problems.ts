import { DamagedRecordError } from './store.ts';

export function isAnother(name: string, domainKeyId: string): DamagedRecordError {
  return new DamagedRecordError(
    `kf:fleet-keys:{${name}} ${domainKeyId} is another key than this frontend uses: it was removed, and made again.`,
  );
}

export function isForeign(name: string, domainKeyId: string): DamagedRecordError {
  return new DamagedRecordError(
    `kf:fleet-keys:{${name}} ${domainKeyId} does not open, or belongs elsewhere: no frontend wrote it.`,
  );
}

export function isDoubtful(name: string, domainKeyId: string): DamagedRecordError {
  return new DamagedRecordError(
    `kf:fleet-keys:{${name}} ${domainKeyId} does not open at the only HSM in reach. If it opens at no other, frontends make another; where there is none, remove it with HDEL.`,
  );
}
