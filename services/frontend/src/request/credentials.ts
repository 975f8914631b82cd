import { isDeepStrictEqual } from 'node:util';
import { accountOfPrincipal } from '@keyfleet/shared/arn';
import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { Clock } from '@keyfleet/shared/clock';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import type { ConfirmationEvents } from '../hsm/sealing.ts';
import { identityArn, sessionCaller, userCaller } from '../identities/callers.ts';
import type { Identities } from '../identities/identities.ts';
import type { OpenedSession, SessionContent, SessionTokens } from '../identities/sts-session-token.ts';
import { type AccessKeyRecord, DamagedRecordError, type IdentityStore } from '../store/store.ts';
import { Credential, type OpenedSecret } from './credential.ts';

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
