import { setTimeout as delay } from 'node:timers/promises';
import type { DomainFloor } from '@keyfleet/frontend/hsm/domain-floor';
import { DomainView } from '@keyfleet/frontend/hsm/domain-view';
import type { DomainProof } from '@keyfleet/frontend/hsm/known-domain';
import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { noNotices } from '@keyfleet/shared/notices';
import { tokenHash } from '@keyfleet/shared/domain/token';
import type { Checkpoint } from '@keyfleet/shared/domain/trust-anchor';
import { memberOf, type TestDomain } from './domain.ts';

export type Shown = ReturnType<typeof showing>;

/** A domain-manager that shows these tokens, one at a time. */
export function showing(address: string, tokens: readonly Buffer[], { fails = Infinity } = {}) {
  let closes = 0;
  const source = {
    address,
    tokens,
    /** Shows no token of this generation or later, and says nothing. */
    upTo: Infinity,
    async fetch(after: number): Promise<readonly Uint8Array[]> {
      const before = closes;
      while (after >= source.upTo && closes === before) await delay(5, undefined, { ref: false });
      if (after >= fails || closes > before) throw new Error('unreachable');
      return source.tokens.slice(after, after + 1);
    },
    /** Those that it was brought. */
    brought: [] as Uint8Array[],
    async store(token: Uint8Array): Promise<void> {
      source.brought.push(token);
    },
    /** Ends the calls that wait for an answer; another view may begin anew. */
    close() {
      closes++;
    },
  };
  return source;
}

/** A floor in memory. */
export function newFloor(lowest?: Checkpoint): DomainFloor & { lowest: Checkpoint | undefined } {
  const floor = {
    lowest,
    async raise({ state, hash }: Parameters<DomainFloor['raise']>[0]) {
      if (state.generation > (floor.lowest?.generation ?? 0)) floor.lowest = { generation: state.generation, hash };
    },
  };
  return floor;
}

interface LookOptions {
  readonly checkpoint?: Checkpoint | undefined;
  readonly floor?: DomainFloor;
  /** What Redis shows. */
  readonly stored?: Shown;
  /** Addresses of workers; as many as members if it is not said. */
  readonly workers?: number;
}

/** A frontend's view of the domain that these domain-managers show. */
export function viewOf(domain: TestDomain, sources: readonly Shown[], options: LookOptions = {}) {
  const { checkpoint, floor, stored, workers = domain.hsms.length } = options;
  const problems: string[] = [];
  const view = new DomainView({
    anchor: { ...domain.anchor, ...(checkpoint && { checkpoint }) },
    floor: floor ?? newFloor(),
    managers: sources,
    ...(stored && { stored }),
    workers,
    notices: noNotices,
    onProblem: (address, error) => problems.push(`${address}: ${(error as Error).message}`),
  });
  return {
    view,
    problems,
    /** What the member proves that it has, or this; answers whether the frontend uses it. */
    proves: (hsm: Hsm, proof: DomainProof = proofOf(hsm)) => view.noteProof(memberOf(hsm), proof),
    [Symbol.asyncDispose]: () => view[Symbol.asyncDispose](),
  };
}

/** That a member has this token, or what it has. */
export function proofOf(having: Hsm | { readonly generation: number; readonly token: Uint8Array }): DomainProof {
  if ('token' in having) return { generation: having.generation, tokenHash: tokenHash(having.token) };
  const { generation, tokenHash: hash } = having.describe();
  return { generation, tokenHash: hash };
}
