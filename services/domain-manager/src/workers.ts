import type { Member } from '@keyfleet/shared/domain/state';

/** An HSM's own description. None of it is trusted: it only decides what to send to whom. */
export interface HsmDescription extends Member {
  /** Empty until it is first a member. */
  readonly domain: string;
  /** It needs the tokens after this one. */
  readonly generation: number;
  readonly tokenHash: Uint8Array;
  readonly activeGeneration: number;
  /** How far its clock was ahead of ours when it answered; a test's worker uses ours. */
  readonly clockAheadMs?: number;
}

/** One hsm-worker. Every call ends within a bounded time, and throws if the worker did not answer or refused. */
export interface Worker {
  /** host:port in the configuration. */
  readonly address: string;
  describe(): Promise<HsmDescription>;
  /**
   * The next domain token; `current` is absent for the first. The worker installs nothing, and makes no other token of
   * that generation.
   */
  prepare(proposal: Uint8Array, current: Uint8Array | undefined): Promise<Buffer>;
  /**
   * A member's signed statement that it could install `token`, which would follow its newest one. Throws
   * `WorkerRefusedError`.
   */
  check(token: Uint8Array): Promise<Uint8Array>;
  install(tokens: readonly Uint8Array[]): Promise<HsmDescription>;
  /** One of the newest tokens that it installed; empty for others. Anything at all, until it is verified. */
  heldToken(generation: number): Promise<Uint8Array>;
  activate(generation: number): Promise<HsmDescription>;
  /** Erases the worker's identity and domain, by a quorum-signed LeaveDomain. */
  leave(proposal: Uint8Array): Promise<HsmDescription>;
}

/** The worker examined the request and refused: asking again changes nothing. */
export class WorkerRefusedError extends Error {
  override name = 'WorkerRefusedError';
}
