import type { Clock } from '@keyfleet/shared/clock';
import { readSecretFile } from '@keyfleet/shared/config';
import { identityArn, userCaller } from '../identities/callers.ts';
import type { Identities } from '../identities/identities.ts';
import { type Authenticated, Authenticator } from '../request/authenticate.ts';
import { Credential } from '../request/credentials.ts';
import type { PipelineDeps } from '../request/pipeline.ts';
import type { XksProxyConfig } from './config.ts';

export type PathConfig = XksProxyConfig['paths'][number];

export interface PathDeps {
  readonly identities: Pick<Identities, 'findUser'>;
  readonly partition: string;
  readonly clock: Clock;
}

/** As the specification has it. */
const CLOCK_SKEW_MS = 300_000;

/**
 * Verifies requests for one path: by its own credentials, whoever signs with them is the path's user, in the path's
 * Region. Throws ConfigError for a secret that cannot be read.
 */
export function newPathAuthenticator(
  { accountId, region, userName, credentials }: PathConfig,
  { identities, partition, clock }: PathDeps,
): PipelineDeps['authenticator'] {
  const known = new Map(
    credentials.map(({ accessKeyId, secretFile }) => {
      const secret = Buffer.from(readSecretFile(secretFile, 'xksProxy.paths.credentials.secretFile'));
      const credential = new Credential({
        // It came from a file, and stays: whoever is given it overwrites a copy.
        openSecret: () => Promise.resolve(Buffer.from(secret)),
        identity: () => identities.findUser(accountId, userName),
        callerOf: (identity) => userCaller(identity, identityArn(partition, identity.record), accessKeyId),
      });
      return [accessKeyId, credential as Credential] as const;
    }),
  );
  const find = ({ accessKeyId }: { readonly accessKeyId: string }) => known.get(accessKeyId);
  const inner = new Authenticator({ credentials: { find }, clock, clockSkewMs: CLOCK_SKEW_MS });
  // It is signed for the Region of whoever calls.
  const here = (authenticated: Authenticated): Authenticated => ({ ...authenticated, region });
  return {
    authenticate(request, signedFor, deadline) {
      const authenticated = inner.authenticate(request, signedFor, deadline);
      return authenticated instanceof Promise ? authenticated.then(here) : here(authenticated);
    },
    namesKey: (headers, deadline) => inner.namesKey(headers, deadline),
  };
}
