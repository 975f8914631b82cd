import { ServerCertificates } from '@keyfleet/shared/tls/accept-tls';
import { reportOf } from '@keyfleet/shared/grpc/peers';
import { type CertificateConfig, TlsFiles } from '@keyfleet/shared/tls/tls-files';
import type { Assembly } from '../assembly.ts';
import type { Pipeline } from '../request/pipeline.ts';
import { queryOperations } from '../identities/operations.ts';
import type { PerformQuery } from '../identities/perform-query.ts';
import { QueryEdge } from './query-edge.ts';
import { AwsJsonEdge } from './aws-json-edge.ts';
import { startGrpcEdge } from './grpc-edge.ts';
import { type Readiness, startHttpEdge } from './http.ts';
import { TrustedProxies } from './trusted-proxies.ts';

export interface EdgeParts {
  readonly pipeline: Pipeline;
  readonly performQuery: PerformQuery;
  readonly readiness: () => Readiness;
}

/** Listens for HTTP and gRPC. Disposing drains both at the same time. */
export async function startEdges(
  assembly: Assembly,
  { pipeline, performQuery, readiness }: EdgeParts,
): Promise<AsyncDisposable> {
  const { config, log } = assembly;
  const certificates = certificatesOf(assembly);
  const regions: ReadonlySet<string> = new Set(config.regions);
  const proxies = new TrustedProxies(config.trustedProxies);
  const kms = new AwsJsonEdge({ pipeline, regions });
  const query = new QueryEdge({ pipeline, perform: performQuery, operations: queryOperations, regions });
  const http = await startHttpEdge({
    address: config.http,
    certificates,
    drainMs: config.drain,
    maxConnectionAgeMs: config.maxConnectionAge,
    kms,
    query,
    pipeline,
    readiness,
    proxies,
    log,
  });
  const grpc = await startGrpcEdge({
    address: config.grpc,
    certificates,
    drainMs: config.drain,
    maxConnectionAgeMs: config.maxConnectionAge,
    reflection: config.grpcReflection,
    pipeline,
    regions,
    readiness,
    proxies,
  });
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all([http[Symbol.asyncDispose](), grpc[Symbol.asyncDispose]()]);
    },
  };
}

/** Undefined if the edges are unencrypted. */
export function certificatesOf({
  config,
  log,
  resources,
}: Pick<Assembly, 'config' | 'log' | 'resources'>): ServerCertificates | undefined {
  if (config.edgeTls === undefined) return undefined;
  const filesOf = (one: CertificateConfig, index: number): TlsFiles =>
    resources.use(new TlsFiles(one, { field: `edgeTls.${index}`, onProblem: reportOf(log) }));
  return new ServerCertificates(config.edgeTls.map(filesOf));
}
