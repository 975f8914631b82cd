import { type Worker, WorkerRefusedError } from '@keyfleet/domain-manager/workers';
import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { rotation, sealedForNobody, TestDomain } from './domain.ts';

/** An hsm-worker as the domain-manager sees it; `change`: what a hostile one does differently. */
export function workerOf(hsm: Hsm, change: Partial<Worker> = {}): Worker {
  const check = async (token: Uint8Array) => {
    try {
      return hsm.check(token);
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
