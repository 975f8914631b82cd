import {
  type handleUnaryCall,
  type Server,
  type ServerWritableStream,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthImplementation, type ServingStatus } from 'grpc-health-check';
import { hostPort } from '../config.ts';

const LOOK_MS = 1_000;

export { service as healthService } from 'grpc-health-check';

/** The `health` part of a service's configuration. */
export const HealthAddress = hostPort()
  .optional()
  .describe("A second port without TLS that answers only `grpc.health.v1`, for an orchestrator's probes.");

/**
 * Serves grpc.health.v1: each name is SERVING while its function returns true. The functions are called once a second.
 * '' is the server as a whole.
 */
export function addHealth(
  server: Pick<Server, 'addService'>,
  isServing: Readonly<Record<string, () => boolean>>,
): Disposable {
  const health = new HealthImplementation();
  const last = new Map<string, ServingStatus>();
  const look = (): void => {
    for (const [name, ask] of Object.entries(isServing)) {
      const now = ask() ? 'SERVING' : 'NOT_SERVING';
      if (now === last.get(name)) continue;
      last.set(name, now);
      health.setStatus(name, now);
    }
  };
  look();
  const names = new Set(last.keys());
  const addService = (service: ServiceDefinition, handlers: UntypedServiceImplementation): void =>
    server.addService(service, {
      ...handlers,
      check: checkOnly(names, handlers['check'] as Check),
      watch: watchOnly(names, handlers['watch'] as Watch),
    });
  health.addToServer({ addService } as Server);
  const timer = setInterval(look, LOOK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

type Watch = (
  call: ServerWritableStream<{ readonly service: string }, { readonly status: ServingStatus | 'SERVICE_UNKNOWN' }>,
) => void;

type Check = handleUnaryCall<{ readonly service: string }, { readonly status: ServingStatus }>;

/** The library says an unknown name back, whatever its length. */
function checkOnly(names: ReadonlySet<string>, check: Check): Check {
  return (call, done) => {
    if (names.has(call.request.service)) check(call, done);
    else done({ code: status.NOT_FOUND, details: 'The service is unknown.' });
  };
}

/** The library never forgets a name that somebody watched. Other names are unknown and stay so. */
function watchOnly(names: ReadonlySet<string>, watch: Watch): Watch {
  return (call) => {
    if (names.has(call.request.service)) watch(call);
    else call.write({ status: 'SERVICE_UNKNOWN' });
  };
}
