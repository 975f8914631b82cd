import type { Assembly } from '../assembly.ts';
import { Audit } from './record.ts';
import { ServiceEvents } from './service-events.ts';
import { type AuditFile, noAudit, openFileSink } from './sink.ts';

export interface AuditTrail {
  readonly file: AuditFile;
  /** Requests by callers. */
  readonly requests: Audit;
  /** Actions that the service took on its own. */
  readonly serviceEvents: ServiceEvents;
}

export async function startAudit({ config, clock, events, resources }: Assembly): Promise<AuditTrail> {
  const path = config.auditFile;
  if (path === undefined) events.nothingAudited();
  const onProblem = (problem: unknown): void => events.auditProblem(problem);
  const file = resources.use(path === undefined ? noAudit : await openFileSink({ path, onProblem }));
  return { file, requests: new Audit(file, clock), serviceEvents: new ServiceEvents(file, clock) };
}
