import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { isLoopback } from '@keyfleet/shared/tls/plaintext';

/** How `address` is reached unless a program says: unencrypted on this machine, and by TLS on every other. */
export function defaultChannel(address: string): ChannelCredentials {
  return isHere(address) ? credentials.createInsecure() : credentials.createSsl();
}

/** `address`: `host:port`, or any name of gRPC's. */
function isHere(address: string): boolean {
  if (/^unix(-abstract)?:/.test(address)) return true;
  const host = /^\[?(.*?)\]?:\d+$/.exec(address)?.[1];
  return host !== undefined && isLoopback(host);
}
