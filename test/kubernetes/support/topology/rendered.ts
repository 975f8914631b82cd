import { parseManifests } from '@keyfleet/test-support/manifests';
import { execa } from 'execa';
import { kubernetesBinaries } from '../binaries.ts';

export interface Source {
  readonly name?: string;
  readonly secretName?: string;
  readonly items?: readonly { readonly key: string; readonly path: string }[];
}
export interface Volume {
  readonly name: string;
  readonly configMap?: Source;
  readonly secret?: Source;
  readonly projected?: { readonly sources: readonly { readonly configMap?: Source; readonly secret?: Source }[] };
  readonly emptyDir?: object;
}
export interface Probe {
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly httpGet?: { readonly path: string; readonly port: string; readonly scheme?: string };
  readonly exec?: { readonly command: readonly string[] };
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold?: number;
}
export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: {
      readonly fieldRef?: { readonly fieldPath: string };
      readonly secretKeyRef?: { readonly name: string; readonly key: string };
      readonly resourceFieldRef?: { readonly resource: 'limits.memory' };
    };
  }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle?: {
    readonly preStop: {
      readonly sleep?: { readonly seconds: number };
      readonly exec?: { readonly command: readonly string[] };
    };
  };
  readonly resources: {
    readonly requests: { readonly cpu: string; readonly memory: string };
    readonly limits: { readonly memory: string };
  };
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe?: Probe;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPathExpr?: string;
    readonly readOnly?: boolean;
  }[];
}
export interface PodTemplate {
  readonly securityContext: { readonly runAsUser: number; readonly runAsGroup: number; readonly fsGroup: number };
  readonly terminationGracePeriodSeconds: number;
  readonly topologySpreadConstraints: readonly { readonly maxSkew: number; readonly topologyKey: string }[];
  readonly containers: readonly ContainerSpec[];
  readonly volumes: readonly Volume[];
}

/** A StatefulSet, or a Deployment with as many Pods as its autoscaler begins with. */
export interface Workload {
  readonly name: string;
  readonly kind: 'Deployment' | 'StatefulSet';
  readonly replicas: number;
  /** Of the StatefulSet: in the names of its Pods. */
  readonly serviceName: string;
  readonly claims: readonly string[];
  readonly minReadySeconds: number;
  readonly template: PodTemplate;
}

interface PolicyPeer {
  readonly podSelector?: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly namespaceSelector?: object;
}
export interface PolicyRule {
  readonly from?: readonly PolicyPeer[];
  readonly to?: readonly PolicyPeer[];
  readonly ports: readonly { readonly protocol: 'TCP' | 'UDP'; readonly port: number }[];
}
export interface PolicySpec {
  readonly podSelector: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly ingress?: readonly PolicyRule[];
  readonly egress?: readonly PolicyRule[];
}
export interface ServiceSpec {
  readonly clusterIP?: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
}
export interface CertificateSpec {
  readonly secretName: string;
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly isCA?: boolean;
  readonly privateKey: { readonly rotationPolicy?: 'Never' | 'Always' };
  readonly issuerRef: { readonly kind: 'Issuer' | 'ClusterIssuer'; readonly name: string };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec: unknown;
}

/** What an overlay of deploy/k8s makes of the base, as Kustomize prints it. */
export class Rendered {
  readonly #manifests: readonly Manifest[];

  constructor(manifests: readonly Manifest[]) {
    this.#manifests = manifests;
  }

  /** `folder`: an overlay. */
  static async of(folder: string): Promise<Rendered> {
    const { kubectl } = await kubernetesBinaries();
    const { stdout } = await execa(kubectl, ['kustomize', folder]);
    return new Rendered(parseManifests(stdout) as Manifest[]);
  }

  get workloads(): Workload[] {
    return this.#manifests
      .filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
      .map(({ kind, metadata, spec }) => {
        const {
          replicas,
          minReadySeconds = 0,
          serviceName,
          template,
          volumeClaimTemplates,
        } = spec as {
          readonly replicas?: number;
          readonly minReadySeconds?: number;
          readonly serviceName?: string;
          readonly template: { readonly spec: PodTemplate };
          readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
        };
        return {
          name: metadata.name,
          kind: kind as Workload['kind'],
          replicas: replicas ?? this.#minReplicas(metadata.name),
          serviceName: serviceName ?? metadata.name,
          claims: (volumeClaimTemplates ?? []).map((claim) => claim.metadata.name),
          minReadySeconds,
          template: template.spec,
        };
      });
  }

  configMaps(): Map<string, Readonly<Record<string, Buffer>>> {
    const found = this.#manifests.filter(({ kind }) => kind === 'ConfigMap');
    return new Map(
      found.map(({ metadata, data }) => {
        const files = Object.entries(data!).map(([name, text]) => [name, Buffer.from(text)] as const);
        return [metadata.name, Object.fromEntries(files)];
      }),
    );
  }

  get policies(): PolicySpec[] {
    return this.#specs<PolicySpec>('NetworkPolicy').map(([, spec]) => spec);
  }

  get services(): ReadonlyMap<string, ServiceSpec> {
    return new Map(this.#specs<ServiceSpec>('Service'));
  }

  get certificates(): CertificateSpec[] {
    return this.#specs<CertificateSpec>('Certificate').map(([, spec]) => spec);
  }

  #specs<Spec>(wanted: string): [string, Spec][] {
    return this.#manifests
      .filter(({ kind }) => kind === wanted)
      .map(({ metadata, spec }) => [metadata.name, spec as Spec]);
  }

  #minReplicas(name: string): number {
    const scalers = this.#specs<{ readonly minReplicas: number }>('HorizontalPodAutoscaler');
    return scalers.find(([scaler]) => scaler === name)![1].minReplicas;
  }
}
