import { type ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { CustomKeyStore } from '../key-stores/key-store.ts';
import type { Call, Deps } from './handler.ts';

export type StoreDeps = Pick<Deps, 'keyStores' | 'proxies' | 'clusters' | 'hsm' | 'clock'>;

/** A request about custom key stores, with its dependencies. */
export interface StoreWork {
  readonly call: Call;
  readonly deps: StoreDeps;
}

export function scopeOf({ caller, region }: Call): Scope {
  return { accountId: caller.accountId, region };
}

export function wrongState({ id, state }: CustomKeyStore, what: string, needed: string): KmsException {
  const message = `The custom key store ${id} is ${state}. It can be ${what} only when it is ${needed}.`;
  return new KmsException('CustomKeyStoreInvalidStateException' satisfies ExceptionCode, message);
}

export function invalid(message: string): KmsException {
  return new KmsException('ValidationException', message);
}
