import type { KeyObject } from 'node:crypto';
import { type CredentialScope, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4/signature';
import type { Caller } from '../operations/handler.ts';

const MAX_SIGNING_KEYS = 64;

type MaybeCaller = Caller | undefined;

export interface CredentialDeps<I extends object> {
  /** What is known now of whom it proves; the same object while nothing has changed. Undefined once it proves nobody. */
  readonly identity: () => I | undefined | Promise<I | undefined>;
  readonly callerOf: (identity: I) => Caller;
  /** Milliseconds since the epoch; undefined: it does not expire. */
  readonly expiresAt?: number;
}

/** An access key with its secret opened: the keys that check a signature, and whom one proves. */
export class Credential<I extends object = object> {
  readonly expiresAt: number | undefined;
  readonly #deps: CredentialDeps<I>;
  readonly #secret: KeyObject;
  readonly #signingKeys = new Map<string, KeyObject>();
  #last: { readonly identity: I; readonly caller: Caller } | undefined;

  constructor(secretAccessKey: Uint8Array, deps: CredentialDeps<I>) {
    this.expiresAt = deps.expiresAt;
    this.#deps = deps;
    this.#secret = newSigningSecret(secretAccessKey);
  }

  /** Four HMACs the first time, then a look-up: a client uses one scope all day. */
  signingKey(scope: CredentialScope): KeyObject {
    const name = `${scope.date}/${scope.region}/${scope.service}`;
    const known = this.#signingKeys.get(name);
    if (known !== undefined) return known;
    // Scopes are checked before, so that only yesterday's can pile up here.
    if (this.#signingKeys.size >= MAX_SIGNING_KEYS) this.#signingKeys.clear();
    const key = deriveSigningKey(this.#secret, scope);
    this.#signingKeys.set(name, key);
    return key;
  }

  /** As everything attached to it is now. Not a promise when that is known, which is nearly always. */
  caller(): MaybeCaller | Promise<MaybeCaller> {
    const found = this.#deps.identity();
    return found instanceof Promise ? found.then((identity) => this.#callerOf(identity)) : this.#callerOf(found);
  }

  /** The same object for the same identity: others keep what they make of it. */
  #callerOf(identity: I | undefined): MaybeCaller {
    if (identity === undefined) return undefined;
    if (this.#last?.identity !== identity) this.#last = { identity, caller: this.#deps.callerOf(identity) };
    return this.#last.caller;
  }
}
