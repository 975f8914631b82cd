import { StreamOpening } from '@keyfleet/frontend/hsm/open-channel';
import { type HostSession, Negotiation } from '@keyfleet/frontend/hsm/negotiation';
import { DelegatedMessage, StreamOpen } from '@keyfleet/shared/hsm/session';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import { type KeyObject, sign } from 'node:crypto';
import { FakeDomain, negotiate, newHost, newWorker } from './session-pair.ts';

export const HOUR_MS = 3_600_000;
export const MINUTE_MS = 60_000;
export const host = newHost();

type TestWorker = ReturnType<typeof newWorker>;

export function startNegotiation(domain: FakeDomain, from = host): Promise<Negotiation> {
  return Negotiation.start({ domain, host: from, clock: domain.clock });
}

/** Negotiates with this worker, as a host that knows what the worker knows. */
export async function connected(domain = new FakeDomain([host])) {
  const worker = newWorker(domain);
  return { domain, worker, session: await negotiate(domain, host, worker.service) };
}

/** Opens a stream as the session's host would, unless told otherwise. */
export async function opens(
  worker: TestWorker,
  session: HostSession,
  change: Partial<ReturnType<typeof StreamOpen.decode>> = {},
): Promise<unknown> {
  const { open } = await StreamOpening.start(session, protocols);
  return worker.service.openStream(delegated(session.delegatedKey, { ...openedBy(open), ...change }), () => {});
}

export function openedBy(open: Uint8Array): ReturnType<typeof StreamOpen.decode> {
  return StreamOpen.decode(DelegatedMessage.decode(open).message);
}

export function delegated(key: KeyObject, open: ReturnType<typeof StreamOpen.decode>): Buffer {
  const message = StreamOpen.encode(open);
  return DelegatedMessage.encode({ message, signature: sign(null, message, key) });
}

export function flipped(bytes: Uint8Array, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}
