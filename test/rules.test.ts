import { codeOf, fileOf, importsOf, production, root, textOf } from '@keyfleet/test-support/sources';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

// Sentences of ARCHITECTURE, CONTRIBUTING, SECURITY and boundary/README that say "only", "never", "all" or "no", held
// against the sources. Which files may import which is in architecture.test.ts.

const boundary = 'services/hsm-worker/src/boundary/';

/** The production files whose code matches, without their comments. */
function filesWith(pattern: RegExp, under = ''): string[] {
  return production.filter((file) => file.startsWith(under) && pattern.test(codeOf(file)));
}

/** Groups of files that import each other in a circle (Tarjan's algorithm), types included. */
function circles(): string[][] {
  const targets = new Map(production.map((file) => [file, importsOf(file).map(fileOf)]));
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    order.set(file, order.size);
    lowest.set(file, order.get(file)!);
    open.push(file);
    for (const target of targets.get(file)!) {
      if (!targets.has(target)) continue;
      if (!order.has(target)) visit(target);
      if (open.includes(target)) lowest.set(file, Math.min(lowest.get(file)!, lowest.get(target)!));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const group = open.splice(open.indexOf(file));
    if (group.length > 1) found.push(group.toSorted());
  };
  for (const file of production) if (!order.has(file)) visit(file);
  return found;
}

test('no files import each other in a circle', () => {
  expect(circles()).toEqual([]);
});

test('authenticated encryption is written once', () => {
  expect(filesWith(/\bcreate(Dec|C)ipheriv\b/)).toEqual([
    'packages/shared/src/encoding/aead.ts',
    // AES key wrap: no nonce, and no associated data.
    'packages/shared/src/wrap-material.ts',
    // CMS for enclaves, as AWS makes it: CBC, without a tag.
    `${boundary}crypto/enveloped-data.ts`,
    `${boundary}crypto/key-wrap.ts`,
  ]);
});

test('every label of a signed or sealed byte string is defined once, and stands in docs/formats.md', () => {
  const labels = production.flatMap((file) =>
    [...codeOf(file).matchAll(/'(keyfleet\/[a-z/-]+\/\d+)'/g)].map(([, label]) => label!),
  );
  expect(labels.length).toBeGreaterThan(30);
  const again = labels.filter((label, i) => labels.indexOf(label) !== i);
  expect(again).toEqual([]);
  const formats = readFileSync(join(root, 'docs/formats.md'), 'utf8');
  expect(labels.filter((label) => !formats.includes(label))).toEqual([]);
});

test('a failure to open has no reason', () => {
  const reasons = production.flatMap((file) =>
    [...codeOf(file).matchAll(/new (?:CannotOpen|SessionRefused|InvalidPublicKey)Error\([^)]+\)/g)].map(
      ([made]) => made,
    ),
  );
  expect(reasons).toEqual([]);
});

test('the boundary has no timer, no output and no network', () => {
  const found = filesWith(/(?<!-)\b(setTimeout|setInterval|setImmediate|fetch|console|process)\b\s*[.(]/, boundary);
  expect(found).toEqual([
    // Between two slices of commands, so that a frame does not hold up the event loop.
    `${boundary}executor.ts`,
    // A module that does not answer is killed.
    `${boundary}pkcs11/cluster.ts`,
    `${boundary}pkcs11/token-process-main.ts`,
    `${boundary}pkcs11/token-process.ts`,
  ]);
});

test('only the thread of noble signatures is a thread of the boundary', () => {
  const files = production.filter((file) => importsOf(file).some(({ to }) => to === 'node:worker_threads'));
  expect(files.filter((file) => file.startsWith(boundary))).toEqual([
    `${boundary}crypto/noble-thread-worker.ts`,
    `${boundary}crypto/noble-thread.ts`,
  ]);
});

test('the boundary makes text of public bytes only: no secret is a string', () => {
  expect(filesWith(/\.toString\([^)]|\bTextDecoder\b|\bStringDecoder\b/, boundary)).toEqual([
    // The hash of a domain token.
    `${boundary}domain/check-token.ts`,
    // The id of a new domain key.
    `${boundary}domain/domain-secrets.ts`,
    // The hash of a greeting.
    `${boundary}hello-memory.ts`,
    // Cache keys: a material id, and a sealed token.
    `${boundary}keys/backing-keys.ts`,
    // An error's number; labels and names of tokens.
    `${boundary}pkcs11/functions.ts`,
    `${boundary}pkcs11/structures.ts`,
  ]);
});

test('where the boundary makes or derives keys in one go, no customer waits for it', () => {
  expect(filesWith(/\b(\w+KeyPairSync|privateDecrypt|createSign|scryptSync|pbkdf2Sync)\b/, boundary)).toEqual([
    `${boundary}identity.ts`,
    `${boundary}seal-key.ts`,
  ]);
});

/** docs/decisions/0009-where-time-and-randomness-are-not-injected.md */
test('the boundary is given time and randomness, except where no test could want to decide them', () => {
  const found = filesWith(/\b(Date\.now|performance\.now|randomBytes|randomUUID|randomInt|Math\.random)\b/, boundary);
  expect(found).toEqual([
    `${boundary}crypto/noble-signatures.ts`,
    `${boundary}crypto/random.ts`,
    `${boundary}crypto/rsa-padding.ts`,
    `${boundary}executor.ts`,
  ]);
});

test('services read the wall clock in one place, and for the times of spans', () => {
  const readers = filesWith(/\bDate\.now\b|\bnew Date\(\)/).filter((file) => !file.startsWith('packages/c'));
  expect(readers).toEqual(['packages/shared/src/clock.ts', 'packages/shared/src/telemetry/tracing.ts']);
});

test('domain-managers can open nothing', () => {
  const opens = /\b(createDecipheriv|privateDecrypt|decapsulate|diffieHellman|encoding\/aead)\b/;
  expect(filesWith(opens, 'services/domain-manager/')).toEqual([]);
});

test('the environment is read for OpenTelemetry alone', () => {
  expect(filesWith(/process\s*\.\s*env|process\[['"]env/)).toEqual(['packages/shared/src/telemetry/settings.ts']);
});

test('comments are at most 120 columns wide', () => {
  const files = globSync('{bench,packages,services,test,tools}/**/*.{ts,mjs}', { cwd: root }).filter(
    (file) => !file.includes('node_modules'),
  );
  const wide = files.flatMap((file) =>
    textOf(file)
      .split('\n')
      .flatMap((line, i) => (line.length > 120 && /^\s*(\/\/|\/?\*)/.test(line) ? [`${file}:${i + 1}`] : [])),
  );
  expect(wide).toEqual([]);
});

test('no folder is called utils, and none has one file', () => {
  const folders = Map.groupBy(production, dirname);
  const alone = [...folders].filter(
    ([folder, files]) =>
      files.length === 1 && !production.some((file) => file.startsWith(`${folder}/`) && file !== files[0]),
  );
  expect(alone.map(([folder]) => folder)).toEqual([]);
  expect([...folders.keys()].filter((folder) => /\b(utils?|helpers|common|misc)\b/.test(folder))).toEqual([]);
});

test('a file under 15 lines starts a program, or is one idea that many files share', () => {
  const short = production.filter((file) => textOf(file).trimEnd().split('\n').length < 15);
  expect(short).toEqual([
    'packages/cli/src/cli-error.ts',
    'packages/cli/src/main.ts',
    'packages/kms-plugin/src/main.ts',
    'packages/shared/src/clock.ts',
    // One limit, which the API and the HSMs hold callers to.
    'packages/shared/src/hsm/encryption-context.ts',
    'packages/shared/src/read-ahead.ts',
    'services/frontend/src/attestation/errors.ts',
    'services/frontend/src/policy/malformed.ts',
    'services/hsm-worker/src/boundary/steps.ts',
  ]);
});

test('no script frees in one step what somebody may have filled', () => {
  const freed = production.flatMap((file) => [...codeOf(file).matchAll(/redis\.p?call\('(DEL|UNLINK)'/g)]);
  expect(new Set(freed.map(([, command]) => command))).toEqual(new Set(['UNLINK']));
});

test('no script reads all of a list or hash, which somebody may have filled', () => {
  const calls = production.flatMap((file) => [
    ...codeOf(file).matchAll(/redis\.p?call\('(?:ZRANGE\w*|ZSCAN|[HS]SCAN|SCAN|HGETALL|HKEYS|HVALS|SMEMBERS)'.*/g),
  ]);
  expect(calls.length).toBeGreaterThan(8);
  const whole = calls.map(([call]) => call).filter((call) => !/'(?:LIMIT|COUNT)'/.test(call));
  expect(whole).toEqual([]);
});

test('no program reads a hash, a list or a value in Redis without a bound on its length', () => {
  expect(filesWith(/\blrange|\b(hgetall|hvals|hkeys|hscan(?!')|sscan|zscan|smembers)(buffer)?\b/i)).toEqual([]);
  expect(filesWith(/\b(redis|client)\.(get|getex|mget|hget|hmget|lindex)(Buffer)?\(/)).toEqual([]);
});

test('no test mocks or spies on our own code', () => {
  const tests = globSync('{packages,services,test}/**/*.ts', { cwd: root }).filter(
    (file) => !file.includes('node_modules'),
  );
  const found = tests.filter((file) =>
    /\bvi\.(mock|doMock|fn|spyOn)\(/.test(codeOf(file).replaceAll('vi.spyOn(process,', '')),
  );
  expect(found).toEqual([]);
});

test('tests listen on ports that are free', () => {
  const tests = globSync('{packages,services,test}/**/*.ts', { cwd: root }).filter(
    (file) => !file.includes('node_modules') && !production.includes(file),
  );
  expect(tests.filter((file) => /\blisten\((?!0\b)\d/.test(codeOf(file)))).toEqual([]);
});

test('no test is tried twice', () => {
  const tests = globSync(['vitest.config.ts', '{packages,services,test}/**/*.ts'], { cwd: root }).filter(
    (file) => !file.includes('node_modules') && file !== 'test/rules.test.ts',
  );
  expect(tests.filter((file) => /\bretry\s*:|--retry\b/.test(codeOf(file)))).toEqual([]);
});

test('a subscriber learns nothing from a notice except that there is something to look at', () => {
  const heard = production.flatMap((file) =>
    [...codeOf(file).matchAll(/\bnotices\.subscribe\('\w+', \(([^)]*)\)/g)].map(([, parameters]) => parameters!),
  );
  expect(heard.length).toBeGreaterThan(0);
  expect(heard.filter((parameters) => parameters !== '')).toEqual([]);
});

test('versions of dependencies stand once, in the catalog', () => {
  const manifests = globSync(['package.json', '{packages,services}/*/package.json', 'proto/package.json'], {
    cwd: root,
  });
  const elsewhere = [...manifests, 'test/support/package.json'].flatMap((file) => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(textOf(file)) as Record<string, object>;
    return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
      .filter(([, version]) => !/^(catalog|workspace):/.test(version as string))
      .map(([name]) => `${file}: ${name}`);
  });
  expect(elsewhere).toEqual([]);
});

test('actions of the workflows are pinned by commit', () => {
  const used = globSync('.github/workflows/*.yml', { cwd: root }).flatMap((file) =>
    [...textOf(file).matchAll(/\buses: (\S+)/g)].map(([, action]) => action!),
  );
  expect(used.length).toBeGreaterThan(0);
  expect(used.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
});

test('no configuration turns off a check of requests', () => {
  const configurations = [
    ...production.filter((file) => /^services\/[^/]+\/src\/config\.ts$/.test(file)),
    'packages/shared/src/log.ts',
    'packages/shared/src/notices.ts',
    'packages/shared/src/redis/connect.ts',
    'packages/shared/src/tls/plaintext.ts',
  ];
  const switches = configurations.flatMap((file) =>
    [...codeOf(file).matchAll(/(\w+)(?:: | = )z\s*\.boolean\(/g)].map(([, name]) => name!),
  );
  expect(switches).toEqual(['grpcReflection', 'developmentTags', 'AllowPlaintext']);
});

test('a signal to npm reaches what a script starts: no shell that would drop it stands between them', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  expect(Object.values(scripts).filter((script) => !script.startsWith('exec '))).toEqual([]);
});
