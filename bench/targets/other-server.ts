import { execa } from 'execa';
import { BenchError } from '../bench-error.ts';

const READY_MS = 20_000;
const POLL_MS = 50;

export interface ServerSpec {
  /** Searched on the PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Any answer means that it is ready. */
  readonly readyUrl: string;
  /** Where to get it. */
  readonly install: string;
}

export interface OtherServer extends AsyncDisposable {
  readonly pid: number;
}

/** Starts a server that is not Keyfleet's. Throws BenchError when it is not installed, or does not come up. */
export async function startServer({ command, args, env, readyUrl, install }: ServerSpec): Promise<OtherServer> {
  const child = execa(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    reject: false,
    ...(env === undefined ? {} : { env }),
  });
  const ended = child.then(({ code, stderr }) => {
    const missing = code === 'ENOENT';
    const why = missing ? `is not on the PATH: ${install}` : `ended at once: ${String(stderr).trim().slice(-300)}`;
    throw new BenchError(`${command} ${why}.`);
  });
  ended.catch(() => undefined);
  const deadline = performance.now() + READY_MS;
  while (!(await Promise.race([ended, answers(readyUrl)]))) {
    if (performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new BenchError(`${command} does not answer at ${readyUrl}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return {
    pid: child.pid!,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child;
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
