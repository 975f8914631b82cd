import type { Probes } from '../observe/probes.ts';
import { type CpuProfile, functionsOf } from '../observe/profile.ts';
import type { Target } from '../targets/target.ts';
import type { Profile, Round } from './results.ts';
import { cpuPerRequest } from './summary.ts';

/** Profiles each process of the target that has a probe while `round` is measured. */
export async function profileRound(
  target: Target,
  probes: Probes,
  round: () => Promise<Round>,
): Promise<Omit<Profile, 'scenario'>[]> {
  const processes = Object.entries(target.processes());
  await Promise.all(processes.map(([, pid]) => probes.ask(pid, 'start-profile')));
  const measured = await round();
  const found = await Promise.all(
    processes.map(async ([process, pid]) => ({ process, profile: await probes.ask(pid, 'stop-profile') })),
  );
  return found
    .filter(({ profile }) => profile !== undefined)
    .map(({ process, profile }) => ({
      target: target.name,
      process,
      functions: functionsOf(profile as CpuProfile, cpuPerRequest(measured, process)),
    }));
}
