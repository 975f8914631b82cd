import { createHmac, randomBytes } from 'node:crypto';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { blobPrefixOf, parseBlobHeader } from '@keyfleet/shared/hsm/ciphertext-blob';
import { CredentialToken } from '@keyfleet/hsm-worker/boundary/tokens/stored-token';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { testDomainKey } from '../command-context.ts';
import { keySpecs } from '@keyfleet/shared/key-specs';
import { type HsmCommands, HsmRefusedError } from '@keyfleet/frontend/hsm/commands';

const PADDING = 28;
const TAG = 32;

interface FakeToken {
  readonly keyId: string;
  readonly materialId: string;
  readonly secret: string;
}

type Commands = { [N in CommandName]?: (input: InputOf<N>) => OutputOf<N> };

/** An HSM for tests of what calls one: it keeps tokens, keys and contexts apart, and hides nothing. */
export class FakeHsm implements HsmCommands {
  /** The name of every command it was given, in order. */
  readonly executed: CommandName[] = [];
  /** Hex ids of the backing keys that every worker was told to forget. */
  readonly evicted: string[] = [];
  /** While set, thrown instead of answers. */
  failure: Error | undefined;
  /** Whether no second member is in reach, which would confirm that a credential does not open. */
  isAlone = false;
  /** The domain key that its credentials name. */
  sealsUnder = testDomainKey('1').id;
  /** By their tokens. */
  readonly #credentials = new Map<string, Buffer>();

  readonly #commands: Commands = {
    GenerateBackingKey: ({ keyId, keySpec }) => {
      const materialId = randomBytes(32);
      const token = tokenOf({ keyId, materialId: materialId.toString('hex'), secret: randomBytes(16).toString('hex') });
      const { kind } = keySpecs[keySpec];
      const asymmetric = kind !== 'symmetric' && kind !== 'hmac';
      return { token, materialId, ...(asymmetric && { publicKey: Buffer.from(`public key of ${keyId}`) }) };
    },
    /** For any kind of key; only key pairs are asked for theirs. */
    DescribeBackingKey: ({ keyId, token }) => {
      const materialId = Buffer.from(openToken(token, keyId).materialId, 'hex');
      const publicKey = Buffer.from(`public key of ${keyId}`);
      return { materialId, keySpec: 'RSA_2048', keyUsage: 'SIGN_VERIFY', publicKey };
    },
    GenerateCredential: ({ accessKeyId, principal }) => {
      const secretAccessKey = Buffer.from(randomBytes(30).toString('base64'));
      return { secretAccessKey, token: this.#sealed({ accessKeyId, principal, secretAccessKey }) };
    },
    SealCredential: (credential) => ({ token: this.#sealed(credential) }),
    OpenCredential: ({ accessKeyId, token }) => {
      const name = Buffer.from(token).toString('hex');
      const secretAccessKey = Buffer.from(token).includes(accessKeyId) ? this.#credentials.get(name) : undefined;
      if (secretAccessKey === undefined) throw new HsmRefusedError('cannot-open', 'hsm-1', !this.isAlone);
      return { secretAccessKey: Buffer.from(secretAccessKey) };
    },
    EvictBackingKey: ({ materialId }) => {
      this.evicted.push(Buffer.from(materialId).toString('hex'));
      return {};
    },
    Encrypt: ({ keyId, token, algorithm, encryptionContext, plaintext }) => ({
      ciphertext: seal(openToken(token, keyId), { algorithm, encryptionContext, plaintext }),
    }),
    Decrypt: ({ keyId, token, algorithm, encryptionContext, ciphertext }) => ({
      plaintext: open(openToken(token, keyId), { algorithm, encryptionContext, ciphertext }),
    }),
    GenerateDataKey: ({ keyId, token, encryptionContext, length, withPlaintext }) => {
      const plaintext = randomBytes(length);
      const sealed = { algorithm: 'SYMMETRIC_DEFAULT', encryptionContext, plaintext };
      return { ciphertext: seal(openToken(token, keyId), sealed), ...(withPlaintext && { plaintext }) };
    },
  };

  /** With the header of an HSM's token. */
  #sealed({ accessKeyId, principal, secretAccessKey }: InputOf<'SealCredential'>): Buffer {
    const writer = new Writer();
    writer.bytes(CredentialToken.encode({ domain: 'test', domainKeyId: this.sealsUnder, accessKeyId, principal }));
    writer.raw(randomBytes(16));
    const token = writer.finish();
    this.#credentials.set(token.toString('hex'), Buffer.from(secretAccessKey));
    return token;
  }

  async execute<N extends CommandName>(command: N, input: InputOf<N>): Promise<OutputOf<N>> {
    this.executed.push(command);
    if (this.failure) throw this.failure;
    const run = this.#commands[command];
    if (!run) throw new Error(`the fake HSM has no ${command}`);
    return run(input);
  }

  async executeEverywhere<N extends CommandName>(command: N, input: InputOf<N>): Promise<void> {
    await this.execute(command, input);
  }
}

function tokenOf(token: FakeToken): Buffer {
  return Buffer.from(JSON.stringify(token));
}

function openToken(token: Uint8Array, keyId: string): FakeToken {
  const opened = JSON.parse(Buffer.from(token).toString()) as FakeToken;
  if (opened.keyId === keyId) return opened;
  throw new HsmRefusedError('damaged-token');
}

interface Binding {
  readonly algorithm: string;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

function seal(token: FakeToken, { plaintext, ...binding }: Binding & { plaintext: Uint8Array }): Buffer {
  const materialId = Buffer.from(token.materialId, 'hex');
  const prefix =
    binding.algorithm === 'SYMMETRIC_DEFAULT' ? blobPrefixOf({ keyId: token.keyId, materialId }) : Buffer.of();
  const body = Buffer.concat([prefix, randomBytes(PADDING), plaintext]);
  return Buffer.concat([body, tagOf(token, binding, body)]);
}

function open(token: FakeToken, { ciphertext, ...binding }: Binding & { ciphertext: Uint8Array }): Buffer {
  const blob = Buffer.from(ciphertext);
  const body = blob.subarray(0, -TAG);
  if (!tagOf(token, binding, body).equals(blob.subarray(-TAG))) refuse();
  const start =
    binding.algorithm === 'SYMMETRIC_DEFAULT' ? blobPrefixOf(parseBlobHeader(blob)).length + PADDING : PADDING;
  return body.subarray(start);
}

function tagOf({ secret }: FakeToken, { algorithm, encryptionContext }: Binding, body: Uint8Array): Buffer {
  const context = Object.entries(encryptionContext).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHmac('sha256', secret)
    .update(JSON.stringify([algorithm, context]))
    .update(body)
    .digest();
}

function refuse(): never {
  throw new HsmRefusedError('cannot-open');
}
