import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { memberFingerprint } from '@keyfleet/shared/domain/fingerprint';
import type { Member } from '@keyfleet/shared/domain/state';
import type { CommandName } from '@keyfleet/shared/hsm/commands';
import type { Log } from '@keyfleet/shared/log';
import { SayOnce } from '@keyfleet/shared/say-once';
import { SayRarely } from '@keyfleet/shared/say-rarely';
import { outcomeCounter } from '@keyfleet/shared/telemetry/meters';
import type { SessionEvents } from './boundary/session-service.ts';
import type { SignedRequest } from './boundary/stream.ts';

/** One function for each event in a worker: what is counted and what is logged. */
export class WorkerEvents implements SessionEvents {
  readonly #log: Log;
  readonly #onUnknownDomainKey: () => void;
  readonly #said = new SayOnce();
  /** What strangers cause. */
  readonly #rarely = new SayRarely();
  readonly #countStream = outcomeCounter('keyfleet.hsm.streams', ['opened', 'refused', 'over-limit']);
  readonly #countSession = outcomeCounter('keyfleet.hsm.sessions', ['negotiated', 'refused']);

  constructor(log: Log, onUnknownDomainKey: () => void) {
    this.#log = log;
    this.#onUnknownDomainKey = onUnknownDomainKey;
  }

  /** What people compare before they admit this worker. */
  hasIdentity(member: Member): void {
    this.#log.info({ memberId: member.memberId, fingerprint: memberFingerprint(member) }, 'identity');
  }
  /** Whoever writes the volume may have put it there, or this worker lost its identity and has a new one. */
  foreignPublicIdentity(file: string): void {
    this.#log.warn({ file }, 'the public identity on the disk was of other keys, and is written anew');
  }

  unknownDomainKey(): void {
    this.#onUnknownDomainKey();
  }

  /**
   * The audit record of commands that make or change key material. It is this worker's word: the delegated key that
   * verifies the signature is in no record.
   */
  signedRequest({ hostId, sessionId, proof }: SignedRequest): void {
    const proven = proof && {
      statement: Buffer.from(proof.statement).toString('base64'),
      signature: Buffer.from(proof.signature).toString('base64'),
    };
    // Nearly every frame that makes a key logs one. To keep them, set the level to debug and ship the log.
    this.#log.debug({ hostId, sessionId: Buffer.from(sessionId).toString('hex'), ...proven }, 'signed commands');
  }

  /** Only where it failed: the message may quote the command's input. */
  fault(command: CommandName, error: unknown): void {
    const { name, stack = '' } = error instanceof Error ? error : new Error();
    const at = stack.split('\n').filter((line) => line.startsWith('    at '));
    this.#log.error({ command, error: name, at }, 'command failed');
  }

  sessionNegotiated(): void {
    this.#countSession('negotiated');
  }
  sessionRefused(): void {
    this.#countSession('refused');
    this.#rarely.say('session', (omitted) => this.#log.warn({ omitted }, 'host session refused'));
  }
  streamOpened(): void {
    this.#countStream('opened');
  }
  streamRefused(): void {
    this.#countStream('refused');
    this.#rarely.say('stream', (omitted) => this.#log.warn({ omitted }, 'stream refused'));
  }

  /**
   * A service host has more streams than a frontend ever needs: it is broken, somebody else has its key, or a hostile
   * member passes on how it opens them.
   */
  streamOverLimit(reason: string): void {
    this.#countStream('over-limit');
    if (this.#said.isNew('streams', new Error(reason))) this.#log.error({ reason }, 'too many streams of one frontend');
  }

  tokenInstalled(domain: string, generation: number): void {
    this.#log.info({ domain, generation }, 'domain token installed');
  }
  /** A peer asked for something that the domain does not allow. The text may hold words of its choice, the code not. */
  domainCallRefused(method: string, error: unknown): void {
    this.#rarely.say(`${method} ${error instanceof DomainError ? error.code : ''}`, (omitted) =>
      this.#log.error({ method, err: error, omitted }, 'domain call refused'),
    );
  }
  tokenRefused(address: string, error: unknown): void {
    this.#log.error({ address, err: error }, 'domain token refused');
  }
  domainManagerUnreachable(address: string, error: unknown): void {
    this.#log.warn({ address, err: error }, 'domain-manager cannot be reached');
  }
  noticesProblem(problem: unknown): void {
    this.#log.warn({ err: problem }, 'NATS cannot be reached; domain tokens are polled');
  }
}
