import { setTimeout as delay } from 'node:timers/promises';

/** Where a process listens once it got SIGUSR1: one process of the machine at a time. */
const INSPECTOR = 'http://127.0.0.1:9229/json/list';
const POLL_MS = 50;
const BUDGET_MS = 5_000;

/** A running Node process in which expressions can be evaluated. */
export class Inspected implements Disposable {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (value: unknown) => void>();
  #lastId = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id: number; result?: { result?: { value?: unknown } } };
      this.#waiting.get(id)?.(result?.result?.value);
      this.#waiting.delete(id);
    });
  }

  /** Its value, if it is one that JSON can hold. */
  evaluate(expression: string): Promise<unknown> {
    return new Promise((resolve) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, resolve);
      this.#socket.send(
        JSON.stringify({ id, method: 'Runtime.evaluate', params: { expression, returnByValue: true } }),
      );
    });
  }

  /** The process goes on, and its inspector no longer listens, so that another's can. */
  [Symbol.dispose](): void {
    void this.evaluate("setImmediate(() => process.getBuiltinModule('node:inspector').close())");
    this.#socket.close();
  }
}

export async function inspect(pid: number): Promise<Inspected> {
  process.kill(pid, 'SIGUSR1');
  const socket = new WebSocket(await debuggerUrl());
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('the inspector does not answer')));
  });
  return new Inspected(socket);
}

async function debuggerUrl(): Promise<string> {
  for (const until = Date.now() + BUDGET_MS; Date.now() < until; await delay(POLL_MS)) {
    try {
      const [target] = (await (await fetch(INSPECTOR)).json()) as [{ webSocketDebuggerUrl: string }];
      return target.webSocketDebuggerUrl;
    } catch {
      // Not listening yet.
    }
  }
  throw new Error(`nothing listens at ${INSPECTOR}`);
}
