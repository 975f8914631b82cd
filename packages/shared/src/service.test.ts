import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { ConfigError } from './config.ts';
import { encodedPublicKey } from './domain/signature.ts';
import { formatTrustAnchor } from './domain/trust-anchor.ts';
import { loadTrustAnchor } from './service.ts';

const program = `
  import { z } from 'zod';
  import { LogConfig } from '${import.meta.dirname}/log.ts';
  import { runService } from '${import.meta.dirname}/service.ts';
  await runService({
    name: 'echo',
    config: z.strictObject({ fail: z.union([z.boolean(), z.literal('later')]), log: LogConfig }),
    async run({ fail }, { stopped }) {
      const open = setInterval(() => {}, 1000);
      await using _ = { [Symbol.asyncDispose]: async () => clearInterval(open) };
      const problem = Object.assign(new Error('no database'), { command: { args: ['the secret'] } });
      if (fail === true) throw problem;
      if (fail === 'later') setTimeout(() => { throw problem; });
      else process.stdout.write('ready');
      await stopped;
    },
  });`;

async function run(config: unknown) {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-service-'));
  const path = join(directory.path, 'echo.json');
  writeFileSync(path, JSON.stringify(config));
  const child = spawn(
    process.execPath,
    ['--input-type=module-typescript', '-e', program, '--', 'main', '--config', path],
    {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  child.stdout.once('data', () => child.kill('SIGTERM'));
  const [stderr] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { code: child.exitCode, stderr };
}

test('SIGTERM ends a service in order', async () => {
  const { code, stderr } = await run({ fail: false });
  expect(code).toBe(0);
  expect(stderr.match(/"msg":"\w+"/g)).toEqual(['"msg":"starting"', '"msg":"stopping"', '"msg":"stopped"']);
});

test('a bad configuration is one line and exit code 2', async () => {
  const { code, stderr } = await run({ fail: 'yes' });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^echo: .*echo\.json: fail: .*\n$/);
});

test.each([true, 'later'])(
  'a fault is logged and is exit code 1, thrown in a turn of its own too: %s',
  async (fail) => {
    const { code, stderr } = await run({ fail });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^\{.*"starting"\}\n\{.*no database.*"failed"\}\n$/);
    expect(stderr).not.toContain('the secret');
  },
);

describe('the trust anchor', () => {
  test('is read as a ceremony wrote it', () => {
    using file = newFile();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const operators = [{ operatorId: 'anna', signingKey: encodedPublicKey(privateKey) }];
    writeFileSync(file.path, formatTrustAnchor({ domain: 'test', minimum: 1, operators }));
    expect(loadTrustAnchor(file.path)).toEqual({ domain: 'test', minimum: 1, operators });
  });

  test('that is missing or wrong stops the start, named with its field', () => {
    using file = newFile();
    const expected = (why: RegExp) =>
      expect(() => loadTrustAnchor(file.path)).toThrow(
        expect.objectContaining({ name: ConfigError.name, message: expect.stringMatching(why) }),
      );
    expected(/^trustAnchorFile: .*trust-anchor\.json does not exist/);
    writeFileSync(file.path, '{');
    expected(/^trustAnchorFile: .*trust-anchor\.json: the trust anchor is not JSON/);
    writeFileSync(file.path, '{"domain":"test"}');
    expected(/^trustAnchorFile: .*the trust anchor is not valid: .*/s);
  });

  function newFile() {
    const directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-test-'));
    return { path: join(directory.path, 'trust-anchor.json'), [Symbol.dispose]: () => directory.remove() };
  }
});
