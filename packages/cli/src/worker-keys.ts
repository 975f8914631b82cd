import type { Worker__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/Worker';
import { memberFingerprint } from '@keyfleet/shared/domain/fingerprint';
import type { Member } from '@keyfleet/shared/domain/state';
import { CliError } from './cli-error.ts';
import type { DomainManagerClient } from './domain-manager-client.ts';

const none = Buffer.alloc(0);

/** What the worker says of itself, from its memory. */
export function workerKeys(worker: Worker__Output): Member {
  const { member_id: memberId = '', signing_key: signingKey = none, agreement_key: agreementKey = none } = worker;
  const { encapsulation_key: encapsulationKey = none } = worker;
  return { memberId, signingKey, agreementKey, ...(encapsulationKey.length > 0 && { encapsulationKey }) };
}

/**
 * Whoever writes a worker's volume can put other keys into its `identity.pub.json`, and would be admitted in its place.
 * Throws CliError if a worker of that name has other keys, and none has these. So one that lies about its name holds up
 * the admission of who is not there, such as an offline member, and of nobody else.
 */
export async function assertKeysOfWorkers(
  client: Pick<DomainManagerClient, 'status'>,
  members: readonly Member[],
): Promise<void> {
  if (members.length === 0) return;
  const { workers = [] } = await client.status();
  for (const member of members) {
    const named = workers.filter(({ member_id: id }) => id === member.memberId);
    const other = named[0];
    const fingerprint = memberFingerprint(member);
    if (other === undefined || named.some((worker) => memberFingerprint(workerKeys(worker)) === fingerprint)) continue;
    throw new CliError(
      `${member.memberId} is to be admitted with the fingerprint ${fingerprint}, but the worker of this name at ` +
        `${other.address} says ${memberFingerprint(workerKeys(other))}. Compare both with the line "identity" in the log of the worker that you mean. ` +
        `If the second is right, somebody changed its identity.pub.json; if the first, ${other.address} lies, or has this name too: stop it, or take it out of hsmWorkers`,
    );
  }
}
