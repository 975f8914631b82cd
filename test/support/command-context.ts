import type { CommandContext } from '@keyfleet/hsm-worker/boundary/commands/command';
import { handlers } from '@keyfleet/hsm-worker/boundary/commands/handlers';
import { PoolTurns } from '@keyfleet/hsm-worker/boundary/crypto/pool-turns';
import type { Random } from '@keyfleet/hsm-worker/boundary/crypto/random';
import type { DomainKey } from '@keyfleet/hsm-worker/boundary/domain/domain-secrets';
import type { Keyring } from '@keyfleet/hsm-worker/boundary/domain/keyring';
import { BackingKeyCache } from '@keyfleet/hsm-worker/boundary/keys/backing-keys';
import type { RsaKeyPairs } from '@keyfleet/hsm-worker/boundary/keys/key-pair';
import { RsaKeyPool } from '@keyfleet/hsm-worker/boundary/keys/rsa-key-pool';
import { createHash, createSecretKey } from 'node:crypto';
import { commands, type CommandName, type InputOf, type OutputOf } from '@keyfleet/shared/hsm/commands';
import type { KeySpec, KeyUsage } from '@keyfleet/shared/key-specs';
import { nobleSignatures } from './noble-signatures.ts';

/** The context of a command, with known domain keys and a known stream of randomness. */

export function testDomainKey(name: string): DomainKey {
  const bytes = createHash('sha256').update(`domain key ${name}`).digest();
  return { id: bytes.toString('hex', 0, 16), key: createSecretKey(bytes) };
}

/** `deactivated`: the newest first. */
export function testKeyring(keys: { active: DomainKey; deactivated?: DomainKey[]; domain?: string }): Keyring {
  const all = [keys.active, ...(keys.deactivated ?? [])];
  return {
    domain: keys.domain ?? 'test',
    generation: all.length,
    active: keys.active,
    find: (id) => all.find((key) => key.id === id),
    madeIn: (id) => all.toReversed().findIndex((key) => key.id === id) + 1 || undefined,
    isRetired: () => false,
    countSealing: () => {},
    materialIdKey: createSecretKey(createHash('sha256').update('material id key').digest()),
  };
}

/** SHA-256 of a counter: the same bytes in every run. */
export function counterRandom(): Random {
  let counter = 0;
  return (length) => {
    const blocks: Buffer[] = [];
    for (let have = 0; have < length; have += 32) {
      blocks.push(createHash('sha256').update(`random ${counter++}`).digest());
    }
    return Buffer.concat(blocks).subarray(0, length);
  };
}

/** RSA key pairs that `take` gives; no work waits. */
export function takenBy(take: RsaKeyPairs['take']): RsaKeyPairs {
  return { take, inTurn: (_, work) => work() };
}

export function testContext(overrides: Partial<CommandContext> = {}): CommandContext {
  const clock = overrides.clock ?? { now: () => 0 };
  const random = counterRandom();
  return {
    keyring: testKeyring({ active: testDomainKey('1') }),
    backingKeys: new BackingKeyCache({ monotonicClock: clock, maxBytes: 64 << 20, maxAgeMs: 60_000 }),
    rsaKeyPairs: new RsaKeyPool({ 2048: 0, 3072: 0, 4096: 0 }),
    noble: { of: () => nobleSignatures },
    poolTurns: new PoolTurns(),
    clusters: new Map(),
    clock,
    random,
    nonce: random,
    ...overrides,
  };
}

/** Runs a command as a session does: input and output go through their wire form. */
export async function runCommand<N extends CommandName>(
  name: N,
  input: InputOf<N>,
  context: CommandContext,
): Promise<OutputOf<N>> {
  const command = commands[name];
  const handler = handlers[name] as (input: unknown, context: CommandContext) => unknown;
  const output = await handler(command.input.decode(command.input.encode(input as never)), context);
  return command.output.decode(command.output.encode(output as never)) as OutputOf<N>;
}

/** The key that tests make and use, unless they say otherwise. */
export const testKeyId = '0a1b2c3d-0000-4000-8000-00000000000a';
export const testAccount = '111122223333';

/** Makes a key; its token, and its public key if it has one. */
export function newTestKey(
  keySpec: KeySpec,
  keyUsage: KeyUsage,
  context: CommandContext,
): Promise<OutputOf<'GenerateBackingKey'>> {
  return runCommand('GenerateBackingKey', { keyId: testKeyId, account: testAccount, keySpec, keyUsage }, context);
}
