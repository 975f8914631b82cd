// The one file that must run on any Node >= 20, before anything is installed: installs the workspace's packages
// (which bring the Node that Keyfleet runs on), then runs the asked-for command with that Node.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PNPM = 'pnpm@12.21.0';
const root = join(import.meta.dirname, '..');
const [command, ...args] = process.argv.slice(2);

/**
 * command -> what Node 26 runs; `test` and `check` are scripts of several steps. `unit` and `coverage` are vitest
 * alone.
 */
const commands = {
  start: ['tools/start.ts'],
  test: ['tools/test.ts'],
  'test:kubernetes': ['node_modules/vitest/vitest.mjs', 'run', '--project', 'kubernetes'],
  'test:terraform': ['node_modules/vitest/vitest.mjs', 'run', '--project', 'terraform'],
  unit: ['node_modules/vitest/vitest.mjs', args.includes('--watch') ? 'watch' : 'run', '--project', 'unit'],
  coverage: ['node_modules/vitest/vitest.mjs', 'run', '--coverage', '--project', 'unit', '--project', 'slow'],
  check: ['tools/check.ts'],
  gen: ['tools/gen.ts'],
  bench: ['bench/run.ts'],
  keyfleet: ['packages/cli/src/main.ts'],
  'grpc-example': ['packages/client/examples/create-key.ts'],
  'grpc-proxy': ['packages/client/examples/grpc-proxy.ts'],
};

function fail(message) {
  process.stderr.write(`keyfleet: ${message}\n`);
  process.exit(1);
}

function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex');
  const stamp = join(root, 'node_modules/.keyfleet-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('Installing packages (once; a minute or so) ...\n');
  const env = { ...process.env, npm_config_yes: 'true', CI: 'true' };
  const pnpm = [
    'exec',
    '--yes',
    `--package=${PNPM}`,
    '--',
    'pnpm',
    'install',
    '--frozen-lockfile',
    '--reporter=append-only',
  ];
  const result = spawnSync('npm', pnpm, { cwd: root, env, encoding: 'utf8' });
  if (result.error)
    fail(`npm was not found (${result.error.message}). Install Node.js 20 or newer with npm, then run this again.`);
  if (result.status !== 0) {
    const lines = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-15).join('\n');
    fail(`installing packages failed. Check that the npm registry can be reached, then run this again.\n${lines}`);
  }
  // What was checked against other packages is not to be believed.
  rmSync(join(root, 'node_modules/.cache/keyfleet/types.tsbuildinfo'), { force: true });
  writeFileSync(stamp, lock);
}

function nodeBinary() {
  const binary = join(root, `node_modules/node-linux-${process.arch}/bin/node`);
  if (existsSync(binary)) return binary;
  const wanted = readFileSync(join(root, '.node-version'), 'utf8').trim();
  if (Number(process.versions.node.split('.')[0]) >= Number(wanted.split('.')[0])) return process.execPath;
  return fail(
    `no Node ${wanted} for ${process.platform}-${process.arch}. Install Node ${wanted} and run this with it.`,
  );
}

const script = commands[command];
if (script === undefined) fail(`unknown command '${command ?? ''}'. One of: ${Object.keys(commands).join(', ')}.`);
if (Number(process.versions.node.split('.')[0]) < 20)
  fail(`Node ${process.versions.node} is too old: 20 or newer is needed.`);
installPackages();
const env = { ...process.env, NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/keyfleet') };
const child = spawn(nodeBinary(), [...script, ...args], { cwd: root, env, stdio: 'inherit' });
// The child shares the terminal, so Ctrl-C reaches it directly; here it only must not end this process before the
// child.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal !== 'SIGINT' && child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
