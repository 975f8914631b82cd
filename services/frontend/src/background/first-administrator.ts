import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, monotonicClock } from '@keyfleet/shared/clock';
import type { InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { Log } from '@keyfleet/shared/log';
import { SayOnce } from '@keyfleet/shared/say-once';
import { ADMINISTRATOR_POLICY } from '../identities/first-user.ts';
import { newAccessKeyId, newIamId } from '../identities/ids.ts';
import type { AccessKeyRecord, IdentityStore } from '../store/store.ts';
import type { CredentialsFile } from './credentials-file.ts';

export interface FirstAdministrator {
  readonly accountId: string;
  readonly userName: string;
  readonly partition: string;
}

export interface ProvisionDeps {
  readonly identities: Pick<IdentityStore, 'findFirstAccessKey' | 'hasAccount' | 'insertFirstAccessKey'>;
  readonly generateCredential: (input: InputOf<'GenerateCredential'>) => Promise<OutputOf<'GenerateCredential'>>;
  readonly file: CredentialsFile;
  readonly log: Log;
}

const RETRY_MS = 250;
/** How long a credential serves all attempts: short beside the time in which a domain key is switched off. */
const SAME_MS = 60_000;

/**
 * Gives an account without access keys its first administrator. Retries until it succeeds, because the services it
 * needs may still be starting.
 */
export class Provisioning implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly finished: Promise<void>;
  #done = false;

  constructor(administrator: FirstAdministrator, deps: ProvisionDeps) {
    this.finished = this.#tryUntilDone(administrator, deps);
  }

  get done(): boolean {
    return this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.finished;
  }

  async #tryUntilDone(administrator: FirstAdministrator, deps: ProvisionDeps): Promise<void> {
    const said = new SayOnce();
    const make = remembering(() => newAdministrator(administrator, deps), monotonicClock);
    while (!this.#stop.signal.aborted && !this.#done) {
      try {
        await provision(administrator, deps, make);
        this.#done = true;
      } catch (error) {
        if (said.isNew('first administrator', error))
          deps.log.warn({ err: error }, 'the first administrator cannot be created yet');
        await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }
}

/**
 * Gives the same one for a while: each that is made leaves a file until the store has taken one. What it makes is
 * sealed under a domain key that may be switched off meanwhile.
 */
export function remembering<T>(make: () => Promise<T>, clock: Clock): () => Promise<T> {
  let made: { readonly it: T; readonly at: number } | undefined;
  return async () => {
    if (made === undefined || clock.now() - made.at > SAME_MS) made = { it: await make(), at: clock.now() };
    return made.it;
  };
}

/** Makes one attempt. Throws whatever the store or the HSM throws. `make`: for several attempts, the same one. */
export async function provision(
  administrator: FirstAdministrator,
  deps: ProvisionDeps,
  make: () => Promise<AccessKeyRecord> = () => newAdministrator(administrator, deps),
): Promise<void> {
  const { identities, file, log } = deps;
  const existing = await identities.findFirstAccessKey(administrator.accountId);
  if (existing !== undefined) return finish(existing, deps);
  // The account began with an access key that has since been removed.
  if (await identities.hasAccount(administrator.accountId)) return file.dropPending();
  if (file.exists) {
    const problem = `${file.path} exists, but its account has no access key here. Move the file away to have the first administrator created.`;
    throw new Error(problem);
  }
  const record = await make();
  if (await identities.insertFirstAccessKey(record)) {
    const { principal, accessKeyId } = record;
    log.info({ principal, accessKeyId, file: file.path }, 'first administrator created');
    return finish(record, deps);
  }
  // Another frontend was faster. If it has the same directory, its pending file is one of those here.
  const first = await identities.findFirstAccessKey(administrator.accountId);
  return first === undefined ? file.dropPending() : finish(first, deps);
}

/** Files that are pending for others are left by starts that died, or by frontends that were slower. */
function finish({ accessKeyId, principal }: AccessKeyRecord, { file, log }: ProvisionDeps): void {
  const isHere = file.holds(accessKeyId) || file.completePending(accessKeyId);
  file.dropPending();
  if (isHere) return;
  log.warn(
    { principal, accessKeyId, file: file.path },
    'the first administrator exists, but the credentials file does not hold its access key: restore the file from a backup, ' +
      'or from the machine of the frontend that made it; the secret cannot be shown again',
  );
}

/** Stores nothing before the secret is in a pending file. */
export async function newAdministrator(
  administrator: FirstAdministrator,
  deps: Pick<ProvisionDeps, 'generateCredential' | 'file'>,
): Promise<AccessKeyRecord> {
  const { accountId, userName, partition } = administrator;
  const accessKeyId = newAccessKeyId('AKIA');
  const principal = `arn:${partition}:iam::${accountId}:user/${userName}`;
  const { secretAccessKey, token } = await deps.generateCredential({ accessKeyId, principal });
  deps.file.writePending(accessKeyId, Buffer.from(secretAccessKey).toString('ascii'));
  return { accessKeyId, accountId, principal, userId: newIamId('user'), token, policies: [ADMINISTRATOR_POLICY] };
}
