import type { Member } from '@keyfleet/shared/domain/state';

/** What an HSM says of itself. Nothing here is believed: it only decides what to send to whom. */
export interface HsmDescription extends Member {
  /** Empty until it is a member for the first time. */
  readonly domain: string;
  /** Tokens after this one are what it needs. */
  readonly generation: number;
  readonly tokenHash: Uint8Array;
  readonly activeGeneration: number;
  /** How far its clock was ahead of ours when it said this; a test's worker has ours. */
  readonly clockAheadMs?: number;
}

/** One hsm-worker. Every call ends in bounded time and throws when the worker did not answer or refused. */
export interface Worker {
  /** host:port in the configuration. */
  readonly address: string;
  describe(): Promise<HsmDescription>;
  /**
   * The next domain token; `current` is absent for the first. The worker installs nothing, and makes no other one of
   * that generation.
   */
  prepare(proposal: Uint8Array, current: Uint8Array | undefined): Promise<Buffer>;
  /**
   * A member's word that it could install `token`, which would follow the newest it has. Throws `WorkerRefusedError`.
   */
  check(token: Uint8Array): Promise<Uint8Array>;
  install(tokens: readonly Uint8Array[]): Promise<HsmDescription>;
  activate(generation: number): Promise<HsmDescription>;
  /** Erases what the worker is, by a quorum-signed LeaveDomain. */
  leave(proposal: Uint8Array): Promise<HsmDescription>;
}

/** The worker looked at what it got and said no: asking again changes nothing. */
export class WorkerRefusedError extends Error {
  override name = 'WorkerRefusedError';
}
