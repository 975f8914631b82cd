import { CredentialsFile } from '@keyfleet/frontend/background/credentials-file';
import {
  type FirstAdministrator,
  newAdministrator,
  type ProvisionDeps,
} from '@keyfleet/frontend/background/first-administrator';
import { RedisStore } from '@keyfleet/frontend/store/redis-store';
import { systemClock } from '@keyfleet/shared/clock';
import { CliError } from '../cli-error.ts';
import { verb } from '../verb.ts';
import { hostOptions, openHostHsm } from '../host-pool.ts';
import { anchorOptions, managerOptions, openDomain } from '../options.ts';
import { openRecords } from '../records.ts';
import { openRedis, redisOptions } from '../redis-option.ts';

const COMMAND_TIMEOUT_MS = 10_000;

export const create = verb({
  description: "Create an account with its first administrator, and write that user's access key.",
  args: {
    account: { type: 'string', description: 'Account id: 12 digits.', valueHint: 'ID', required: true },
    user: { type: 'string', description: 'Name of the administrator.', valueHint: 'NAME', default: 'admin' },
    out: { type: 'string', description: 'New file for the credentials.', valueHint: 'FILE', required: true },
    partition: { type: 'string', description: 'Partition of its ARNs.', valueHint: 'NAME', default: 'aws' },
    ...hostOptions,
    ...managerOptions,
    ...anchorOptions,
    ...redisOptions,
  },
  async run(args) {
    const { account: accountId, user: userName, out, partition } = args;
    if (!/^\d{12}$/.test(accountId)) throw new CliError('--account must be 12 digits.', { exitCode: 2 });
    if (!/^[\w+=,.@-]{1,64}$/.test(userName)) throw new CliError('--user must be an IAM user name.', { exitCode: 2 });
    const file = new CredentialsFile(out);
    if (file.exists) throw new CliError(`cannot write ${out}: the file already exists.`);
    using domain = openDomain(args);
    await using redis = await openRedis(args);
    await using hsm = await openHostHsm(args, domain, redis);
    const store = new RedisStore({ ...(await openRecords(redis, hsm, domain)), clock: systemClock });
    const { principal, accessKeyId } = await createAdministrator(
      { accountId, userName, partition },
      {
        identities: store,
        generateCredential: (input) => hsm.execute('GenerateCredential', input, systemClock.now() + COMMAND_TIMEOUT_MS),
        file,
      },
    );
    return { accountId, principal, accessKeyId, file: out };
  },
  text: ({ accountId, principal, file }) =>
    `account ${accountId} has its first administrator, ${principal}; the credentials are in ${file}, and nowhere else.`,
});

/**
 * Goes on with what an earlier run began that was interrupted: the secret of the account's first access key is in its
 * pending file. Throws CliError if the account exists otherwise.
 */
export async function createAdministrator(
  administrator: FirstAdministrator,
  deps: Omit<ProvisionDeps, 'log'>,
): Promise<{ readonly principal: string; readonly accessKeyId: string }> {
  const { identities, file } = deps;
  const { accountId } = administrator;
  const begun = await identities.findFirstAccessKey(accountId);
  if (begun !== undefined && file.completePending(begun.accessKeyId)) return begun;
  if (await identities.hasAccount(accountId)) throw alreadyThere(accountId);
  const record = await newAdministrator(administrator, deps);
  // Touches nobody else's file: the pending one is this command's own.
  if (!(await identities.insertFirstAccessKey(record))) {
    file.dropPending();
    throw alreadyThere(accountId);
  }
  file.completePending(record.accessKeyId);
  return record;
}

function alreadyThere(accountId: string): CliError {
  return new CliError(
    `account ${accountId} already exists: its administrators create further users (docs/identities.md).`,
  );
}
