import { type KmsClient, KmsException } from '@keyfleet/client';
import type { WebIdentityCredentials } from './web-identity.ts';

export type Kms = Pick<KmsClient, 'Encrypt' | 'Decrypt'>;

/** How Keyfleet refuses a session before its time: a removal from the domain ends all of them. */
const ended: ReadonlySet<string> = new Set(['UnrecognizedClientException', 'ExpiredTokenException']);

/** Calls once more, with a new session, when Keyfleet refuses the one that was there before. */
export function renewingKms(kms: Kms, sessions: Pick<WebIdentityCredentials, 'session' | 'replace'>): Kms {
  function renewing<I, O>(call: (input: I) => Promise<O>): (input: I) => Promise<O> {
    return async (input) => {
      const { session } = sessions;
      try {
        return await call(input);
      } catch (error) {
        if (!(error instanceof KmsException && ended.has(error.code))) throw error;
        sessions.replace(session);
        return call(input);
      }
    };
  }
  return { Encrypt: renewing(kms.Encrypt), Decrypt: renewing(kms.Decrypt) };
}
