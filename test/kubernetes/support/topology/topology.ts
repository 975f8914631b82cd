import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../../../tools/readiness.ts';
import { firstStart, type FirstStart } from './first-start.ts';
import { Network, nft, NODE } from './network.ts';
import { Names, resolvConf } from './names.ts';
import { Pod } from './pod.ts';
import { podsOf, rulesFor } from './policy-rules.ts';
import { directoryPrefix } from './remains.ts';
import { Rendered, type Workload } from './rendered.ts';
import { ServiceTable } from './service-table.ts';

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
  readonly #rendered: Rendered;
  readonly #network: Network;
  readonly #names: Names;
  readonly #resources: AsyncDisposableStack;
  readonly #services: ServiceTable;
  readonly #pods = new Map<string, Pod>();
  /** Of whom each address is or was, and where each kind tried to connect to: `frontend -> redis:6379`. */
  readonly #owners = new Map<string, string>();
  readonly #made = new Set<string>();
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
    this.#resources.defer(async () => {
      await Promise.all(this.pods().map((pod) => pod.destroy()));
      await this.#changing;
    });
  }

  /** Everything runs; there is no domain yet, and so the frontends and workers are not ready. */
  static async start(): Promise<Topology> {
    await using resources = new AsyncDisposableStack();
    const { path: directory } = resources.use(await mkdtempDisposable(directoryPrefix));
    const rendered = await Rendered.of('prod');
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
      for (const place of places) await topology.#run(place, places);
      return topology;
    } catch (error) {
      await topology[Symbol.asyncDispose]();
      throw error;
    }
  }

  get workloads(): readonly Workload[] {
    return this.#rendered.workloads;
  }

  /** Of an app, or all. */
  pods(app?: string): Pod[] {
    return [...this.#pods.values()].filter((pod) => app === undefined || pod.app === app);
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
    const workload = this.workloads.find(({ name }) => name === app)!;
    const olds = this.pods(app);
    if (workload.kind === 'Deployment') {
      for (const old of olds) {
        // maxSurge 1, maxUnavailable 0.
        const next = await this.#start(workload, `${app}-${++this.#started}-new`);
        await this.#awaitPod(next);
        await this.#end(old);
      }
      return;
    }
    for (const old of olds.toReversed()) {
      await this.#end(old);
      await this.#awaitPod(await this.#start(workload, old.name));
    }
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

  async #awaitPod(pod: Pod): Promise<void> {
    if (
      await until(
        () => Promise.resolve(pod.ready),
        READY_MS,
        () => false,
      )
    )
      return;
    throw new Error(`${pod.name} did not become ready`);
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

  async #run({ workload, name, namespace, address }: Place, places: readonly Pick<Place, 'address'>[]): Promise<Pod> {
    const apps = this.workloads.map((one) => one.name);
    const known = places.map((place) => {
      const owner = this.#owners.get(place.address)!;
      return `add element inet keyfleet ${podsOf(owner)} { ${place.address} }`;
    });
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
    return this.#change(() => this.#run(place, [...this.pods(), place]));
  }

  async #end(pod: Pod): Promise<void> {
    await pod.terminate();
    await this.#change(async () => {
      await this.#noteMade(pod);
      this.#pods.delete(pod.name);
      this.#names.addresses.delete(
        nameOf({ workload: this.workloads.find(({ name }) => name === pod.app)!, name: pod.name }),
      );
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
    const { nftables } = JSON.parse(await nft(namespace, 'list set inet keyfleet made')) as {
      readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[];
    };
    for (const element of nftables.flatMap(({ set }) => set?.elem ?? [])) {
      const { concat } = ((element as { elem?: { val: object } }).elem?.val ?? element) as { concat: [string, number] };
      const [address, port] = concat;
      const to = this.#services.meantBy(address, port) ?? `${this.#owners.get(address) ?? address}:${port}`;
      this.#made.add(`${app} -> ${to}`);
    }
  }
}
