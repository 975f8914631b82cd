import { createHmac, generateKeySync } from 'node:crypto';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { isKeyId } from '@keyfleet/shared/ids';
import { ivLength } from '@keyfleet/shared/encoding/aead';
import type { Caller } from '../caller.ts';
import { RefusedError } from '../errors.ts';
import type { Cluster, Login } from '../pkcs11/cluster.ts';
import type { TokenWork } from '../pkcs11/token-process-main.ts';
import type { EncryptedInToken } from '../pkcs11/token-session.ts';
import { CredentialToken } from '../tokens/stored-token.ts';
import { openToken } from '../tokens/sealed-token.ts';
import type { CommandContext, CommandHandler } from './command.ts';

export const checkCluster: CommandHandler<'CheckCluster'> = ({ trustAnchor, ...names }, context) => {
  const { options } = clusterOf(names, context);
  if (Buffer.compare(options.trustAnchor, trustAnchor) !== 0) throw new RefusedError('incorrect-trust-anchor');
  return {};
};

export const connectCluster: CommandHandler<'ConnectCluster'> = async (input, context) => {
  await withLogin(input, context, (cluster, login) => cluster.connect(login));
  return {};
};

export const disconnectCluster: CommandHandler<'DisconnectCluster'> = (input, context) => {
  clusterOf(input, context).disconnect();
  return {};
};

export const generateClusterKey: CommandHandler<'GenerateClusterKey'> = async (input, context, caller) => {
  await use(input, context, { name: 'generateKey', label: labelOf(input) }, caller);
  return {};
};

export const destroyClusterKey: CommandHandler<'DestroyClusterKey'> = async (input, context, caller) => {
  await use(input, context, { name: 'destroyKey', label: labelOf(input) }, caller);
  return {};
};

export const encryptInCluster: CommandHandler<'EncryptInCluster'> = async (input, context, caller) => {
  const { associatedData, plaintext } = input;
  const work = {
    name: 'encrypt',
    label: labelOf(input),
    iv: context.nonce(ivLength),
    associatedData,
    plaintext,
  } as const;
  return (await use(input, context, work, caller)) as EncryptedInToken;
};

export const decryptInCluster: CommandHandler<'DecryptInCluster'> = async (input, context, caller) => {
  const { associatedData, iv, ciphertext, tag } = input;
  const work = { name: 'decrypt', label: labelOf(input), associatedData, iv, ciphertext, tag } as const;
  return { plaintext: (await use(input, context, work, caller)) as Uint8Array };
};

/** A module whose output is less random than it claims, or that leaks it, makes no difference. */
export const generateRandomInCluster: CommandHandler<'GenerateRandomInCluster'> = async (input, context, caller) => {
  const { length } = input;
  const made = (await use(input, context, { name: 'generateRandom', length }, caller)) as Uint8Array;
  if (made.length !== length) throw new RefusedError('cluster-away');
  const bytes = context.random(length);
  for (let i = 0; i < length; i++) bytes[i]! ^= made[i]!;
  return { bytes };
};

/** The user's other keys, of which one may seal a worker's identity, have labels of other forms. */
function labelOf({ keyId }: { readonly keyId: string }): string {
  if (!isKeyId(keyId)) throw new RefusedError('invalid-input');
  return keyId;
}

type ClusterNames = Pick<InputOf<'ConnectCluster'>, 'clusterId' | 'account' | 'region'>;

function clusterOf({ clusterId, account, region }: ClusterNames, { clusters }: Pick<CommandContext, 'clusters'>) {
  const cluster = clusters.get(clusterId);
  const isTheirs = cluster?.options.accountId === account && cluster.options.region === region;
  if (cluster === undefined || !isTheirs) throw new RefusedError('no-cluster');
  return cluster;
}

function use(
  input: InputOf<'ConnectCluster'>,
  context: CommandContext,
  work: TokenWork,
  caller: Caller | undefined,
): Promise<unknown> {
  return withLogin(input, context, (cluster, login) => cluster.use(login, work, caller));
}

async function withLogin<T>(
  { principal, token, ...names }: InputOf<'ConnectCluster'>,
  context: CommandContext,
  then: (cluster: Cluster, login: Login) => Promise<T>,
): Promise<T> {
  const cluster = clusterOf(names, context);
  const { header, secret } = openToken(CredentialToken, token, context.keyring);
  try {
    if (header.accessKeyId !== names.clusterId || header.principal !== principal) throw new RefusedError('cannot-open');
    return await then(cluster, { id: idOf(secret), password: secret });
  } finally {
    secret.fill(0);
  }
}

/** This process's own. */
const loginKey = generateKeySync('hmac', { length: 256 });

/** Of the password and not of its token, which each resealing replaces. Says nothing outside this process. */
function idOf(password: Uint8Array): string {
  return createHmac('sha256', loginKey).update(password).digest('hex');
}
