import type { ChannelCredentials } from '@grpc/grpc-js';
import { DomainManager } from './index.ts';
import { channelOptions, unary } from './unary.ts';

const FETCH_TIMEOUT_MS = 5000;
const STORE_TIMEOUT_MS = 15_000;
/** A page has 64 tokens. */
const MAX_FIELDS = 1_000;

/** Each field becomes an object, also one of no bytes: a hostile domain-manager could answer with millions. */
const FetchTokens = {
  ...DomainManager.service.FetchTokens,
  responseDeserialize(answer: Buffer) {
    if (hasMoreFields(answer, MAX_FIELDS)) throw new Error('this is no page of domain tokens');
    return DomainManager.service.FetchTokens.responseDeserialize(answer);
  },
};

/** The domain tokens that the domain-manager at `address` (host:port) shows, and to which it is brought one. */
export function newTokenSource(address: string, credentials: ChannelCredentials) {
  const client = new DomainManager(address, credentials, channelOptions);
  return {
    address,
    fetch: async (after: number): Promise<readonly Uint8Array[]> => {
      const request = { after_generation: after };
      const { tokens = [] } = await unary(client, FetchTokens, request, FETCH_TIMEOUT_MS);
      return tokens;
    },
    /** Rejects if it does not take the token, or has it. */
    store: (token: Uint8Array) =>
      unary(client, DomainManager.service.StoreToken, { token: Buffer.from(token) }, STORE_TIMEOUT_MS),
    close: () => client.close(),
  };
}

/**
 * Whether a Protocol Buffers message (protobuf.dev, "Encoding") has more fields than that, or one that is none of a
 * length of its own, as domain tokens are.
 */
function hasMoreFields(message: Buffer, most: number): boolean {
  let fields = 0;
  for (let at = 0; at < message.length; fields++) {
    if (fields === most || (message[at]! & 7) !== 2) return true;
    let length = 0;
    let shift = 0;
    do {
      at++;
      length += ((message[at] ?? 0) & 127) * 2 ** shift;
      shift += 7;
    } while ((message[at] ?? 0) > 127);
    at += 1 + length;
  }
  return false;
}
