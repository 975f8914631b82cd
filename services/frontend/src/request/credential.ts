import type { KeyObject } from 'node:crypto';
import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import { type CredentialScope, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4';
import { HsmRefusedError, HsmUnavailableError } from '../hsm/commands.ts';
import type { ConfirmationEvents } from '../hsm/sealing.ts';
import type { Caller } from '../operations/handler.ts';
import type { Recall } from '../store/last-known.ts';

/** More than the scopes in use at once: two days, each with the Regions and services served. */
const MAX_SIGNING_KEYS = 256;

type MaybeCaller = Caller | undefined;

/** A secret access key, and the member that opened it; undefined: no member's word. */
export interface OpenedSecret {
  readonly secretAccessKey: Uint8Array;
  readonly memberId?: string;
}

/** A signing key, and the member whose word alone it is; undefined: nobody can say otherwise. */
interface Derived {
  readonly key: KeyObject;
  readonly saidBy: string | undefined;
}

interface CredentialDeps<I extends object> {
  /**
   * Opens the sealed secret access key, by a member other than `notBy`. The caller owns the bytes and overwrites them.
   */
  readonly openSecret: (deadline: number, notBy: string | undefined) => Promise<OpenedSecret>;
  /** Absent if no member opens the secret. */
  readonly events?: Pick<ConfirmationEvents, 'contradicted'>;
  /**
   * The identity that it proves, as known now; the same object while nothing has changed. Undefined once it proves
   * none.
   */
  readonly identity: (recall: Recall) => I | undefined | Promise<I | undefined>;
  readonly callerOf: (identity: I) => Caller;
  /** Milliseconds since the epoch; undefined: it does not expire. */
  readonly expiresAt?: number;
}

/**
 * The keys that check an access key's signatures, and the identity that they prove. The secret is opened anew for each
 * scope and never kept: a signing key is good for one day, Region and service.
 */
export class Credential<I extends object = object> {
  readonly expiresAt: number | undefined;
  readonly #deps: CredentialDeps<I>;
  readonly #signingKeys = new BoundedCache<Derived>({ maxWeight: MAX_SIGNING_KEYS });
  readonly #deriving = new Map<string, Promise<KeyObject>>();
  #last: { readonly identity: I; readonly caller: Caller } | undefined;

  constructor(deps: CredentialDeps<I>) {
    this.expiresAt = deps.expiresAt;
    this.#deps = deps;
  }

  /** A promise while it is being derived; undefined until first asked for. A client uses one scope all day. */
  signingKey(scope: CredentialScope): KeyObject | Promise<KeyObject> | undefined {
    const name = nameOf(scope);
    return this.#signingKeys.get(name)?.key ?? this.#deriving.get(name);
  }

  /** Whether the signing key is what one member alone says. */
  isDoubtful(scope: CredentialScope): boolean {
    return this.#signingKeys.peek(nameOf(scope))?.saidBy !== undefined;
  }

  /** Opens the secret once for everyone who then asks for `signingKey`. */
  openSigningKey(scope: CredentialScope, deadline: number): Promise<KeyObject> {
    const name = nameOf(scope);
    const deriving = this.#derived(scope, deadline).then((derived) => {
      // Scopes are checked earlier, so only those of past days can accumulate.
      if (this.#deriving.get(name) === deriving) this.#signingKeys.set(name, derived);
      return derived.key;
    });
    this.#deriving.set(name, deriving);
    return deriving.finally(() => this.#deriving.get(name) === deriving && this.#deriving.delete(name));
  }

  /**
   * Asks another member what the signing key is, if one alone has said it, and says what the signature is under that.
   * If the two agree, nobody is asked again; if not, the key under which a signature verified is kept. Undefined if
   * nobody can be asked.
   */
  async openElsewhere(
    scope: CredentialScope,
    deadline: number,
    verifies: (key: KeyObject) => boolean,
  ): Promise<'right' | 'wrong' | undefined> {
    const name = nameOf(scope);
    const known = this.#signingKeys.peek(name);
    if (known?.saidBy === undefined) return undefined;
    try {
      const other = await this.#derived(scope, deadline, known.saidBy);
      const isAlike = other.key.equals(known.key);
      const isRight = verifies(other.key);
      if (!isAlike && other.saidBy !== undefined)
        this.#deps.events?.contradicted('OpenCredential', known.saidBy, other.saidBy);
      // Otherwise it was forgotten meanwhile, because a member has left.
      if (this.#signingKeys.peek(name) === known && (isAlike || isRight))
        this.#signingKeys.set(name, isAlike ? { key: other.key, saidBy: undefined } : other);
      return isRight ? 'right' : 'wrong';
    } catch (error) {
      if (error instanceof HsmUnavailableError && error.reason === 'nobody-else') return undefined;
      if (error instanceof HsmRefusedError) return 'wrong';
      throw error;
    }
  }

  /** Those that are being derived are not kept, either. */
  forgetSigningKeys(): void {
    this.#signingKeys.clear();
    this.#deriving.clear();
  }

  async #derived(scope: CredentialScope, deadline: number, notBy?: string): Promise<Derived> {
    const { secretAccessKey, memberId: saidBy } = await this.#deps.openSecret(deadline, notBy);
    const secret = newSigningSecret(secretAccessKey);
    secretAccessKey.fill(0);
    const key = deriveSigningKey(secret, scope);
    secret.fill(0);
    return { key, saidBy };
  }

  /** The identity with everything attached to it now. A promise only if that is not cached, which is rare. */
  caller(recall: Recall): MaybeCaller | Promise<MaybeCaller> {
    const found = this.#deps.identity(recall);
    return found instanceof Promise ? found.then((identity) => this.#callerOf(identity)) : this.#callerOf(found);
  }

  /** The same object for the same identity: callers cache what they derive from it. */
  #callerOf(identity: I | undefined): MaybeCaller {
    if (identity === undefined) return undefined;
    if (this.#last?.identity !== identity) this.#last = { identity, caller: this.#deps.callerOf(identity) };
    return this.#last.caller;
  }
}

function nameOf({ date, region, service }: CredentialScope): string {
  return `${date}/${region}/${service}`;
}
