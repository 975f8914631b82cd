import type { Clock } from '@keyfleet/shared/clock';
import { readSecretBytes } from '@keyfleet/shared/config';
import { identityArn, userCaller } from '../identities/callers.ts';
import type { Identities } from '../identities/identities.ts';
import { type Authenticated, Authenticator } from '../request/authenticate.ts';
import { Credential } from '../request/credential.ts';
import type { PipelineDeps } from '../request/pipeline.ts';
import type { XksProxyConfig } from './config.ts';

export type PathConfig = XksProxyConfig['paths'][number];

export interface PathDeps {
  readonly identities: Pick<Identities, 'findUser'>;
  readonly partition: string;
  readonly clock: Clock;
}

/** From the specification. */
const CLOCK_SKEW_MS = 300_000;

/**
 * Verifies requests for one path by the path's own credentials. Whoever signs with them is the path's user, in the
 * path's Region. Throws ConfigError for an unreadable secret.
 */
export function newPathAuthenticator(
  { accountId, region, userName, credentials }: PathConfig,
  { identities, partition, clock }: PathDeps,
): PipelineDeps['authenticator'] {
  const known = new Map(
    credentials.map(({ accessKeyId, secretFile }) => {
      const read = () => readSecretBytes(secretFile, 'xksProxy.paths.credentials.secretFile');
      read().fill(0);
      const credential = new Credential({
        // Read anew for each day, and not kept.
        openSecret: async () => ({ secretAccessKey: read() }),
        identity: (recall) => identities.findUser(accountId, userName, recall),
        callerOf: (identity) => userCaller(identity, identityArn(partition, identity.record), accessKeyId),
      });
      return [accessKeyId, credential as Credential] as const;
    }),
  );
  const find = ({ accessKeyId }: { readonly accessKeyId: string }) => known.get(accessKeyId);
  const inner = new Authenticator({ credentials: { find }, clock, clockSkewMs: CLOCK_SKEW_MS });
  // The signature is for the Region of the calling service.
  const here = (authenticated: Authenticated): Authenticated => ({ ...authenticated, region });
  return {
    authenticate(request, signedFor, waiting) {
      const authenticated = inner.authenticate(request, signedFor, waiting);
      return authenticated instanceof Promise ? authenticated.then(here) : here(authenticated);
    },
    namesKey: (headers, deadline) => inner.namesKey(headers, deadline),
  };
}
