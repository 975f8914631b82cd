import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { FrameStream } from '@keyfleet/frontend/hsm/channel';
import type { KnownDomain } from '@keyfleet/frontend/hsm/known-domain';
import { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import type { WorkerClient } from '@keyfleet/frontend/hsm/worker-link';
import type { CommandHandlers } from '@keyfleet/hsm-worker/boundary/executor';
import type { OpenStream, SessionService } from '@keyfleet/hsm-worker/boundary/session-service';
import type { Protocols } from '@keyfleet/shared/hsm/protocol';
import { type Host, newWorker, type FakeDomain } from './session-pair.ts';

/**
 * The boundary of a worker behind streams in memory instead of gRPC: a worker that a test can kill, freeze and count.
 */
export class LoopbackWorker implements WorkerClient {
  readonly address: string;
  /** Sealed frames that came from hosts, but for the first of each stream, which is empty. */
  frames = 0;
  /** Messages sent back. */
  answers = 0;
  negotiations = 0;
  /** Streams that hosts tried to open. */
  opened = 0;
  /** Takes frames and answers none, like a stopped process. */
  frozen = false;
  /** It opens no stream before this. */
  mayOpen: Promise<void> = Promise.resolve();
  readonly #newService: (protocols?: Protocols) => SessionService;
  #service: SessionService;
  readonly #streams = new Set<LoopbackStream>();

  constructor(
    domain: FakeDomain,
    memberId: 'hsm-1' | 'hsm-2',
    handlers: Partial<CommandHandlers>,
    protocols?: Protocols,
  ) {
    this.address = memberId;
    this.#newService = (spoken) => newWorker(domain, memberId, { handlers, protocols: spoken }).service;
    this.#service = this.#newService(protocols);
  }

  readonly negotiate = async (hello: Uint8Array): Promise<Uint8Array> => {
    this.negotiations++;
    return this.#service.negotiate(hello);
  };

  execute(): FrameStream {
    this.opened++;
    const stream = new LoopbackStream(this, this.#service);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream as unknown as FrameStream;
  }

  close(): void {}

  /** Every stream ends in order, as when its session is over. */
  end(): void {
    for (const stream of this.#streams) stream.push(null);
  }

  /** Another release starts in its place. */
  replace(protocols: Protocols): void {
    this.#service = this.#newService(protocols);
    this.die();
  }

  /** Every connection breaks; new ones are welcome. */
  die(): void {
    for (const stream of this.#streams) stream.destroy(new Error('connection lost'));
  }
}

class LoopbackStream extends Duplex {
  readonly #worker: LoopbackWorker;
  readonly #service: SessionService;
  #open: OpenStream | undefined;
  #greeted = false;

  constructor(worker: LoopbackWorker, service: SessionService) {
    super({ objectMode: true });
    this.#worker = worker;
    this.#service = service;
  }

  cancel(): void {
    this.destroy(new Error('cancelled'));
  }

  override _read(): void {}
  override _write({ body }: { body: Uint8Array }, _encoding: unknown, taken: () => void): void {
    void this.#receive(body).then(taken);
  }

  async #receive(body: Uint8Array): Promise<void> {
    try {
      if (this.#open === undefined) {
        await this.#worker.mayOpen;
        this.#open = await this.#service.openStream(body, (message) => this.#answer(message));
        if (this.destroyed) this.#open.close();
      } else if (!this.#open.valid) {
        this.push(null);
      } else {
        if (this.#greeted) this.#worker.frames++;
        this.#greeted = true;
        this.#open.receive(body);
      }
    } catch {
      this.destroy(Object.assign(new Error('refused'), { code: status.UNAUTHENTICATED }));
    }
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#open?.close();
    done(error);
  }

  #answer(message: Uint8Array): void {
    if (this.#worker.frozen) return;
    this.#worker.answers++;
    this.push({ body: message });
  }
}

export interface LoopbackPool extends AsyncDisposable {
  readonly pool: WorkerPool;
  /** What was wrong with workers. */
  readonly problems: readonly string[];
  readonly execute: WorkerPool['execute'];
  readonly executeEverywhere: WorkerPool['executeEverywhere'];
}

/** A frontend's pool over these workers, ready when all of `expected` are. */
export async function startLoopbackPool(
  parts: {
    domain: FakeDomain;
    host: Host;
    workers: readonly WorkerClient[];
    known?: KnownDomain;
    protocols?: Protocols;
  },
  expected = parts.workers.length,
): Promise<LoopbackPool> {
  const { domain, host, workers, known = domain } = parts;
  const problems: string[] = [];
  const pool = new WorkerPool({
    workers,
    host,
    domain: known,
    clock: domain.clock,
    ...(parts.protocols && { protocols: parts.protocols }),
    maxInFlight: 1000,
    onProblem: (_address, error) => problems.push(String(error)),
  });
  await until(() => pool.ready === expected);
  return {
    pool,
    problems,
    execute: (name, input, deadline) => pool.execute(name, input, deadline),
    executeEverywhere: (name, input, deadline) => pool.executeEverywhere(name, input, deadline),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

/** The pool's timers are real, if short; the test's own timeout bounds the wait. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2);
}
