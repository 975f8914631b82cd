import { integer, text } from '@keyfleet/shared/api/shape';
import { z } from 'zod';
import { QueryException } from '../query-exception.ts';
import type { Admitted, QueryOperation } from '../query-operation.ts';
import { newCredentials } from './sessions.ts';

const DEFAULT_SECONDS = 43_200;

const input = z.object({
  DurationSeconds: integer(900, 129_600).optional(),
  SerialNumber: text({ min: 9, max: 256 }).optional(),
  TokenCode: text({ min: 6, max: 6 }).optional(),
});

/** A holder of a user's access key may have temporary ones for the same user: this allows nothing new. */
export const getSessionToken: QueryOperation = {
  service: 'sts',
  name: 'GetSessionToken',
  readOnly: false,
  target: undefined,
  input,
  async run(admitted, deps) {
    const { input: given, call } = admitted as object as Admitted<z.output<typeof input>, 'user'>;
    const { accountId, userName, userId: id, session } = call.caller;
    if (userName === undefined || session !== undefined) {
      throw new QueryException('AccessDenied', 'Cannot call GetSessionToken with session credentials');
    }
    if (given.SerialNumber !== undefined || given.TokenCode !== undefined) {
      throw new QueryException('AccessDenied', 'MultiFactorAuthentication failed: nobody has a device here.');
    }
    const of = { kind: 'user', accountId, name: userName, id } as const;
    const seconds = given.DurationSeconds ?? DEFAULT_SECONDS;
    const unlimited = { seconds, policies: [], tags: [], transitiveTagKeys: [] };
    const { credentials } = await newCredentials(of, unlimited, { call, deps });
    return { Credentials: credentials };
  },
};
