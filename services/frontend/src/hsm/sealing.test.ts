import { openExportedKey } from '@keyfleet/hsm-worker/boundary/tokens/exported-key-token';
import { sealToken } from '@keyfleet/hsm-worker/boundary/tokens/sealed-token';
import { type DomainState, isOfOne } from '@keyfleet/shared/domain/state';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { ExportedKeyToken, ExportedKeyTokenV1 } from '@keyfleet/shared/hsm/exported-key-token';
import { testAccount as account, testContext, testKeyId as keyId } from '@keyfleet/test-support/command-context';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { HsmRefusedError, type MemberAnswer, HsmUnavailableError, type MemberCommands } from './commands.ts';
import { ConfirmedSealing } from './sealing.ts';

type Lie = <N extends CommandName>(name: N, output: OutputOf<N>) => object;

/**
 * Members of one domain, asked in this order. They answer as a real HSM does, and each then changes the answer as it
 * likes.
 */
class Members implements MemberCommands {
  readonly asked: string[] = [];
  /** How long others were waited for, in milliseconds. */
  readonly waits: number[] = [];
  readonly #hsm = new LocalHsm();
  readonly #lies: Record<string, Lie | undefined>;
  readonly #connects: Readonly<Record<string, Lie | undefined>>;
  /** Called while others are waited for. */
  onWait = (): void => {};

  /** `connects`: once others are waited for. */
  constructor(lies: Readonly<Record<string, Lie | undefined>>, connects: Readonly<Record<string, Lie | undefined>>) {
    this.#lies = { ...lies };
    this.#connects = connects;
  }
  async execute<N extends CommandName>(name: N, input: InputOf<N>): Promise<OutputOf<N>> {
    return (await this.executeByMember(name, input)).output;
  }
  async executeByMember<N extends CommandName>(
    name: N,
    input: InputOf<N>,
    _deadline?: number,
    notBy: ReadonlySet<string> = new Set(),
  ): Promise<MemberAnswer<N>> {
    const memberId = Object.keys(this.#lies).find((id) => !notBy.has(id));
    if (memberId === undefined) throw new HsmUnavailableError('nobody-else');
    this.asked.push(`${memberId} ${name}`);
    const lie = this.#lies[memberId];
    try {
      const output = await this.#hsm.execute(name, input);
      return { memberId, output: { ...output, ...lie?.(name, output) } };
    } catch (error) {
      throw error instanceof HsmRefusedError ? new HsmRefusedError(error.refusal, memberId) : error;
    }
  }
  async executeEverywhere(): Promise<void> {}
  async connects(ms: number): Promise<boolean> {
    this.waits.push(ms);
    this.onWait();
    const isNew = Object.keys(this.#connects).some((id) => !(id in this.#lies));
    Object.assign(this.#lies, this.#connects);
    return isNew;
  }
}

const honest = undefined;
/** A sealed secret other than the one asked for. */
const rubbish: Lie = (_name, output) => ('token' in output ? { token: randomBytes(200) } : {});
/** The same key in a token that binds less, or says another origin. */
const sealedAgain =
  (seal: typeof asVersion1): Lie =>
  (name, output) =>
    name === 'GenerateBackingKey' && 'token' in output ? { token: seal(output.token) } : {};
const context = testContext({ nonce: randomBytes });
function asVersion1(token: Uint8Array): Buffer {
  const { header, secret } = openExportedKey(token, context.keyring);
  const { account: _, ...rest } = header;
  return sealToken(ExportedKeyTokenV1, { header: rest, secret }, context);
}
function asImported(token: Uint8Array): Buffer {
  const { header, secret } = openExportedKey(token, context.keyring);
  return sealToken(ExportedKeyToken, { header: { ...header, account, origin: 'EXTERNAL' }, secret }, context);
}
const denying: Lie = (name) => {
  if (name === 'CheckBackingKey') throw new HsmRefusedError('cannot-open');
  return {};
};

function start(
  lies: Record<string, Lie | undefined>,
  options: {
    workers?: number;
    members?: string[];
    offline?: string[];
    connects?: Record<string, Lie | undefined>;
  } = {},
) {
  const hsm = new Members(lies, options.connects ?? {});
  const events: string[] = [];
  let members = (options.members ?? ['a', 'b', 'c']).map((memberId) => ({
    memberId,
    offline: options.offline?.includes(memberId) === true,
  }));
  const remove = (id: string): void => void (members = members.filter(({ memberId }) => memberId !== id));
  const commands = new ConfirmedSealing({
    hsm,
    domainState: () => ({ members }) as unknown as DomainState,
    isDomainOfOne: () => isOfOne({ members } as unknown as DomainState),
    clock: { now: () => 0 },
    workers: options.workers ?? 3,
    events: {
      confirmed: () => events.push('confirmed'),
      contradicted: (name, maker, witness) => events.push(`${witness} contradicts ${maker}: ${name}`),
      unconfirmed: (name, maker) => events.push(`only ${maker}: ${name}`),
    },
  });
  const newKey = { keyId, account, keySpec: 'ECC_NIST_P256', keyUsage: 'SIGN_VERIFY' } as const;
  return {
    hsm,
    events,
    commands,
    remove,
    make: (deadline = 5_000, known: string[] = []) => commands.execute('GenerateBackingKey', newKey, deadline, known),
  };
}

async function opens({ hsm }: ReturnType<typeof start>, token: Uint8Array): Promise<boolean> {
  const described = await hsm.execute('DescribeBackingKey', { keyId, account, token });
  return described.keyUsage === 'SIGN_VERIFY';
}

test('a new key is given out once another member has opened it', async () => {
  const frontend = start({ a: honest, b: honest });
  const { token } = await frontend.make();
  expect(frontend.hsm.asked).toEqual(['a GenerateBackingKey', 'b CheckBackingKey']);
  expect(frontend.events).toEqual(['confirmed']);
  expect(await opens(frontend, token)).toBe(true);
});

test.each<[string, Lie]>([
  ['rubbish for a token', rubbish],
  ['another public key', (_name, output) => ('publicKey' in output ? { publicKey: randomBytes(91) } : {})],
  ['no public key', (_name, output) => ('publicKey' in output ? { publicKey: undefined } : {})],
  ['a token of version 1', sealedAgain(asVersion1)],
  ['a token that says another origin', sealedAgain(asImported)],
  ['another material id', (_name, output) => ('materialId' in output ? { materialId: randomBytes(32) } : {})],
])('a member that answers %s is found out, and another makes the key', async (_what, lie) => {
  const frontend = start({ a: lie, b: honest, c: honest });
  const { token } = await frontend.make();
  expect(await opens(start({ z: honest }), token)).toBe(true);
  expect(frontend.events.at(-1)).toBe('confirmed');
  expect(frontend.hsm.asked).toContain('b GenerateBackingKey');
});

test('a member that denies what is true harms nobody where there is a third', async () => {
  const frontend = start({ a: honest, b: denying, c: honest });
  await frontend.make();
  expect(frontend.events).toEqual(['b contradicts a: GenerateBackingKey', 'confirmed']);
});

test('a member that answers with a key that is known already is found out, also where there is no witness', async () => {
  const first = await start({ a: honest, b: honest }).make();
  const known = [Buffer.from(first.materialId).toString('hex')];
  const again: Lie = (name) => (name === 'GenerateBackingKey' ? first : {});
  const frontend = start({ a: again, b: honest, c: honest });
  const made = await frontend.make(5_000, known);
  expect(known).not.toContain(Buffer.from(made.materialId).toString('hex'));
  expect(frontend.events).toEqual(['a contradicts a: GenerateBackingKey', 'confirmed']);
  await expect(start({ a: again }).make(5_000, known)).rejects.toMatchObject({ reason: 'unconfirmed' });
});

test('a member of an earlier release, which would only try a new key, confirms none', async () => {
  const earlier: Lie = (name) => {
    if (name === 'CheckBackingKey') throw new HsmRefusedError('invalid-input');
    return {};
  };
  const frontend = start({ a: honest, b: earlier, c: honest });
  await frontend.make();
  expect(frontend.hsm.asked).toEqual(['a GenerateBackingKey', 'b CheckBackingKey', 'c CheckBackingKey']);
  await expect(start({ a: earlier, b: earlier }).make()).rejects.toMatchObject({ reason: 'unconfirmed' });
});

test('an unconfirmed finding is given to nobody', async () => {
  const hostile: Lie = (name, output) => ({ ...denying(name, output), ...rubbish(name, output) });
  const frontend = start({ a: hostile, b: honest });
  await expect(frontend.make()).rejects.toMatchObject({ reason: 'unconfirmed' });
  expect(frontend.events).toHaveLength(2);
});

test.each([
  ['a former', { members: ['b', 'c'] }],
  ['an offline', { offline: ['a'] }],
])('%s member neither makes nor confirms', async (_what, options) => {
  const frontend = start({ a: honest, b: honest, c: honest }, options);
  await frontend.make();
  expect(frontend.hsm.asked).toEqual([
    'a GenerateBackingKey',
    'b GenerateBackingKey',
    'a CheckBackingKey',
    'c CheckBackingKey',
  ]);
});

test('a member whose channel has just ended is waited for: what another seals meanwhile is not believed', async () => {
  const frontend = start({ a: rubbish }, { connects: { b: honest, c: honest } });
  const { token } = await frontend.make();
  expect(await opens(start({ z: honest }), token)).toBe(true);
  expect(frontend.events).toEqual([
    'b contradicts a: GenerateBackingKey',
    'c contradicts a: GenerateBackingKey',
    'confirmed',
  ]);
});

test('a member that is removed while others are waited for is not believed alone', async () => {
  const frontend = start({ a: rubbish });
  frontend.hsm.onWait = () => frontend.remove('a');
  await expect(frontend.make()).rejects.toMatchObject({ reason: 'unconfirmed' });
  expect(frontend.events).toEqual([]);
});

test('a new key is not refused for want of a second member in reach, but said to be unconfirmed', async () => {
  const frontend = start({ a: honest });
  await frontend.make();
  expect(frontend.events).toEqual(['only a: GenerateBackingKey']);
  expect(frontend.hsm.waits).toEqual([expect.toSatisfy((ms: number) => ms > 0 && ms <= 1_000)]);
});

test('a second member is not waited for beyond the time of the command, and the lone one not believed for that', async () => {
  for (const [deadline, waits] of [
    [300, [300]],
    [0, []],
  ] as const) {
    const frontend = start({ a: honest });
    await expect(frontend.make(deadline)).rejects.toThrow('timed out: no HSM answered');
    expect(frontend.hsm.waits).toEqual(waits);
    expect(frontend.events).toEqual([]);
  }
});

test.each([
  [{ members: ['a'] }, []],
  [{ members: ['a', 'safe-1'], offline: ['safe-1'] }, []],
  // It may be one address of a fleet, and then a hostile member makes and reseals what it likes.
  [{ workers: 1 }, ['only a: GenerateBackingKey', 'only a: ResealToken']],
])(
  'a member that has no other to be asked is believed, and that is said if the domain has others: %o',
  async (options, said) => {
    const frontend = start({ a: honest }, options);
    const { token } = await frontend.make();
    expect((await frontend.commands.execute('ResealToken', { token, account }, 0)).token).toEqual(token);
    expect(frontend.events).toEqual(said);
    expect(frontend.hsm.waits).toEqual([]);
  },
);

test('resealing waits for a second member, and is confirmed against what it replaces', async () => {
  const { token } = await start({ a: honest, b: honest }).make();
  const alone = start({ a: honest });
  await expect(alone.commands.execute('ResealToken', { token, account }, 0)).rejects.toMatchObject({
    reason: 'nobody-else',
  });
  const two = start({ a: honest, b: honest });
  await two.commands.execute('ResealToken', { token, account }, 0);
  expect(two.hsm.asked).toEqual(['a ResealToken', 'b CheckToken']);
  const liar = start({ a: rubbish, b: honest });
  await expect(liar.commands.execute('ResealToken', { token, account }, 0)).resolves.toEqual({ token });
  expect(liar.events).toEqual(['b contradicts a: ResealToken', 'confirmed']);
});

test('the secret of an access key is the one that its token holds', async () => {
  const owner = { accessKeyId: 'AKIDEXAMPLE', principal: 'arn:aws:iam::000000000000:user/a' };
  const other: Lie = (name) => (name === 'GenerateCredential' ? { secretAccessKey: 'a'.repeat(40) } : {});
  const frontend = start({ a: other, b: honest });
  const { secretAccessKey, token } = await frontend.commands.execute('GenerateCredential', owner, 0);
  expect(frontend.events).toEqual(['b contradicts a: GenerateCredential', 'confirmed']);
  expect(await frontend.hsm.execute('OpenCredential', { ...owner, token })).toEqual({ secretAccessKey });
});

/** An import, and what a maker answers that seals material of its own instead. */
async function newImport() {
  const hsm = new LocalHsm();
  const of = {
    keyId,
    account,
    region: 'us-east-1',
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
  } as const;
  const wrapping = { wrappingAlgorithm: 'RSAES_OAEP_SHA_256', wrappingKeySpec: 'RSA_2048' } as const;
  const { importToken, publicKey } = await hsm.execute('GenerateImportKey', { ...of, ...wrapping });
  const input = {
    ...of,
    importToken,
    encryptedMaterial: wrapMaterial('RSAES_OAEP_SHA_256', publicKey, randomBytes(32)),
  };
  const own = await hsm.execute('ImportBackingKey', {
    ...input,
    encryptedMaterial: wrapMaterial('RSAES_OAEP_SHA_256', publicKey, randomBytes(32)),
  });
  return { input, own };
}

test('imported material is unwrapped by another member as well: a maker that seals its own instead is found out', async () => {
  const { input, own } = await newImport();
  const lie: Lie = (name) => (name === 'ImportBackingKey' ? own : {});
  const { commands, events } = start({ a: lie, b: honest, c: honest });
  const made = await commands.execute('ImportBackingKey', input, 0);
  expect(Buffer.from(made.materialId).equals(own.materialId)).toBe(false);
  expect(events).toEqual([
    'b contradicts a: ImportBackingKey',
    'c contradicts a: ImportBackingKey',
    'a contradicts b: ImportBackingKey',
    'confirmed',
  ]);
});

const ofInput = ['expired-import-token', 'invalid-import-token', 'incorrect-material'] as const;

describe.each(ofInput)('a witness that says %s', (refusal) => {
  const refusing: Lie = (name) => {
    if (name === 'ImportBackingKey') throw new HsmRefusedError(refusal);
    return {};
  };

  test('contradicts nobody, and another is asked', async () => {
    const { input } = await newImport();
    const { commands, events } = start({ a: honest, b: refusing, c: honest });
    await commands.execute('ImportBackingKey', input, 0);
    expect(events).toEqual(['confirmed']);
  });

  test('confirms nothing: where there is no other, its refusal is the answer', async () => {
    const { input, own } = await newImport();
    for (const maker of [honest, (() => own) satisfies Lie]) {
      const { commands, events } = start({ a: maker, b: refusing });
      await expect(commands.execute('ImportBackingKey', input, 0)).rejects.toMatchObject({ refusal });
      expect(events).toEqual([]);
    }
  });
});
