import { HsmClient } from '@keyfleet/frontend/hsm/client';
import { asOfNow } from '@keyfleet/frontend/hsm/known-domain';
import type { ConfirmationEvents } from '@keyfleet/frontend/hsm/sealing';
import { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { newWorkerClient } from '@keyfleet/frontend/hsm/worker-client';
import { systemClock } from '@keyfleet/shared/clock';
import { isOfOne, onlineMembers, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { CliError } from './cli-error.ts';
import type { OpenDomain } from './options.ts';
import { loadSigningKey } from './signing-keys.ts';
import { loadStoredDomain } from './stored-domain.ts';

const READY_TIMEOUT_MS = 10_000;
/** How long a second worker is waited for, which confirms what the first one says. */
const SECOND_TIMEOUT_MS = 2_000;

/** For commands that workers serve only to a frontend. */
export const hostOptions = {
  host: { type: 'string', description: 'The operator id of a frontend.', valueHint: 'ID', required: true },
  'host-key': { type: 'string', description: 'The key file of that frontend.', valueHint: 'FILE', required: true },
} as const;

export interface HostArgs {
  readonly host: string;
  readonly 'host-key': string;
}

/** The domain's workers, in this command's own session as that frontend. Throws CliError if none accepts it. */
export async function openHostPool(
  args: HostArgs,
  open: OpenDomain,
  redis: RedisClient,
  maxInFlight = 1,
): Promise<WorkerPool> {
  return openPoolAs(args, { ...open, ...(await lookAround(open, redis)) }, maxInFlight);
}

/** The domain as it is now, and the addresses of its workers. */
async function lookAround(open: OpenDomain, redis: RedisClient): Promise<Surroundings> {
  const { workers = [] } = await open.client.status();
  return { domain: await loadStoredDomain(redis, open), workers: workers.map(({ address = '' }) => address) };
}

interface Surroundings {
  readonly domain: VerifiedDomain;
  readonly workers: readonly string[];
}

/** Throws CliError if no worker accepts the session. */
async function openPoolAs(
  { host: operatorId, 'host-key': file }: HostArgs,
  { domain, workers, credentials }: Surroundings & Pick<OpenDomain, 'credentials'>,
  maxInFlight: number,
): Promise<WorkerPool> {
  const notAsked = () => Promise.reject(new CliError(`${file} has a passphrase: it is not a frontend's key.`));
  const { key: privateKey } = await loadSigningKey(file, notAsked);
  const pool = new WorkerPool({
    workers: workers.map((address) => newWorkerClient(address, credentials)),
    host: { operatorId, privateKey },
    domain: asOfNow(domain),
    clock: systemClock,
    maxInFlight,
    onProblem: () => {},
  });
  const wanted = Math.min(2, workers.length);
  for (const startedAt = performance.now(); pool.ready < wanted;) {
    const patience = (pool.ready > 0 ? SECOND_TIMEOUT_MS : READY_TIMEOUT_MS) - (performance.now() - startedAt);
    if (patience > 0 && (await pool.connects(patience))) continue;
    if (pool.ready > 0) break;
    await pool[Symbol.asyncDispose]();
    throw new CliError(
      `no hsm-worker accepts a session of ${operatorId}: it must be a service host of the domain, with this key`,
    );
  }
  return pool;
}

/**
 * The domain's workers as frontends see them: nothing of a single member is believed. Unlike a frontend, a command does
 * not go on where no second one is in reach, or where two contradict each other: it throws CliError.
 */
export async function openHostHsm(
  args: HostArgs,
  open: OpenDomain,
  redis: RedisClient,
): Promise<HsmClient & AsyncDisposable> {
  const found = await lookAround(open, redis);
  let { domain } = found;
  const pool = await openPoolAs(args, { ...open, ...found }, 1);
  const refreshDomain = async (): Promise<void> => {
    domain = await loadStoredDomain(redis, open, { after: domain }).catch(() => domain);
  };
  const hsm = new HsmClient({
    hsm: pool,
    domainState: () => domain.state,
    isDomainOfOne: () => isOfOne(domain.state),
    refreshDomain,
    clock: systemClock,
    // By the verified domain: the list is only the domain-manager's word.
    workers: onlineMembers(found.domain.state.members).length,
    events: stopAtDoubts,
  });
  return Object.assign(hsm, { [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() });
}

const stopAtDoubts: ConfirmationEvents = {
  confirmed() {},
  contradicted(command, maker, witness): never {
    throw new CliError(
      `${witness} contradicts ${maker} (${command}): one of the two is broken or hostile. Compare both with a third, remove the one that is wrong, then run this again.`,
    );
  },
  unconfirmed(_command, member): never {
    throw new CliError(
      `only ${member} can be reached, and one hsm-worker alone is not believed: start a second one, then run this again.`,
    );
  },
};
