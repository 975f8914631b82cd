import { Names, resolvConf } from '@keyfleet/test-support/names';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { until } from '../../../../tools/readiness.ts';
import { firstStart, type FirstStart } from './first-start.ts';
import { Laptop } from './laptop.ts';
import { Network, nft, NODE } from './network.ts';
import { Pod } from './pod.ts';
import { podsOf, rulesFor, triedFrom } from './policy-rules.ts';
import { directoryPrefix } from './remains.ts';
import { Rendered, type Workload } from './rendered.ts';
import { ServiceTable } from './service-table.ts';

const overlay = join(import.meta.dirname, '../../../../deploy/k8s/overlays/prod');
const READY_MS = 180_000;

interface Place {
  readonly workload: Workload;
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
}

/** In the DNS of the cluster. */
function nameOf({ workload, name }: Pick<Place, 'workload' | 'name'>): string {
  return `${name}.${workload.serviceName}.keyfleet`;
}

/**
 * The overlay prod of deploy/k8s as processes of this machine: each Pod in a network namespace of its own with a new
 * address at each start, from the volumes that its manifest mounts, probed and stopped as kubelet does it.
 */
export class Topology implements AsyncDisposable {
  readonly objects: FirstStart;
  readonly directory: string;
  #rendered: Rendered;
  #laptop: Laptop | undefined;
  readonly #network: Network;
  readonly #names: Names;
  readonly #resources: AsyncDisposableStack;
  readonly #services: ServiceTable;
  readonly #pods = new Map<string, Pod>();
  /** Of whom each address is or was, and where each kind tried to connect to: `frontend -> redis:6379`. */
  readonly #owners = new Map<string, string>();
  readonly #made = new Set<string>();
  /** Claims that go when no Pod uses them any more. */
  readonly #unwanted = new Set<string>();
  #customer: string | undefined;
  #started = 0;
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(parts: {
    readonly objects: FirstStart;
    readonly directory: string;
    readonly rendered: Rendered;
    readonly network: Network;
    readonly names: Names;
    readonly resources: AsyncDisposableStack;
  }) {
    this.objects = parts.objects;
    this.directory = parts.directory;
    this.#rendered = parts.rendered;
    this.#network = parts.network;
    this.#names = parts.names;
    this.#resources = parts.resources;
    this.#services = new ServiceTable(parts.rendered);
    for (const [name, address] of this.#services.addresses) this.#names.addresses.set(`${name}.keyfleet`, address);
    // As the DNS of customers has it.
    this.#names.addresses.set(`${parts.objects.certManager.nameIn('public-tls')}.`, this.serviceAddress('frontend'));
    this.#resources.defer(async () => {
      await Promise.all(this.pods().map((pod) => pod.destroy()));
      await this.#changing;
    });
  }

  /** Everything runs; there is no domain yet, and so the frontends and workers are not ready. */
  static async start(): Promise<Topology> {
    await using resources = new AsyncDisposableStack();
    const { path: directory } = resources.use(await mkdtempDisposable(directoryPrefix));
    const rendered = await Rendered.of(overlay);
    const laptop = join(directory, 'laptop');
    mkdirSync(laptop);
    const objects = await firstStart(laptop, rendered);
    const network = resources.use(await Network.start());
    const names = resources.use(await Names.listen(NODE.dns));
    await writeFile(join(directory, 'resolv.conf'), resolvConf(NODE.dns));
    const topology = new Topology({ objects, directory, rendered, network, names, resources: resources.move() });
    try {
      const places: Place[] = [];
      for (const workload of topology.workloads) {
        for (let index = 0; index < workload.replicas; index++) {
          places.push(await topology.#place(workload, `${workload.name}-${index}`));
        }
      }
      for (const place of places) await topology.#run(place);
      topology.#laptop = topology.#resources.use(await Laptop.open(topology));
      return topology;
    } catch (error) {
      await topology[Symbol.asyncDispose]();
      throw error;
    }
  }

  get laptop(): Laptop {
    return this.#laptop!;
  }

  get workloads(): readonly Workload[] {
    return this.#rendered.workloads;
  }

  /** Of an app, or all; by their numbers. */
  pods(app?: string): Pod[] {
    const found = [...this.#pods.values()].filter((pod) => app === undefined || pod.app === app);
    return found.toSorted((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  }

  pod(name: string): Pod {
    const found = this.#pods.get(name);
    if (found === undefined) throw new Error(`no Pod ${name}`);
    return found;
  }

  /** The address of a Service. */
  serviceAddress(name: string): string {
    return this.#services.addresses.get(name)!;
  }

  async awaitReady(app: string): Promise<void> {
    const ready = () => Promise.resolve(this.pods(app).every((pod) => pod.ready));
    if (await until(ready, READY_MS, () => false)) return;
    const lacking = this.pods(app).filter((pod) => !pod.ready);
    throw new Error(`not ready: ${lacking.map(({ name }) => name).join(', ')}`);
  }

  /** The namespace of a customer, which no policy is about and which knows the Services. */
  customer(): Promise<string> {
    return this.#change(async () => {
      if (this.#customer !== undefined) return this.#customer;
      const { namespace } = await this.#network.add();
      this.#customer = namespace;
      await this.#tellServices();
      return namespace;
    });
  }

  /** As `kubectl rollout restart` does it. */
  async rollingRestart(app: string): Promise<void> {
    const workload = this.#workload(app);
    const olds = this.pods(app);
    if (workload.kind === 'Deployment') {
      for (const old of olds) {
        // maxSurge 1, maxUnavailable 0.
        await this.#awaitPod(await this.#start(workload, this.#newName(app)));
        await this.#end(old);
      }
      return;
    }
    for (const old of olds.toReversed()) await this.#awaitPod(await this.replacePod(old.name));
  }

  /** As `kubectl scale` does it, without waiting until they are ready; the highest numbers go. */
  async scale(app: string, replicas: number): Promise<void> {
    const workload = this.#workload(app);
    const there = this.pods(app);
    for (let index = there.length; index < replicas; index++) {
      await this.#start(workload, workload.kind === 'Deployment' ? this.#newName(app) : `${app}-${index}`);
    }
    await Promise.all(there.slice(replicas).map((pod) => this.#end(pod)));
  }

  /** As `kubectl apply` does it: how many there are, and what has changed, one Pod after the other. */
  async apply(rendered: Rendered): Promise<void> {
    const before = this.workloads;
    this.#rendered = rendered;
    for (const [name, data] of rendered.configMaps()) this.objects.configMaps.set(name, data);
    for (const { name, template, replicas } of this.workloads) {
      await this.scale(name, replicas);
      const old = before.find((workload) => workload.name === name)!;
      if (!isDeepStrictEqual(template, old.template)) await this.rollingRestart(name);
    }
  }

  /** As a StatefulSet does it for a Pod that is deleted. */
  async replacePod(name: string): Promise<Pod> {
    const old = this.pod(name);
    await this.#end(old);
    return this.#start(this.#workload(old.app), name);
  }

  /** `identity-hsm-worker-3`; one that a Pod uses goes when that Pod does. */
  deleteClaim(name: string): void {
    this.#unwanted.add(name);
    this.#removeUnwanted();
  }

  /** The Pod that uses a claim. */
  userOf(claim: string): Pod | undefined {
    return this.pods().find((pod) => this.#workload(pod.app).claims.some((name) => claim === `${name}-${pod.name}`));
  }

  /** What has changed in Secrets and ConfigMaps reaches the Pods. */
  refreshVolumes(): void {
    for (const pod of this.pods()) pod.refreshVolumes();
  }

  /** Where each kind has tried to connect to since the start, `frontend -> redis:6379`. */
  async connectionsMade(): Promise<string[]> {
    for (const pod of this.pods()) await this.#noteMade(pod);
    return [...this.#made].toSorted();
  }

  /** Cuts what two kinds of Pods say to each other, silently, until it is disposed of. */
  async partition(one: readonly Pod[], other: readonly Pod[]): Promise<AsyncDisposable> {
    const peers = new Map([...one.map((pod) => [pod, other] as const), ...other.map((pod) => [pod, one] as const)]);
    const tell = (verb: 'add' | 'delete') => async () => {
      for (const [pod, others] of peers) {
        const addresses = others.filter((each) => each !== pod).map(({ address }) => address);
        await nft(pod.namespace, `${verb} element inet keyfleet partition { ${addresses.join(', ')} }`);
      }
    };
    await this.#change(tell('add'));
    return { [Symbol.asyncDispose]: () => this.#change(tell('delete')) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #removeUnwanted(): void {
    for (const claim of this.#unwanted) {
      if (this.userOf(claim) !== undefined) continue;
      this.#unwanted.delete(claim);
      rmSync(join(this.directory, 'claims', claim), { recursive: true });
    }
  }

  #workload(app: string): Workload {
    return this.workloads.find(({ name }) => name === app)!;
  }

  /** Of a Pod of a Deployment. */
  #newName(app: string): string {
    return `${app}-${++this.#started}-new`;
  }

  async #awaitPod(pod: Pod): Promise<void> {
    const ready = () => Promise.resolve(pod.ready);
    if (!(await until(ready, READY_MS, () => false))) throw new Error(`${pod.name} did not become ready`);
    await delay(this.#workload(pod.app).minReadySeconds * 1000);
  }

  /** An address and a name; every Pod that is there knows it. */
  async #place(workload: Workload, name: string): Promise<Place> {
    const place = { workload, name, ...(await this.#network.add()) };
    this.#owners.set(place.address, workload.name);
    this.#names.addresses.set(nameOf(place), place.address);
    const told = `add element inet keyfleet ${podsOf(workload.name)} { ${place.address} }`;
    await this.#change(async () => {
      await Promise.all(this.pods().map(({ namespace }) => nft(namespace, told)));
    });
    return place;
  }

  async #run({ workload, name, namespace, address }: Place): Promise<Pod> {
    const apps = this.workloads.map((one) => one.name);
    // Those that start at the same time, too.
    const known = [...this.#owners].map(([at, owner]) => `add element inet keyfleet ${podsOf(owner)} { ${at} }`);
    await nft(namespace, [rulesFor(workload.name, this.#rendered.policies, apps, NODE), ...known].join('\n'));
    await nft(namespace, this.#services.rules(this.pods()));
    const pod = new Pod({
      name,
      workload,
      objects: this.objects,
      claims: join(this.directory, 'claims'),
      directory: join(this.directory, 'pods', `${name}-${++this.#started}`),
      resolvConf: join(this.directory, 'resolv.conf'),
      namespace,
      address,
      onReady: () => void this.#change(() => this.#tellServices()),
    });
    this.#pods.set(name, pod);
    return pod;
  }

  async #start(workload: Workload, name: string): Promise<Pod> {
    const place = await this.#place(workload, name);
    return this.#change(() => this.#run(place));
  }

  async #end(pod: Pod): Promise<void> {
    await pod.terminate();
    await this.#change(async () => {
      await this.#noteMade(pod);
      this.#pods.delete(pod.name);
      this.#removeUnwanted();
      this.#names.addresses.delete(nameOf({ workload: this.#workload(pod.app), name: pod.name }));
      await this.#network.remove(pod.namespace);
    });
  }

  /** One after the other: each is several commands. */
  #change<Result>(run: () => Promise<Result>): Promise<Result> {
    const done = this.#changing.then(run);
    this.#changing = done.catch(() => undefined);
    return done;
  }

  async #tellServices(): Promise<void> {
    const rules = this.#services.rules(this.pods());
    const namespaces = this.pods().map((pod) => pod.namespace);
    if (this.#customer !== undefined) namespaces.push(this.#customer);
    await Promise.all(namespaces.map((namespace) => nft(namespace, rules)));
  }

  async #noteMade({ namespace, app }: Pod): Promise<void> {
    for (const [address, port] of await triedFrom(namespace)) {
      const to = this.#services.meantBy(address, port) ?? `${this.#owners.get(address) ?? address}:${port}`;
      this.#made.add(`${app} -> ${to}`);
    }
  }
}
