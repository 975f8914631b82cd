import type { Keyring } from '@keyfleet/hsm-worker/boundary/domain/keyring';
import { createSecretKey } from 'node:crypto';

/** A golden vector's keyring: keys in hex, the first domain key active. */
export interface GoldenKeyring {
  readonly domain: string;
  readonly domainKeys: readonly { readonly id: string; readonly key: string }[];
}

export function goldenKeyring({ domain, domainKeys }: GoldenKeyring): Keyring {
  const keys = domainKeys.map(({ id, key }) => ({ id, key: createSecretKey(Buffer.from(key, 'hex')) }));
  return {
    domain,
    generation: keys.length,
    active: keys[0]!,
    find: (id) => keys.find((key) => key.id === id),
    madeIn: (id) => keys.toReversed().findIndex((key) => key.id === id) + 1 || undefined,
    isRetired: () => false,
    countSealing: () => {},
    materialIdKey: createSecretKey(Buffer.alloc(32)),
  };
}

/** Hands out exactly `bytes`, once. */
export function onlyBytes(bytes: Buffer): (length: number) => Buffer {
  let left = bytes;
  return (length) => {
    if (length > left.length) throw new Error('more random bytes than the vector has');
    const drawn = left.subarray(0, length);
    left = left.subarray(length);
    return drawn;
  };
}
