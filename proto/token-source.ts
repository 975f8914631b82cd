import type { ChannelCredentials } from '@grpc/grpc-js';
import { DomainManager } from './index.ts';
import { channelOptions, unary } from './unary.ts';

const FETCH_TIMEOUT_MS = 5000;

/** The domain tokens that the domain-manager at `address` (host:port) shows. */
export function newTokenSource(address: string, credentials: ChannelCredentials) {
  const client = new DomainManager(address, credentials, channelOptions);
  return {
    address,
    fetch: async (after: number): Promise<readonly Uint8Array[]> => {
      const request = { after_generation: after };
      const { tokens = [] } = await unary(client, DomainManager.service.FetchTokens, request, FETCH_TIMEOUT_MS);
      return tokens;
    },
    close: () => client.close(),
  };
}
