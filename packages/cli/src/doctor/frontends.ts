import { z } from 'zod';
import { CliError } from '../cli-error.ts';

const TIMEOUT_MS = 5_000;
/** Sessions and signatures tolerate minutes; more than this shows that nothing synchronizes the clock. */
export const CLOCK_TOLERANCE_MS = 10_000;
const Readiness = z.object({
  checks: z.record(
    z.string(),
    z.object({ ok: z.boolean(), detail: z.string().optional(), trouble: z.string().optional() }),
  ),
});

/**
 * Checks that each frontend is ready and that its clock agrees. `urls`: where they listen for HTTP. Throws CliError.
 */
export async function checkFrontends(urls: readonly string[]): Promise<string> {
  const troubles = (await Promise.all(urls.map(troublesOf))).flat();
  if (troubles.length > 0) throw new CliError(`${troubles.join('; ')}.`);
  return urls.length === 1 ? '1 is ready, its clock agrees' : `${urls.length} are ready, their clocks agree`;
}

async function troublesOf(url: string): Promise<string[]> {
  let answer: Response;
  try {
    answer = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const { cause, message } = error as Error;
    return [`cannot reach ${url} (${cause instanceof Error ? cause.message : message})`];
  }
  const readiness = Readiness.safeParse(await answer.json().catch(() => undefined));
  if (!readiness.success) return [`${url} is not a frontend: it does not answer /readyz`];
  const checks = Object.entries(readiness.data.checks);
  const missing = checks.filter(([, { ok }]) => !ok);
  return [
    ...missing.map(([name, { detail }]) => `${url} is not ready: ${name}: ${detail}`),
    ...checks.flatMap(([, { trouble }]) => (trouble === undefined ? [] : [`${url}: ${trouble}`])),
    ...clockTrouble(url, answer.headers.get('date')),
  ];
}

/** The header has whole seconds (RFC 9110, 6.6.1). */
function clockTrouble(url: string, date: string | null): string[] {
  const ahead = Date.parse(date ?? '') - Date.now();
  if (Math.abs(ahead) <= CLOCK_TOLERANCE_MS) return [];
  if (Number.isNaN(ahead)) return [`the answer of ${url} has no Date`];
  return [
    `the clock of ${url} is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead' : 'behind'}: synchronize it with NTP`,
  ];
}
