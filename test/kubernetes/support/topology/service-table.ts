import type { Pod } from './pod.ts';
import { APP } from './policy-rules.ts';
import type { Rendered, ServiceSpec } from './rendered.ts';

/** Services with an address of their own, as kube-proxy makes them: a new connection goes to any Pod that is ready. */
export class ServiceTable {
  readonly addresses: ReadonlyMap<string, string>;
  readonly #services: readonly (readonly [name: string, spec: ServiceSpec])[];
  readonly #rendered: Rendered;

  constructor(rendered: Rendered) {
    this.#rendered = rendered;
    this.#services = [...rendered.services].filter(([, { clusterIP }]) => clusterIP !== 'None');
    this.addresses = new Map(this.#services.map(([name], index) => [name, `198.18.255.${index + 10}`]));
  }

  /** Commands of nftables that replace those before, for any namespace. */
  rules(pods: readonly Pod[]): string {
    const lines = this.#services.flatMap(([name, { selector, ports }]) => {
      const app = selector[APP]!;
      const ready = pods.filter((pod) => pod.app === app && pod.ready);
      if (ready.length === 0) return [];
      return ports.map(({ port, targetPort }) => {
        const target = this.#portOf(app, targetPort);
        const choices = ready.map(({ address }, index) => `${index} : ${address}`).join(', ');
        const match = `ip daddr ${this.addresses.get(name)!} tcp dport ${port}`;
        return `add rule ip services output ${match} dnat to numgen random mod ${ready.length} map { ${choices} } : ${target}`;
      });
    });
    const chain = 'add chain ip services output { type nat hook output priority -100; }';
    return ['add table ip services', chain, 'flush chain ip services output', ...lines].join('\n');
  }

  /** What a connection to a Service is meant for, `nats:4222`, also while none of its Pods is ready. */
  meantBy(address: string, port: number): string | undefined {
    const found = this.#services.find(([name]) => this.addresses.get(name) === address);
    const target = found?.[1].ports.find((one) => one.port === port);
    if (found === undefined || target === undefined) return undefined;
    const app = found[1].selector[APP]!;
    return `${app}:${this.#portOf(app, target.targetPort)}`;
  }

  #portOf(app: string, name: string): number {
    const workload = this.#rendered.workloads.find((one) => one.name === app)!;
    const ports = workload.template.containers.flatMap((container) => container.ports);
    return ports.find((port) => port.name === name)!.containerPort;
  }
}
