import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { accountOfPrincipal } from '@keyfleet/shared/arn';
import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { Clock } from '@keyfleet/shared/clock';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { type CredentialScope, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4';
import { HsmRefusedError, HsmUnavailableError } from '../hsm/commands.ts';
import type { ConfirmationEvents } from '../hsm/sealing.ts';
import { identityArn, sessionCaller, userCaller } from '../identities/callers.ts';
import type { Identities } from '../identities/identities.ts';
import type { Recall } from '../store/last-known.ts';
import type { OpenedSession, SessionContent, SessionTokens } from '../identities/sts-session-token.ts';
import type { Caller } from '../operations/handler.ts';
import { type AccessKeyRecord, DamagedRecordError, type IdentityStore } from '../store/store.ts';

const MAX_CREDENTIALS = 10_000;
const MAX_SESSION_BYTES = 64 * 1024 * 1024;
/** Its objects and a few signing keys. */
const SESSION_BYTES = 4_000;
/**
 * How long an access key that was removed only from the store may stay cached. A removal through IAM also takes it from
 * its user, which takes effect at once.
 */
const FOUND_MS = 60_000;
/** Short, so that a new access key works almost immediately. */
const NOT_FOUND_MS = 2_000;
/** The form of an access key id; anything else is not worth a query to the store. */
const accessKeyIdForm = /^[A-Za-z0-9]{16,128}$/;
/** For temporary credentials, which are stored nowhere: the session token carries them. */
const TEMPORARY = 'ASIA';

/** What a request says about its signer. */
export interface ClaimedKey {
  readonly accessKeyId: string;
  readonly sessionToken: string | undefined;
}

type Found = Credential | undefined;

interface Entry {
  readonly credential: Found;
  readonly record: AccessKeyRecord | undefined;
  readonly expiresAt: number;
  /** How many removals were known. */
  readonly removals: number;
}

interface KnownSession extends Pick<OpenedSession, 'isAccepted'> {
  readonly token: string;
  readonly credential: Credential;
}

interface CredentialsDeps {
  readonly accessKeys: Pick<IdentityStore, 'findAccessKey'>;
  readonly identities: Pick<Identities, 'ownerOf' | 'find'>;
  readonly sessionTokens: Pick<SessionTokens, 'open'>;
  readonly openCredential: (
    input: InputOf<'OpenCredential'>,
    deadline: number,
    notBy: string | undefined,
  ) => Promise<OpenedSecret>;
  readonly events: Pick<ConfirmationEvents, 'contradicted'>;
  /** How much longer than usual a cached access key may be used; more than 0 while the store is away. */
  readonly extraMs: () => number;
  readonly partition: string;
  /** Monotonic: setting the clock back must not extend the life of a revoked access key. */
  readonly clock: Clock;
}

/**
 * A bounded cache of credentials by access key id, looked up again after a while. A credential whose record is
 * unchanged keeps its signing keys.
 */
export class Credentials {
  readonly #deps: CredentialsDeps;
  readonly #entries = new BoundedCache<Entry>({ maxWeight: MAX_CREDENTIALS });
  readonly #loading = new Map<string, Promise<Found>>();
  #removals = 0;
  readonly #sessions = new BoundedCache<KnownSession>({
    maxWeight: MAX_SESSION_BYTES,
    // What the token says is kept, too, once as content and once in the caller that it makes.
    weightOf: ({ token }) => SESSION_BYTES + 3 * token.length,
  });

  constructor(deps: CredentialsDeps) {
    this.#deps = deps;
  }

  /**
   * Undefined if there is no such access key or the token is not its own. A promise only if it is not cached, which is
   * rare.
   */
  find({ accessKeyId, sessionToken }: ClaimedKey, deadline: number): Found | Promise<Found> {
    if (sessionToken !== undefined) return this.#findSession(accessKeyId, sessionToken, deadline);
    const entry = this.#entries.get(accessKeyId);
    if (entry !== undefined && this.#isFresh(entry)) return entry.credential;
    if (!accessKeyIdForm.test(accessKeyId) || accessKeyId.startsWith(TEMPORARY)) return undefined;
    return this.#loading.get(accessKeyId) ?? this.#load(accessKeyId);
  }

  /**
   * What one member answered counts only while it is a member: each secret is opened again by those that are left, out
   * of the record as it is then, for after a removal it is resealed and its domain key retired.
   */
  forgetSigningKeys(): void {
    this.#removals++;
    for (const { credential } of this.#entries.values()) credential?.forgetSigningKeys();
  }

  #isFresh({ credential, expiresAt, removals }: Entry): boolean {
    const now = this.#deps.clock.now();
    if (removals === this.#removals && now < expiresAt) return true;
    const extraMs = credential === undefined ? 0 : this.#deps.extraMs();
    return extraMs > 0 && now < expiresAt + extraMs;
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

  /** Requests that wait for the same access key share one lookup. */
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
      openSecret: (deadline, notBy) => this.#deps.openCredential({ accessKeyId, principal, token }, deadline, notBy),
      events: this.#deps.events,
      identity: (recall) => this.#deps.identities.ownerOf(record, recall),
      callerOf: (identity) => userCaller(identity, identityArn(this.#deps.partition, identity.record), accessKeyId),
    });
    return this.#remember(accessKeyId, credential as Credential, record);
  }

  #sessionCredential(token: string, opened: SessionContent): Credential {
    // Cached, hence without the secret.
    const content = { ...opened, secretAccessKey: '' };
    const { accountId, expiresAt } = content;
    const credential = new Credential({
      openSecret: async (deadline) => {
        const again = await this.#deps.sessionTokens.open(token, deadline);
        if (again === undefined) throw new Error('a session token that was opened no longer opens');
        return { secretAccessKey: Buffer.from(again.content.secretAccessKey) };
      },
      identity: (recall) => this.#deps.identities.find(accountId, content, recall),
      callerOf: (identity) => sessionCaller(identity, identityArn(this.#deps.partition, identity.record), content),
      expiresAt,
    });
    return credential as Credential;
  }

  #remember(accessKeyId: string, credential: Found, record?: AccessKeyRecord): Found {
    const lifetime = credential === undefined ? NOT_FOUND_MS : FOUND_MS;
    const expiresAt = this.#deps.clock.now() + lifetime;
    this.#entries.set(accessKeyId, { credential, record, expiresAt, removals: this.#removals });
    return credential;
  }
}

/**
 * The principal is sealed with the secret. The record also states the account in the clear, where it could be altered.
 */
function assertAccount({ accessKeyId, accountId, principal }: AccessKeyRecord): void {
  if (accountOfPrincipal(principal) === accountId) return;
  throw new DamagedRecordError(
    `the record of access key ${accessKeyId} says account ${accountId}, but its principal is ${principal}`,
  );
}

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
