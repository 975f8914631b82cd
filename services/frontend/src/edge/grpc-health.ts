import type { Server } from '@grpc/grpc-js';
import { Kms } from '@keyfleet/proto/kms';
import { HealthImplementation, type ServingStatus } from 'grpc-health-check';
import type { Readiness } from './http.ts';

/** The server as a whole, and the one service that it has. */
const services = ['', Object.values(Kms.service)[0]!.path.split('/')[1]!];

const LOOK_MS = 1_000;

/** Serves grpc.health.v1 to anyone, as `/readyz` is: SERVING while nothing is missing, looked at once a second. */
export function addHealth(server: Pick<Server, 'addService'>, readiness: () => Readiness): Disposable {
  const health = new HealthImplementation();
  let last: ServingStatus | undefined;
  const look = (): void => {
    const now = Object.values(readiness()).every(({ ok }) => ok) ? 'SERVING' : 'NOT_SERVING';
    if (now === last) return;
    last = now;
    for (const service of services) health.setStatus(service, now);
  };
  look();
  health.addToServer(server as Server);
  const timer = setInterval(look, LOOK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
