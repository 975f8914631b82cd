import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Container, node } from './container.ts';
import { PodVolumes, type PodVolumesParts } from './pod-volumes.ts';
import { probe } from './probes.ts';
import type { ContainerSpec } from './rendered.ts';
import { mebibytes } from './usage.ts';

/** The entry points of the images; the programs are this machine's. */
const entrypoints = new Map([
  ['keyfleet', [node]],
  ['redis', []],
]);

const EXEC_MS = 60_000;

export interface PodParts extends PodVolumesParts {
  readonly resolvConf: string;
  readonly namespace: string;
  readonly address: string;
  readonly onReady: () => void;
}

/** One Pod: its volumes, its containers, and what kubelet does with them. */
export class Pod {
  readonly name: string;
  readonly app: string;
  readonly namespace: string;
  readonly address: string;
  readonly #parts: PodParts;
  readonly #volumes: PodVolumes;
  readonly #containers = new Map<string, Container>();
  readonly #ready = new Set<string>();
  readonly #over = new AbortController();
  #held = false;

  constructor(parts: PodParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.app = parts.workload.name;
    this.namespace = parts.namespace;
    this.address = parts.address;
    mkdirSync(join(parts.directory, 'root'), { recursive: true });
    this.#volumes = new PodVolumes(parts);
    for (const spec of parts.workload.template.containers) void this.#keepRunning(spec);
  }

  get ready(): boolean {
    const { containers } = this.#parts.workload.template;
    return !this.#over.signal.aborted && containers.every(({ name }) => this.#ready.has(name));
  }

  get terminating(): boolean {
    return this.#over.signal.aborted;
  }

  get containers(): ReadonlyMap<string, Container> {
    return this.#containers;
  }

  logFile(container: string): string {
    return join(this.#parts.directory, `${container}.log`);
  }

  /** As `kubectl exec` does it; in its first container, unless another is named. */
  exec(command: readonly string[], container = this.#parts.workload.template.containers[0]!.name) {
    return this.#containers.get(container)!.exec(command, EXEC_MS);
  }

  /** Its files become what Secrets and ConfigMaps hold now, as a minute later by kubelet. */
  refreshVolumes(): void {
    this.#volumes.refresh();
  }

  /** preStop, SIGTERM, and SIGKILL when the grace period is over. */
  async terminate(): Promise<void> {
    this.#over.abort();
    this.#parts.onReady();
    const { terminationGracePeriodSeconds, containers } = this.#parts.workload.template;
    const grace = new AbortController();
    const over = delay(terminationGracePeriodSeconds * 1000, undefined, { signal: grace.signal }).then(
      () => this.#containers.forEach((container) => container.signal('SIGKILL')),
      () => undefined,
    );
    await Promise.all(containers.map((spec) => this.#stop(spec)));
    grace.abort();
    await over;
  }

  /** All that runs is gone at once, and does not come back before `release`: as when its node is lost. */
  kill(): void {
    this.#held = true;
    for (const container of this.#containers.values()) container.signal('SIGKILL');
  }

  release(): void {
    this.#held = false;
  }

  async destroy(): Promise<void> {
    this.#over.abort();
    this.kill();
    await Promise.all([...this.#containers.values()].map(({ ended }) => ended));
  }

  async #stop({ name, lifecycle }: ContainerSpec): Promise<void> {
    const container = this.#containers.get(name)!;
    const { sleep, exec } = lifecycle?.preStop ?? {};
    if (sleep !== undefined) await delay(sleep.seconds * 1000);
    if (exec !== undefined) await container.exec(exec.command, EXEC_MS);
    // Before it has a program of its own, or after it.
    container.signal('SIGTERM');
    await container.ended;
  }

  /** Starts it again when it ends; the first time at once. */
  async #keepRunning(spec: ContainerSpec): Promise<void> {
    for (let again = 0; !this.#over.signal.aborted; again++) {
      const container = new Container(this.#containerParts(spec), join(this.#parts.directory, 'root'));
      this.#containers.set(spec.name, container);
      void this.#watch(spec, container);
      await container.ended;
      this.#setReady(spec.name, false);
      if (again > 0) await delay(1000);
      while (this.#held && !this.#over.signal.aborted) await delay(100);
    }
  }

  async #watch(spec: ContainerSpec, container: Container): Promise<void> {
    const alive = (): boolean => container.running && !this.#over.signal.aborted;
    const ask = async (what: NonNullable<ContainerSpec['readinessProbe']>): Promise<boolean> => {
      await delay((what.periodSeconds ?? 10) * 1000);
      return alive() && (await probe(what, spec, container, this.address));
    };
    let starting = 0;
    while (alive() && !(await ask(spec.startupProbe)))
      if (++starting >= (spec.startupProbe.failureThreshold ?? 3)) container.signal('SIGKILL');
    if (spec.readinessProbe === undefined) this.#setReady(spec.name, alive());
    else
      void this.#watchReadiness(
        spec.name,
        () => ask(spec.readinessProbe!),
        alive,
        spec.readinessProbe.failureThreshold,
      );
    let failures = 0;
    while (alive()) {
      failures = (await ask(spec.livenessProbe)) ? 0 : failures + 1;
      if (alive() && failures >= (spec.livenessProbe.failureThreshold ?? 3)) container.signal('SIGKILL');
    }
  }

  async #watchReadiness(name: string, ask: () => Promise<boolean>, alive: () => boolean, threshold = 3): Promise<void> {
    let failures = 0;
    while (alive()) {
      failures = (await ask()) ? 0 : failures + 1;
      if (!alive()) return;
      if (failures === 0) this.#setReady(name, true);
      else if (failures >= threshold) this.#setReady(name, false);
    }
  }

  #setReady(name: string, ready: boolean): void {
    if (ready === this.#ready.has(name)) return;
    if (ready) this.#ready.add(name);
    else this.#ready.delete(name);
    this.#parts.onReady();
  }

  #containerParts(spec: ContainerSpec) {
    const { workload, namespace, resolvConf } = this.#parts;
    const image = spec.image.replace(/^.*\//, '').replace(/:.*$/, '');
    const command = [...(spec.command ?? entrypoints.get(image)!), ...(spec.args ?? [])];
    return {
      namespace,
      command,
      mounts: [...this.#volumes.mountsOf(spec), { source: resolvConf, target: '/etc/resolv.conf', readOnly: true }],
      env: { HOSTNAME: this.name, ...this.#environment(spec) },
      user: workload.template.securityContext,
      logFile: this.logFile(spec.name),
    };
  }

  #environment({ env = [], resources }: ContainerSpec): Record<string, string> {
    const known: Record<string, string> = {};
    for (const { name, value = '', valueFrom } of env) {
      const secret = valueFrom?.secretKeyRef;
      if (secret !== undefined) known[name] = this.#parts.objects.secrets.get(secret.name)![secret.key]!.toString();
      else if (valueFrom?.fieldRef !== undefined) known[name] = this.name;
      else if (valueFrom?.resourceFieldRef !== undefined)
        known[name] = `${mebibytes(resources.limits.memory) * 2 ** 20}`;
      else known[name] = value.replace(/\$\((\w+)\)/g, (_, other: string) => known[other]!);
    }
    return known;
  }
}
