import { refusalOf, TestClock } from '@keyfleet/test-support/domain';
import { checkedBy } from '@keyfleet/test-support/token-verdict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unwrapDkek, wrapDkek } from '@keyfleet/hsm-worker/boundary/domain/wrapped-dkek';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { openIdentity, wrappedSealKeyOf } from '@keyfleet/hsm-worker/boundary/identity';
import { SealKeyContext } from '@keyfleet/hsm-worker/boundary/pkcs11/token-seal-key';
import { open as openSealed } from '@keyfleet/shared/encoding/aead';
import { openOfflineMember } from '@keyfleet/hsm-worker/boundary/offline-member';
import { newSealKey } from '@keyfleet/hsm-worker/boundary/seal-key';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import {
  encodeDomainChange,
  type NewDomainChange,
  parseDomainChange,
  parseProposal,
} from '@keyfleet/shared/domain/proposal';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import { verifySignatures } from '@keyfleet/shared/domain/quorum';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { describe, expect, test } from 'vitest';

interface TokenVectors {
  readonly trustAnchor: object;
  readonly sealKey: string;
  readonly member: { readonly memberId: string; readonly sealedIdentity: string };
  readonly tokens: readonly string[];
  readonly newest: {
    readonly generation: number;
    readonly hash: string;
    readonly domainKeys: readonly { readonly id: string; readonly key: string }[];
    readonly materialIdKey: string;
  };
  /** A token is an index into `tokens`, or base64. */
  readonly cases: readonly {
    readonly name: string;
    readonly tokens: readonly (number | string)[];
    readonly expect: string;
    readonly member?: string;
  }[];
}

interface Described {
  readonly memberId: string;
  readonly signingKey: string;
  readonly agreementKey: string;
  /** From version 2 on. */
  readonly encapsulationKey?: string;
}

interface WrappingVectors {
  readonly sealKey: string;
  readonly sealedIdentity: string;
  readonly state: Pick<DomainState, 'version' | 'domain' | 'generation'>;
  readonly dkek: string;
  readonly wrapped: readonly { readonly encapsulated?: string }[];
}

interface IdentityVectors {
  readonly trustAnchor: object;
  readonly worker: Described & { readonly sealKey: string; readonly sealedIdentity: string };
  readonly newestToken: string;
  readonly olderToken: string;
  readonly offline: Described & { readonly passphrase: string; readonly file: string };
}

interface CommandVectors {
  readonly signer: { readonly operatorId: string; readonly signingKey: string };
  readonly commands: readonly {
    readonly name: string;
    readonly json: {
      readonly domain: string;
      readonly generation: number;
      readonly name: string;
      readonly body: object;
    };
    readonly command: string;
    readonly proposal: string;
  }[];
}

interface RemovalVectors {
  readonly trustAnchor: object;
  readonly tokens: readonly string[];
  /** Of the last token. */
  readonly command: string;
  readonly json: object;
}

const versions = [
  { version: 1, suffix: '' },
  { version: 2, suffix: '-2' },
  { version: 3, suffix: '-3' },
];

function load<T>(name: string): T & { anchor: ReturnType<typeof parseTrustAnchor> } {
  const vectors = JSON.parse(readFileSync(join(import.meta.dirname, 'kms', `${name}.json`), 'utf8')) as T & {
    trustAnchor?: object;
  };
  const anchor = vectors.trustAnchor && parseTrustAnchor(JSON.stringify(vectors.trustAnchor));
  return { ...vectors, anchor: anchor! };
}

const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64');
const clock = new TestClock();
// After everything in the vectors.
clock.advance(365 * 86_400_000);
const surroundings = { clock, random: randomBytes };

describe.each(versions)('domain tokens of version $version', ({ suffix }) => {
  const { anchor, sealKey, member, tokens, newest, cases } = load<TokenVectors>(`domain-tokens${suffix}`);
  const candidate = () =>
    new Hsm({
      memberId: member.memberId,
      anchor,
      sealKey: newSealKey(bytesOf(sealKey), randomBytes),
      sealedIdentity: bytesOf(member.sealedIdentity),
      ...surroundings,
    });

  test.each(cases)('$name: $expect', ({ tokens: refs, expect: chain, member: byMember = chain }) => {
    const given = refs.map((ref) => bytesOf(typeof ref === 'number' ? tokens[ref]! : ref));
    expect(refusalOf(() => verifyChain(anchor, given))).toBe(chain);
    expect(refusalOf(() => candidate().install(given))).toBe(byMember);
  });

  test('the newest token holds these keys', () => {
    const hsm = candidate();
    hsm.install(tokens.map(bytesOf));
    expect(hsm.describe()).toMatchObject({ generation: newest.generation, tokenHash: bytesOf(newest.hash) });
    const { secrets } = hsm.installed!;
    expect(secrets.domainKeys.map(({ id, key }) => ({ id, key: key.export().toString('base64') }))).toEqual(
      newest.domainKeys,
    );
    expect(secrets.materialIdKey.export().toString('base64')).toBe(newest.materialIdKey);
  });
});

test('a witnessed token is its label, the token as it was made, and its witness', () => {
  const { tokens, newest } = load<TokenVectors>('domain-tokens-3');
  const { made, witness, hash } = parseToken(bytesOf(tokens.at(-1)!));
  expect(hash).toEqual(bytesOf(newest.hash));
  const parts = [Buffer.from('keyfleet/witnessed-domain-token/1'), made, witness!].flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  expect(Buffer.concat(parts).toString('base64')).toBe(tokens.at(-1));
  // Those of older versions had none.
  for (const { suffix } of versions.slice(0, 2)) {
    const older = load<TokenVectors>(`domain-tokens${suffix}`).tokens.map((token) => parseToken(bytesOf(token)));
    expect(older.filter((token) => token.witness !== undefined)).toEqual([]);
  }
});

test('a member confirms no token whose wrapped keys are random: it could not tell what they hold for the others', () => {
  const { anchor, sealKey, member, tokens } = load<TokenVectors>('domain-tokens-2');
  const sealedIdentity = bytesOf(member.sealedIdentity);
  const options = { memberId: member.memberId, anchor, sealKey: newSealKey(bytesOf(sealKey), randomBytes) };
  const hsm = new Hsm({ ...options, sealedIdentity, ...surroundings });
  hsm.install(tokens.slice(0, -1).map(bytesOf));
  expect(() => checkedBy(hsm, bytesOf(tokens.at(-1)!))).toThrow('hsm-1 lies, or had an older release');
});

test('a wrapped DKEK has these bytes, and opens', () => {
  const { sealKey, sealedIdentity, dkek, state, wrapped } = load<WrappingVectors>('domain-wrapped-dkeks');
  const { identity } = openIdentity(bytesOf(sealedIdentity), newSealKey(bytesOf(sealKey), randomBytes));
  const { memberId, signingKey, agreementKey, encapsulationKey } = identity;
  for (const one of wrapped) {
    const member = {
      memberId,
      signingKey,
      agreementKey,
      ...(one.encapsulated && { encapsulationKey: encapsulationKey! }),
    };
    const made = wrapDkek(bytesOf(dkek), member, state as DomainState);
    expect(inBase64(made)).toEqual(one);
    expect(unwrapDkek({ wrappedKeys: [made], state } as unknown as DomainToken, identity)).toEqual(bytesOf(dkek));
  }
});

describe.each(versions)('identities at rest of version $version', ({ suffix }) => {
  const { anchor, worker, offline, newestToken, olderToken } = load<IdentityVectors>(`domain-identities${suffix}`);
  const open = (sealedIdentity: Uint8Array) =>
    new Hsm({
      memberId: worker.memberId,
      anchor,
      sealKey: newSealKey(bytesOf(worker.sealKey), randomBytes),
      sealedIdentity,
      ...surroundings,
    });

  test('a worker comes back as who it was, with its newest token and with no older one', () => {
    const hsm = open(bytesOf(worker.sealedIdentity));
    expectKeys(hsm, worker);
    expect(refusalOf(() => hsm.install([bytesOf(olderToken)]))).toBe('rolled-back');
    hsm.install([bytesOf(newestToken)]);
    expect(hsm.keyring()).toBeDefined();
    expectKeys(open(hsm.sealedIdentity()), worker);
  });

  test('an offline member opens under its passphrase', () => {
    const { hsm } = openOfflineMember(bytesOf(offline.file), {
      anchor,
      passphrase: offline.passphrase,
      ...surroundings,
    });
    expectKeys(hsm, offline);
  });

  function expectKeys(hsm: Hsm, { memberId, signingKey, agreementKey, encapsulationKey }: Described): void {
    expect(hsm.describe()).toMatchObject({
      memberId,
      signingKey: bytesOf(signingKey),
      agreementKey: bytesOf(agreementKey),
    });
    expect(hsm.describe().encapsulationKey).toEqual(encapsulationKey && bytesOf(encapsulationKey));
  }
});

test.each([2, 3])('an identity of version %i remembers the token that its member made', (version) => {
  const vectors = load<IdentityVectors & { prepared: string }>(`domain-identities-${version}`);
  const { sealedIdentity, sealKey } = vectors.worker;
  const { memory } = openIdentity(bytesOf(sealedIdentity), newSealKey(bytesOf(sealKey), randomBytes));
  expect(memory.prepared).toEqual(bytesOf(vectors.prepared));
});

test('an identity of a token opens with what the key in the token brings back', () => {
  const vectors =
    load<Record<'memberId' | 'tokenKey' | 'sealKey' | 'sealedIdentity' | 'signingKey', string>>(
      'token-sealed-identity',
    );
  const file = bytesOf(vectors.sealedIdentity);
  const wrapped = wrappedSealKeyOf(file)!;
  const associatedData = SealKeyContext.encode(vectors);
  const brought = openSealed({ key: bytesOf(vectors.tokenKey), iv: wrapped.iv, associatedData }, wrapped);
  expect(brought).toEqual(bytesOf(vectors.sealKey));
  const sealKey = newSealKey(brought, randomBytes, wrapped);
  const { identity, memory } = openIdentity(file, sealKey);
  expect(identity.signingKey).toEqual(bytesOf(vectors.signingKey));
  expect(wrappedSealKeyOf(identity.seal(sealKey, memory))).toEqual(wrapped);
});

describe.each(versions)('domain commands of version $version', ({ version, suffix }) => {
  const { signer, commands } = load<CommandVectors>(`domain-commands${suffix}`);
  const known = [{ operatorId: signer.operatorId, signingKey: bytesOf(signer.signingKey) }];

  test.each(commands)('$name has these bytes and this signature', ({ json, command, proposal }) => {
    const { version: parsedVersion, ...parsed } = parseDomainChange(bytesOf(command));
    expect(parsedVersion).toBe(version);
    // The first releases' command to modify operators removes a service host and keeps the domain keys.
    const keepsDomainKeys = version < 3 && json.name === 'ModifyOperators';
    const body = keepsDomainKeys ? { ...json.body, keepsDomainKeys } : json.body;
    const unnamed = version === 1 && { previousHash: '', preparer: '' };
    expect(inBase64(parsed)).toEqual({ unwitnessed: false, ...json, ...unnamed, body });
    // What is old is read, and no more written.
    if (version === 3) expect(encodeDomainChange(parsed as NewDomainChange).toString('base64')).toBe(command);
    expect(verifySignatures(known, parseProposal(bytesOf(proposal)))).toEqual(known);
  });
});

describe('the removal of a service host', () => {
  const { anchor, tokens, command, json } = load<RemovalVectors>('domain-host-removal');

  test('has these bytes', () => {
    const { version: _, ...parsed } = parseDomainChange(bytesOf(command));
    expect(inBase64(parsed)).toEqual({ ...json, unwitnessed: false });
  });

  test('made a domain key that is from after it', () => {
    const { state } = verifyChain(anchor, tokens.map(bytesOf));
    expect(state.operators.filter(({ role }) => role === 'service-host')).toEqual([]);
    expect(state.domainKeys).toMatchObject([{ afterRemoval: false }, { createdGeneration: 2, afterRemoval: true }]);
  });
});

function inBase64(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, field: unknown) => {
      const isBytes = typeof field === 'object' && field !== null && 'type' in field && field.type === 'Buffer';
      return isBytes ? Buffer.from((field as unknown as { data: number[] }).data).toString('base64') : field;
    }),
  );
}
