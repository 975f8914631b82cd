import { DomainManagerEvents } from '@keyfleet/domain-manager/events';
import { MemoryStore } from '@keyfleet/domain-manager/store/memory-store';
import { TokenLog } from '@keyfleet/domain-manager/token-log';
import { witnessOfBrought } from '@keyfleet/domain-manager/witness';
import { type Worker, WorkerRefusedError } from '@keyfleet/domain-manager/workers';
import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { parseToken } from '@keyfleet/shared/domain/token';
import { createLog } from '@keyfleet/shared/log';
import { rotation, sealedForNobody, TestDomain } from './domain.ts';
import { checkedBy } from './token-verdict.ts';

export const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));
export const away = async () => Promise.reject(new Error('unreachable'));

/** An hsm-worker as the domain-manager sees it; `change`: what a hostile one does differently. */
export function workerOf(hsm: Hsm, change: Partial<Worker> = {}): Worker {
  const check = async (token: Uint8Array) => {
    try {
      return checkedBy(hsm, token);
    } catch (cause) {
      throw new WorkerRefusedError((cause as Error).message, { cause });
    }
  };
  const install = async (tokens: readonly Uint8Array[]) => (hsm.install(tokens), hsm.describe());
  const activate = async () => hsm.describe();
  return { address: hsm.memberId, describe: async () => hsm.describe(), check, install, activate, ...change } as Worker;
}

/** A domain of three, of which the first has made the next token, and one that nobody can open; without witnesses. */
export async function newRotation() {
  const domain = new TestDomain({ members: 3 });
  const [maker, second, third] = domain.hsms as [Hsm, Hsm, Hsm];
  const good = domain.make(rotation);
  const endsTheDomain = await sealedForNobody(good, (body) => domain.identities.get('hsm-1')!.sign(body));
  return { domain, maker, second, third, good, endsTheDomain };
}

/** A member that does not take the newest token: a hostile maker sealed it wrongly for it, or its disk is full. */
export function lateOne(domain: TestDomain, hsm: Hsm): Worker {
  const install = async () => Promise.reject(new Error('ENOSPC'));
  return workerOf(domain.newHsm(hsm.memberId, hsm.sealedIdentity()), { install });
}

/**
 * What happens to a token that someone brings to a domain-manager with these workers: with which witness it is stored,
 * or the name of the error. `removed`: see `Decided`.
 */
export async function storedBy(
  token: Buffer,
  workers: readonly Worker[],
  of: TestDomain,
  removed: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): Promise<string> {
  const store = new MemoryStore(of.clock);
  await store.appendToken(1, of.tokens[0]!);
  const { anchor, clock } = of;
  const tokens = new TokenLog({ store, anchor, clock, monotonicClock: clock });
  await tokens.refresh();
  const proposals = { list: async () => [], decided: () => ({ proposals: new Set<string>(), removed }) };
  try {
    await tokens.append(token, (made) => witnessOfBrought(made, { tokens, proposals, workers, events, clock }));
  } catch (error) {
    return (error as Error).name;
  }
  const [stored] = await store.loadTokens(1, 1);
  return parseToken(stored!).witness === undefined ? 'without' : 'with';
}
