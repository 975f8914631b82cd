import { type Clock, monotonicClock } from '@keyfleet/shared/clock';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import type { Scope } from '@keyfleet/shared/stored/names';
import { nameOfCluster } from '../hsm/cluster-holders.ts';
import { type HsmCommands, HsmRefusedError, HsmUnavailableError } from '../hsm/commands.ts';
import { type ClusterAccess, principalOfStore } from '../key-stores/key-store.ts';
import { Breakers } from '../xks/breaker.ts';
import type { ClusterBlob } from './cluster-blob.ts';

/** A custom key store's cluster, as commands use it. */
export interface ClusterOf extends Scope {
  readonly storeId: string;
  readonly cluster: ClusterAccess;
}

/** Why a cluster did not do what was asked of it. */
export class ClusterError extends Error {
  override name = 'ClusterError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(`the cluster refused: ${refusal}`, options);
    this.refusal = refusal;
  }
}

type ClusterCommands = Pick<HsmCommands, 'execute' | 'executeEverywhere'>;

type ClusterCommand =
  | 'ConnectCluster'
  | 'GenerateClusterKey'
  | 'EncryptInCluster'
  | 'DecryptInCluster'
  | 'DestroyClusterKey'
  | 'GenerateRandomInCluster'
  | 'GenerateRandomInClusterForRecipient';

/**
 * Uses CloudHSM clusters through the hsm-workers that have them. Each cluster has its own breaker, so one that hangs
 * costs the others nothing. Every method throws ClusterError.
 */
export class Clusters {
  readonly #hsm: ClusterCommands;
  readonly #breakers: Breakers;

  constructor({ hsm, clock = monotonicClock }: { hsm: ClusterCommands; clock?: Clock }) {
    this.#hsm = hsm;
    this.#breakers = new Breakers(clock);
  }

  /** Throws unless the cluster can be used for a key store. `trustAnchor`: DER. */
  async check(
    { accountId: account, region }: Scope,
    { clusterId, trustAnchor }: { clusterId: string; trustAnchor: Uint8Array },
    deadline: number,
  ): Promise<void> {
    await this.#execute('CheckCluster', { clusterId, account, region, trustAnchor }, deadline);
  }

  async connect(of: ClusterOf, deadline: number): Promise<void> {
    await this.#use('ConnectCluster', of, loginOf(of), deadline);
  }

  /** Has every hsm-worker log out. One that is out of reach stays logged in, and unused. */
  async disconnect({ accountId: account, region, cluster }: ClusterOf, deadline: number): Promise<void> {
    await this.#hsm.executeEverywhere('DisconnectCluster', { clusterId: cluster.clusterId, account, region }, deadline);
  }

  async generateKey(of: ClusterOf, keyId: string, deadline: number): Promise<void> {
    await this.#use('GenerateClusterKey', of, { ...loginOf(of), keyId }, deadline);
  }

  async destroyKey(of: ClusterOf, keyId: string, deadline: number): Promise<void> {
    await this.#use('DestroyClusterKey', of, { ...loginOf(of), keyId }, deadline);
  }

  async generateRandom(of: ClusterOf, length: number, deadline: number): Promise<Uint8Array> {
    return (await this.#use('GenerateRandomInCluster', of, { ...loginOf(of), length }, deadline)).bytes;
  }

  /** `recipient`: its RSA key, DER SubjectPublicKeyInfo. */
  async generateRandomForRecipient(
    of: ClusterOf,
    wanted: { readonly length: number; readonly recipient: Uint8Array },
    deadline: number,
  ): Promise<Uint8Array> {
    const input = { ...loginOf(of), ...wanted };
    return (await this.#use('GenerateRandomInClusterForRecipient', of, input, deadline)).ciphertextForRecipient;
  }

  async encrypt(
    of: ClusterOf,
    { keyId, ...plain }: { keyId: string; associatedData: Uint8Array; plaintext: Uint8Array },
    deadline: number,
  ): Promise<ClusterBlob> {
    const made = await this.#use('EncryptInCluster', of, { ...loginOf(of), keyId, ...plain }, deadline);
    return { associatedData: plain.associatedData, ...made };
  }

  async decrypt(of: ClusterOf, blob: ClusterBlob & { keyId: string }, deadline: number): Promise<Uint8Array> {
    return (await this.#use('DecryptInCluster', of, { ...loginOf(of), ...blob }, deadline)).plaintext;
  }

  async #use<N extends ClusterCommand>(
    name: N,
    { accountId: account, region, cluster }: ClusterOf,
    input: InputOf<N>,
    deadline: number,
  ): Promise<OutputOf<N>> {
    const breaker = this.#breakers.of(nameOfCluster({ account, region, clusterId: cluster.clusterId }));
    const { refusal } = breaker;
    if (refusal !== undefined) throw new ClusterError(refusal === 'busy' ? 'cluster-sessions' : 'cluster-away');
    return breaker.run(() => this.#execute(name, input, deadline), isAway);
  }

  async #execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    try {
      return await this.#hsm.execute(name, input, deadline);
    } catch (error) {
      if (error instanceof HsmRefusedError) throw new ClusterError(error.refusal, { cause: error });
      const isLate = error instanceof HsmUnavailableError && error.reason === 'timed-out';
      throw isLate ? new ClusterError('cluster-away', { cause: error }) : error;
    }
  }
}

function isAway(error: unknown): boolean {
  return error instanceof ClusterError && error.refusal === 'cluster-away';
}

function loginOf({ accountId, region, storeId, cluster }: ClusterOf): InputOf<'ConnectCluster'> {
  const principal = principalOfStore({ accountId, region, storeId });
  return { clusterId: cluster.clusterId, account: accountId, region, principal, token: cluster.token };
}
