import type { KeyObject } from 'node:crypto';
import { accountOfPrincipal } from '@keyfleet/shared/arn';
import type { Clock } from '@keyfleet/shared/clock';
import { type CredentialScope, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4/signature';
import type { InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { Caller } from '../operations/handler.ts';
import { type AccessKeyRecord, DamagedRecordError, type IdentityStore } from '../store/store.ts';

/** An access key with its secret opened: whom it proves, and the keys that check a signature. */
export class Credential {
  readonly caller: Caller;
  readonly #secret: KeyObject;
  readonly #signingKeys = new Map<string, KeyObject>();

  constructor(record: AccessKeyRecord, secretAccessKey: Uint8Array) {
    const { principal, userId, accessKeyId, policies } = record;
    this.caller = { accountId: accountOf(record), arn: principal, userId, accessKeyId, policies };
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
}

/** From the principal, which is sealed with the secret. The record says it once more, in the clear, where it can be changed. */
function accountOf({ accessKeyId, accountId, principal }: AccessKeyRecord): string {
  if (accountOfPrincipal(principal) === accountId) return accountId;
  throw new DamagedRecordError(
    `the record of access key ${accessKeyId} says account ${accountId}, but its principal is ${principal}`,
  );
}

const MAX_SIGNING_KEYS = 64;
const MAX_CREDENTIALS = 10_000;
/** How long a revoked access key may still work on this frontend. */
const FOUND_MS = 60_000;
/** Short, so that a new access key works almost at once. */
const NOT_FOUND_MS = 2_000;
/** What an access key id can look like; anything else is not worth a question to the store. */
const accessKeyIdForm = /^[A-Za-z0-9]{16,128}$/;

interface Entry {
  readonly credential: Credential | undefined;
  readonly expiresAt: number;
}

export interface CredentialsDeps {
  readonly identities: Pick<IdentityStore, 'findAccessKey'>;
  readonly openCredential: (input: InputOf<'OpenCredential'>, deadline: number) => Promise<OutputOf<'OpenCredential'>>;
  /** For how much longer than usual an access key may be used that was found; more than 0 while the store is away. */
  readonly extraMs: () => number;
  /** A monotonic one: a clock that is put back must not lengthen the life of a revoked access key. */
  readonly clock: Clock;
}

/** Opened credentials by access key id; bounded, and forgotten after a while. */
export class Credentials {
  readonly #deps: CredentialsDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #loading = new Map<string, Promise<Credential | undefined>>();

  constructor(deps: CredentialsDeps) {
    this.#deps = deps;
  }

  /** undefined: there is no such access key. Not a promise when it is known, which is nearly always. */
  find(accessKeyId: string, deadline: number): Credential | undefined | Promise<Credential | undefined> {
    const entry = this.#entries.get(accessKeyId);
    if (entry !== undefined && entry.expiresAt + this.#extraMsOf(entry) > this.#deps.clock.now())
      return entry.credential;
    if (!accessKeyIdForm.test(accessKeyId)) return undefined;
    return this.#loading.get(accessKeyId) ?? this.#load(accessKeyId, deadline);
  }

  #extraMsOf({ credential }: Entry): number {
    return credential === undefined ? 0 : this.#deps.extraMs();
  }

  /** However many requests wait for an access key, the HSM opens it once. */
  #load(accessKeyId: string, deadline: number): Promise<Credential | undefined> {
    const loading = this.#open(accessKeyId, deadline).finally(() => this.#loading.delete(accessKeyId));
    this.#loading.set(accessKeyId, loading);
    return loading;
  }

  async #open(accessKeyId: string, deadline: number): Promise<Credential | undefined> {
    const record = await this.#deps.identities.findAccessKey(accessKeyId);
    if (record === undefined) return this.#remember(accessKeyId, undefined);
    const { principal, token } = record;
    const { secretAccessKey } = await this.#deps.openCredential({ accessKeyId, principal, token }, deadline);
    return this.#remember(accessKeyId, new Credential(record, secretAccessKey));
  }

  #remember(accessKeyId: string, credential: Credential | undefined): Credential | undefined {
    // The oldest goes first: a flood of unknown ids pushes out itself, and costs a known one a single re-opening.
    if (this.#entries.size >= MAX_CREDENTIALS) this.#entries.delete(this.#entries.keys().next().value!);
    this.#entries.delete(accessKeyId);
    const lifetime = credential === undefined ? NOT_FOUND_MS : FOUND_MS;
    this.#entries.set(accessKeyId, { credential, expiresAt: this.#deps.clock.now() + lifetime });
    return credential;
  }
}
