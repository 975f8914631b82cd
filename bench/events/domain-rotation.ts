import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { boundTo, newProposal, signProposal } from '@keyfleet/shared/domain/proposal';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { TestCluster } from '@keyfleet/test-support/cluster';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { peersOf } from '../../tools/home-tls.ts';
import type { BenchEvent } from './catalog.ts';

const POLL_MS = 20;
/** A domain-manager whose Redis is held up says that it cannot reach it. */
const HELD_UP_MS = 60_000;

/** Has an operator rotate the domain keys; the generation that this makes. */
export async function rotate(cluster: TestCluster, client: DomainManagerClient): Promise<number> {
  const known = await client.getDomain(parseTrustAnchor(readFileSync(cluster.home.trustAnchorFile, 'utf8')));
  const command = { ...boundTo(known, known.state.members[0]!.memberId), name: 'RotateDomainKeys' as const, body: {} };
  const privateKey = createPrivateKey(readFileSync(cluster.home.keyFile('operator-1')));
  await client.propose(signProposal(newProposal(command), { operatorId: 'operator-1', privateKey }));
  return known.state.generation + 1;
}

export interface Resealing {
  readonly tokens: number;
  /**
   * Milliseconds from the call: until resealing began, from there until all was resealed, and from the call until
   * nothing was found left.
   */
  readonly began: number;
  readonly done: number;
  readonly proved: number;
}

/** Waits for the first pass, in which everything is resealed, and for the proof that nothing is left. */
export async function resealed(
  client: DomainManagerClient,
  generation: number,
  mark: (what: string) => void = () => undefined,
): Promise<Resealing> {
  const from = performance.now();
  let tokens = 0;
  let began: number | undefined;
  for (let done: number | undefined; ; await delay(POLL_MS)) {
    const { reseal } = await statusOf(client);
    if (reseal?.generation !== generation) continue;
    if (began === undefined) mark('resealing begins');
    began ??= performance.now();
    // A later pass, which only proves that nothing is left, begins to count again.
    tokens = Math.max(tokens, reseal.resealed ?? 0);
    // The number of tokens is reported shard by shard.
    if (done === undefined && (reseal.resealed ?? 0) > 0 && reseal.shards_done === reseal.shards) {
      done = performance.now();
      mark('all is resealed');
    }
    if (reseal.verified !== true) continue;
    const end = performance.now();
    return { tokens, began: began - from, done: (done ?? end) - began, proved: end - from };
  }
}

/** Asks again for a while when that fails: so often asked, it is asked in every moment that Redis is busy, too. */
async function statusOf(client: DomainManagerClient): ReturnType<DomainManagerClient['status']> {
  for (const from = performance.now(); ; await delay(POLL_MS)) {
    try {
      return await client.status();
    } catch (error) {
      if (performance.now() - from > HELD_UP_MS) throw error;
    }
  }
}

/** A rotation of the domain keys, and everything resealed under the new one. */
export const rotation: BenchEvent = {
  name: 'rotation',
  async run({ cluster }, mark) {
    const { credentials } = peersOf(cluster!.home);
    using client = new DomainManagerClient(`localhost:${cluster!.ports.domainManager}`, credentials);
    mark('rotation proposed');
    await resealed(client, await rotate(cluster!, client), mark);
    mark('nothing is left to reseal');
  },
};
