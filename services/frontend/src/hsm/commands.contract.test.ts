import { isOfOne } from '@keyfleet/shared/domain/state';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { LoopbackWorker, startLoopbackPool } from '@keyfleet/test-support/loopback-worker';
import { FakeDomain, newHost } from '@keyfleet/test-support/session-pair';
import { handlers } from '../../../hsm-worker/src/boundary/commands/handlers.ts';
import { HsmClient } from './client.ts';
import { hsmContract } from './commands.contract.ts';

const nothing = { [Symbol.asyncDispose]: async () => {} };

hsmContract('the fake', async () => ({ hsm: new FakeHsm(), ...nothing }));
hsmContract('the local HSM', async () => ({ hsm: new LocalHsm(), ...nothing }));

hsmContract('the client of two workers', async () => {
  const host = newHost();
  const domain = new FakeDomain([host]);
  domain.clock.advance(Date.now() - domain.clock.now());
  const workers = (['hsm-1', 'hsm-2'] as const).map((memberId) => new LoopbackWorker(domain, memberId, handlers));
  const { pool } = await startLoopbackPool({ domain, host, workers });
  const hsm = new HsmClient({
    hsm: pool,
    domainState: () => domain.state,
    isDomainOfOne: () => isOfOne(domain.state),
    refreshDomain: async () => {},
    clock: domain.clock,
    workers: workers.length,
    events: { confirmed() {}, contradicted() {}, unconfirmed() {} },
  });
  return { hsm, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
});
