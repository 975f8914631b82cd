import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { checkFrontends } from './frontends.ts';

/** Answers /readyz as a frontend does. */
async function start(answer: { checks?: object; aheadMs?: number }): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url !== '/readyz') return void response.writeHead(404).end();
    const date = new Date(Date.now() + (answer.aheadMs ?? 0)).toUTCString();
    response.writeHead(200, { date }).end(JSON.stringify({ checks: answer.checks ?? {} }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('frontends that are ready, with clocks that agree, are well', async () => {
  const urls = [await start({ checks: { redis: { ok: true, detail: 'x' } } }), await start({ aheadMs: -5000 })];
  expect(await checkFrontends(urls)).toBe('2 are ready, their clocks agree');
});

test('each trouble of each frontend is named', async () => {
  const late = await start({ aheadMs: -60_000 });
  const early = await start({ aheadMs: 3_600_000, checks: { redis: { ok: false, detail: 'not connected (end)' } } });
  const growing = await start({ checks: { auditFile: { ok: true, trouble: 'the audit file has 3.0 GiB' } } });
  const stranger = await start({ checks: 'none' as unknown as object });
  const told = await checkFrontends([late, early, growing, stranger, 'http://127.0.0.1:1']).catch(
    (error: Error) => error.message,
  );
  expect(told).toMatch(new RegExp(`^the clock of ${late} is 6\\d s behind: synchronize it with NTP; `));
  expect(told).toContain(`${early} is not ready: redis: not connected (end); the clock of ${early} is 3`);
  expect(told).toContain(`; ${growing}: the audit file has 3.0 GiB; `);
  expect(told).toContain(
    `${stranger} is not a frontend: it does not answer /readyz; cannot reach http://127.0.0.1:1 (`,
  );
});
