import type { Clock } from '@keyfleet/shared/clock';
import { SayOnce } from '@keyfleet/shared/say-once';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import { type ClusterKey, problemOf } from './cluster-key.ts';

export interface Health {
  /** `ok`, or what is wrong. */
  readonly healthz: string;
  /** Empty if it was never known. */
  readonly keyId: string;
}

export interface KeyHealthOptions {
  readonly key: Pick<ClusterKey, 'encrypt'>;
  /** Monotonic. */
  readonly clock: Clock;
  readonly onChange: (health: Health) => void;
}

/** kube-apiserver asks once a minute, every 10 s while there is a problem, and for every reader of its `/readyz`. */
const KEEP_MS = 5_000;
/** Shorter, so that the end of a problem is noticed soon. */
const KEEP_TROUBLE_MS = 1_000;
const PROBE = Buffer.from('keyfleet-kms-plugin');

/** Whether the key encrypts and decrypts, found by doing both; and which key material encrypts now. */
export class KeyHealth {
  readonly #options: KeyHealthOptions;
  readonly #said = new SayOnce();
  readonly #checks = new SingleFlight<Health>();
  #known: Health | undefined;
  #until = Number.NEGATIVE_INFINITY;

  constructor(options: KeyHealthOptions) {
    this.#options = options;
  }

  now(): Promise<Health> {
    if (this.#known !== undefined && this.#options.clock.now() < this.#until) return Promise.resolve(this.#known);
    return this.#checks.run(() => this.#check());
  }

  /**
   * Something was encrypted under this key id. Status and Encrypt must agree, or kube-apiserver considers the plugin
   * broken.
   */
  noteEncrypted(keyId: string): void {
    if (this.#known?.healthz === 'ok' && this.#known.keyId !== keyId) this.#learn({ healthz: 'ok', keyId });
  }

  async #check(): Promise<Health> {
    try {
      const { keyId } = await this.#options.key.encrypt(PROBE);
      return this.#learn({ healthz: 'ok', keyId });
    } catch (error) {
      return this.#learn({ healthz: problemOf(error), keyId: this.#known?.keyId ?? '' });
    }
  }

  #learn(health: Health): Health {
    const { clock, onChange } = this.#options;
    this.#known = health;
    this.#until = clock.now() + (health.healthz === 'ok' ? KEEP_MS : KEEP_TROUBLE_MS);
    if (this.#said.isNew('key', `${health.healthz} ${health.keyId}`)) onChange(health);
    return health;
  }
}
