import type { ChannelCredentials } from '@grpc/grpc-js';
import { DomainManager } from './index.ts';
import { channelOptions, unary } from './unary.ts';

const FETCH_TIMEOUT_MS = 5000;
const STORE_TIMEOUT_MS = 15_000;

/** The domain tokens that the domain-manager at `address` (host:port) shows, and to which it is brought one. */
export function newTokenSource(address: string, credentials: ChannelCredentials) {
  const client = new DomainManager(address, credentials, channelOptions);
  return {
    address,
    fetch: async (after: number): Promise<readonly Uint8Array[]> => {
      const request = { after_generation: after };
      const { tokens = [] } = await unary(client, DomainManager.service.FetchTokens, request, FETCH_TIMEOUT_MS);
      return tokens;
    },
    /** Rejects if it does not take the token, or has it. */
    store: (token: Uint8Array) =>
      unary(client, DomainManager.service.StoreToken, { token: Buffer.from(token) }, STORE_TIMEOUT_MS),
    close: () => client.close(),
  };
}
