import { isOfOne } from '@keyfleet/shared/domain/state';
import { LoopbackWorker, startLoopbackPool } from '@keyfleet/test-support/loopback-worker';
import { FakeDomain, newHost } from '@keyfleet/test-support/session-pair';
import { createSecretKey, randomBytes } from 'node:crypto';
import { HsmClient } from '@keyfleet/frontend/hsm/client';
import { FleetRecordKeys } from '@keyfleet/frontend/store/record-keys';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import type { CommandHandlers } from '@keyfleet/hsm-worker/boundary/executor';
import { expect, test } from 'vitest';
import { MemoryFleetSecrets } from '../services/frontend/src/store/memory-fleet-secrets.ts';
import { handlers } from '../services/hsm-worker/src/boundary/commands/handlers.ts';
import { CredentialToken } from '../services/hsm-worker/src/boundary/tokens/stored-token.ts';
import { sealToken } from '../services/hsm-worker/src/boundary/tokens/sealed-token.ts';

const place = { name: 'kf:key:{us-east-1/x}', field: 'record' };
const record = '{"schemaVersion":1}';
const ROUNDS = 30;

/** Frontends of a domain of two members. While `lies.now`, hsm-2 answers as `hostile` says. */
async function start(hostile: (domain: FakeDomain) => Partial<CommandHandlers>) {
  const host = newHost();
  const domain = new FakeDomain([host]);
  const lies = { now: false };
  const lying = hostile(domain);
  const mixed = Object.fromEntries(
    Object.entries(handlers).map(([name, honest]) => [
      name,
      (...args: never[]) => ((lies.now && lying[name as never]) || honest)(...(args as [never, never, never])),
    ]),
  ) as unknown as CommandHandlers;
  const workers = [new LoopbackWorker(domain, 'hsm-1', handlers), new LoopbackWorker(domain, 'hsm-2', mixed)];
  const { pool, ...rest } = await startLoopbackPool({ domain, host, workers });
  const events = { confirmed() {}, contradicted() {}, unconfirmed() {} };
  const { clock } = domain;
  const hsm = new HsmClient({
    hsm: pool,
    domainState: () => domain.state,
    isDomainOfOne: () => isOfOne(domain.state),
    refreshDomain: async () => {},
    clock,
    workers: 2,
    events,
  });
  const time = { ms: 0 };
  const frontend = (secrets: MemoryFleetSecrets) => {
    const keys = new FleetRecordKeys({ secrets, hsm, domain, clock, monotonicClock: { now: () => time.ms } });
    return { keys, macs: new RecordMacs(keys) };
  };
  return { domain, lies, time, frontend, [Symbol.asyncDispose]: rest[Symbol.asyncDispose] };
}

const opensWrongly = () => ({ OpenCredential: () => ({ secretAccessKey: Buffer.alloc(40, 'b') }) });

test('a member that opens the record key wrongly makes nobody write under another', async () => {
  await using fleet = await start(opensWrongly);
  const stores = Array.from({ length: ROUNDS }, () => new MemoryFleetSecrets());
  const honest = stores.map((secrets) => fleet.frontend(secrets).macs);
  for (const macs of honest) await macs.withMac(place, record);
  fleet.lies.now = true;
  const writing = stores.map((secrets) => fleet.frontend(secrets).macs.withMac(place, record));
  const written = await Promise.allSettled(writing);
  fleet.lies.now = false;
  for (const [index, outcome] of written.entries()) {
    if (outcome.status === 'rejected') continue;
    expect(await honest[index]!.verified(place, outcome.value.text)).toBe(record);
  }
});

test('a running frontend goes on with the record key that it knows, whatever a member says after a rotation', async () => {
  await using fleet = await start(opensWrongly);
  const secrets = new MemoryFleetSecrets();
  const frontends = Array.from({ length: ROUNDS }, () => fleet.frontend(secrets));
  for (const { macs } of frontends) await macs.withMac(place, record);
  fleet.lies.now = true;
  fleet.domain.change({ generation: 2 });
  fleet.time.ms += 5_000;
  for (const { macs } of frontends) {
    expect(await frontends[0]!.macs.verified(place, (await macs.withMac(place, record)).text)).toBe(record);
  }
});

test('a member that seals rubbish for a new record key ends no record', async () => {
  await using fleet = await start(({ keyring }) => ({
    GenerateCredential: (header) => {
      const forged = { ...keyring, active: { id: keyring.active.id, key: createSecretKey(randomBytes(32)) } };
      const secret = Buffer.alloc(40, 'a');
      return {
        secretAccessKey: secret,
        token: sealToken(CredentialToken, { header, secret }, { keyring: forged, nonce: randomBytes }),
      };
    },
  }));
  for (let round = 0; round < ROUNDS; round++) {
    const secrets = new MemoryFleetSecrets();
    const { keys, macs } = fleet.frontend(secrets);
    await macs.withMac(place, record);
    fleet.lies.now = true;
    await keys.makeNext();
    fleet.lies.now = false;
    const written = await macs.withMac(place, record);
    expect(await fleet.frontend(secrets).macs.verified(place, written.text)).toBe(record);
  }
});
