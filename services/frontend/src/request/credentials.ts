import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { accountOfPrincipal } from '@keyfleet/shared/arn';
import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { Clock } from '@keyfleet/shared/clock';
import type { InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { type CredentialScope, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4';
import { identityArn, sessionCaller, userCaller } from '../identities/callers.ts';
import type { Identities } from '../identities/identities.ts';
import type { OpenedSession, SessionContent, SessionTokens } from '../identities/sts-session-token.ts';
import type { Caller } from '../operations/handler.ts';
import { type AccessKeyRecord, DamagedRecordError, type IdentityStore } from '../store/store.ts';

const MAX_CREDENTIALS = 10_000;
/**
 * How long an access key that was removed from the store alone may still be known here: its user no longer has it at
 * once.
 */
const FOUND_MS = 60_000;
/** Short, so that a new access key works almost at once. */
const NOT_FOUND_MS = 2_000;
/** What an access key id can look like; anything else is not worth a question to the store. */
const accessKeyIdForm = /^[A-Za-z0-9]{16,128}$/;
/** Of temporary credentials, which nobody keeps: their session token says what they are. */
const TEMPORARY = 'ASIA';

/** What a request says of who signed it. */
export interface ClaimedKey {
  readonly accessKeyId: string;
  readonly sessionToken: string | undefined;
}

type Found = Credential | undefined;

interface Entry {
  readonly credential: Found;
  readonly record: AccessKeyRecord | undefined;
  readonly expiresAt: number;
}

interface KnownSession extends Pick<OpenedSession, 'isAccepted'> {
  readonly token: string;
  readonly credential: Credential;
}

interface CredentialsDeps {
  readonly accessKeys: Pick<IdentityStore, 'findAccessKey'>;
  readonly identities: Pick<Identities, 'ownerOf' | 'find'>;
  readonly sessionTokens: Pick<SessionTokens, 'open'>;
  readonly openCredential: (input: InputOf<'OpenCredential'>, deadline: number) => Promise<OutputOf<'OpenCredential'>>;
  /** For how much longer than usual an access key may be used that was found; more than 0 while the store is away. */
  readonly extraMs: () => number;
  readonly partition: string;
  /** A monotonic one: a clock that is put back must not lengthen the life of a revoked access key. */
  readonly clock: Clock;
}

/**
 * Credentials by access key id; bounded, and looked up again after a while. One whose record is as it was keeps its
 * signing keys.
 */
export class Credentials {
  readonly #deps: CredentialsDeps;
  readonly #entries = new BoundedCache<Entry>({ maxWeight: MAX_CREDENTIALS });
  readonly #loading = new Map<string, Promise<Found>>();
  readonly #sessions = new BoundedCache<KnownSession>({ maxWeight: MAX_CREDENTIALS });

  constructor(deps: CredentialsDeps) {
    this.#deps = deps;
  }

  /**
   * undefined: there is no such access key, or the token is not its own. Not a promise when it is known, which is
   * nearly always.
   */
  find({ accessKeyId, sessionToken }: ClaimedKey, deadline: number): Found | Promise<Found> {
    if (sessionToken !== undefined) return this.#findSession(accessKeyId, sessionToken, deadline);
    const entry = this.#entries.get(accessKeyId);
    if (entry !== undefined && this.#isFresh(entry)) return entry.credential;
    if (!accessKeyIdForm.test(accessKeyId) || accessKeyId.startsWith(TEMPORARY)) return undefined;
    return this.#loading.get(accessKeyId) ?? this.#load(accessKeyId);
  }

  #isFresh({ credential, expiresAt }: Entry): boolean {
    const now = this.#deps.clock.now();
    return now < expiresAt || (credential !== undefined && now < expiresAt + this.#deps.extraMs());
  }

  #findSession(accessKeyId: string, token: string, deadline: number): Found | Promise<Found> {
    const known = this.#sessions.get(accessKeyId);
    return known?.token === token && known.isAccepted()
      ? known.credential
      : this.#openSession(accessKeyId, token, deadline);
  }

  async #openSession(accessKeyId: string, token: string, deadline: number): Promise<Found> {
    const opened = await this.#deps.sessionTokens.open(token, deadline);
    if (opened?.content.accessKeyId !== accessKeyId) return undefined;
    const credential = this.#sessionCredential(token, opened.content);
    this.#sessions.set(accessKeyId, { token, credential, isAccepted: opened.isAccepted });
    return credential;
  }

  /** However many requests wait for an access key, it is looked up once. */
  #load(accessKeyId: string): Promise<Found> {
    const loading = this.#lookUp(accessKeyId).finally(() => this.#loading.delete(accessKeyId));
    this.#loading.set(accessKeyId, loading);
    return loading;
  }

  async #lookUp(accessKeyId: string): Promise<Found> {
    const record = await this.#deps.accessKeys.findAccessKey(accessKeyId);
    if (record === undefined) return this.#remember(accessKeyId, undefined);
    assertAccount(record);
    const known = this.#entries.get(accessKeyId);
    if (known?.record !== undefined && isDeepStrictEqual(known.record, record))
      return this.#remember(accessKeyId, known.credential, record);
    const { principal, token } = record;
    const credential = new Credential({
      openSecret: async (deadline) =>
        (await this.#deps.openCredential({ accessKeyId, principal, token }, deadline)).secretAccessKey,
      identity: () => this.#deps.identities.ownerOf(record),
      callerOf: (identity) => userCaller(identity, identityArn(this.#deps.partition, identity.record), accessKeyId),
    });
    return this.#remember(accessKeyId, credential as Credential, record);
  }

  #sessionCredential(token: string, opened: SessionContent): Credential {
    // Kept, so without the secret.
    const content = { ...opened, secretAccessKey: '' };
    const { accountId, expiresAt } = content;
    const credential = new Credential({
      openSecret: async (deadline) => {
        const again = await this.#deps.sessionTokens.open(token, deadline);
        if (again === undefined) throw new Error('a session token that was opened does not open any more');
        return Buffer.from(again.content.secretAccessKey);
      },
      identity: () => this.#deps.identities.find(accountId, content),
      callerOf: (identity) => sessionCaller(identity, identityArn(this.#deps.partition, identity.record), content),
      expiresAt,
    });
    return credential as Credential;
  }

  #remember(accessKeyId: string, credential: Found, record?: AccessKeyRecord): Found {
    const lifetime = credential === undefined ? NOT_FOUND_MS : FOUND_MS;
    this.#entries.set(accessKeyId, { credential, record, expiresAt: this.#deps.clock.now() + lifetime });
    return credential;
  }
}

/**
 * The principal is sealed with the secret. The record says its account once more, in the clear, where it can be
 * changed.
 */
function assertAccount({ accessKeyId, accountId, principal }: AccessKeyRecord): void {
  if (accountOfPrincipal(principal) === accountId) return;
  throw new DamagedRecordError(
    `the record of access key ${accessKeyId} says account ${accountId}, but its principal is ${principal}`,
  );
}

/** More than there are scopes at once: two days, and for each the Regions and services that are served. */
const MAX_SIGNING_KEYS = 256;

type MaybeCaller = Caller | undefined;

interface CredentialDeps<I extends object> {
  /** Opens the sealed secret access key: its bytes are the caller's, who overwrites them. */
  readonly openSecret: (deadline: number) => Promise<Uint8Array>;
  /**
   * What is known now of whom it proves; the same object while nothing has changed. Undefined once it proves nobody.
   */
  readonly identity: () => I | undefined | Promise<I | undefined>;
  readonly callerOf: (identity: I) => Caller;
  /** Milliseconds since the epoch; undefined: it does not expire. */
  readonly expiresAt?: number;
}

/**
 * The keys that check an access key's signatures, and whom one proves. Its secret is opened for each scope anew and
 * kept by nobody: a signing key is good for one day, Region and service.
 */
export class Credential<I extends object = object> {
  readonly expiresAt: number | undefined;
  readonly #deps: CredentialDeps<I>;
  readonly #signingKeys = new BoundedCache<KeyObject>({ maxWeight: MAX_SIGNING_KEYS });
  readonly #deriving = new Map<string, Promise<KeyObject>>();
  #last: { readonly identity: I; readonly caller: Caller } | undefined;

  constructor(deps: CredentialDeps<I>) {
    this.expiresAt = deps.expiresAt;
    this.#deps = deps;
  }

  /** A promise while it is being made; undefined until somebody has it made. A client uses one scope all day. */
  signingKey(scope: CredentialScope): KeyObject | Promise<KeyObject> | undefined {
    const name = nameOf(scope);
    return this.#signingKeys.get(name) ?? this.#deriving.get(name);
  }

  /** Opens the secret, once for all who then ask for `signingKey`. */
  openSigningKey(scope: CredentialScope, deadline: number): Promise<KeyObject> {
    const name = nameOf(scope);
    const deriving = this.#derived(name, scope, deadline).finally(() => this.#deriving.delete(name));
    this.#deriving.set(name, deriving);
    return deriving;
  }

  async #derived(name: string, scope: CredentialScope, deadline: number): Promise<KeyObject> {
    const opened = await this.#deps.openSecret(deadline);
    const secret = newSigningSecret(opened);
    opened.fill(0);
    const key = deriveSigningKey(secret, scope);
    secret.fill(0);
    // Scopes are checked before: only those of days that are over can pile up.
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

function nameOf({ date, region, service }: CredentialScope): string {
  return `${date}/${region}/${service}`;
}
