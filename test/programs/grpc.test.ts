import { buildGoTools } from '@keyfleet/test-support/go-tools';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createKmsClient } from '@keyfleet/client';
import { startSigningProxy } from '@keyfleet/client/signing-proxy';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const protoFolder = join(root, 'proto/kms/v1');
const { grpcAddress, credentials } = inject('cluster');
const { go, protoc, grpcPython } = inject('programs');
const goTools = await buildGoTools(go);

const text = readFileSync(join(root, 'docs/grpc.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'keyfleet-grpc-'));
const env = {
  PATH: [goTools, process.env['PATH']].join(delimiter),
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
};
let keyId = '';

/** The examples of docs/grpc.md in a language under a heading, as a reader would copy them. */
function examples(heading: string, language: string): readonly string[] {
  const section = text.split(`\n## ${heading}`)[1]?.split('\n## ', 1)[0] ?? '';
  const blocks = section.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'));
  return [...blocks].map(([, code]) => code!);
}

function example(heading: string, language: string): string {
  const [code] = examples(heading, language);
  expect(code, `docs/grpc.md has no ${language} under ${heading}`).toBeDefined();
  return code!;
}

/** Runs a line of docs/grpc.md in the examples' folder, with the repository's protos. */
function shell(line: string) {
  return execa('sh', ['-c', line.replace('proto/kms/v1', protoFolder)], { cwd: folder, env });
}

beforeAll(async () => {
  using kms = createKmsClient({ address: grpcAddress, region: 'us-east-1', credentials });
  for (let i = 0; i < 3; i++) keyId = (await kms.CreateKey({})).KeyMetadata?.Arn ?? '';
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Often enough that maps would be marshalled in another order. */
const TIMES = 10;

describe('docs/grpc.md', () => {
  test('TypeScript: an interceptor signs what it marshals', async () => {
    symlinkSync(join(import.meta.dirname, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'example.ts'), example('TypeScript', 'ts'));
    const proto = join(folder, 'kms.proto');
    copyFileSync(join(protoFolder, 'kms.proto'), proto);
    const { stdout } = await execa(process.execPath, ['example.ts', proto, grpcAddress, keyId], { cwd: folder, env });
    expect(stdout).toBe('hello');
  });

  test('TypeScript: the example of the README', async () => {
    const home = inject('cluster').home;
    const { stdout } = await execa(
      process.execPath,
      ['tools/run.mjs', 'grpc-example', '--home', home, '--address', grpcAddress],
      { cwd: root },
    );
    expect(stdout).toMatch(/^arn:aws:kms:us-east-1:\d{12}:key\/\S+\nhello$/);
  });

  test.runIf(protoc && grpcPython)('Python: a channel signs what it marshals', async () => {
    await shell(example('Python', 'sh'));
    writeFileSync(join(folder, 'example.py'), example('Python', 'python'));
    const { stdout } = await execa(grpcPython!, ['example.py', grpcAddress, keyId], { cwd: folder, env });
    expect(stdout).toBe('hello');
  });

  test.runIf(protoc && goTools)(
    'Go: an interceptor sends the bytes that it signed, in whatever order they are',
    { timeout: 600_000 },
    async () => {
      const modules = 'require (\n  google.golang.org/grpc v1.85.0\n  google.golang.org/protobuf v1.36.12\n)';
      writeFileSync(join(folder, 'go.mod'), `module example\n\ngo 1.25\n\n${modules}\n`);
      writeFileSync(join(folder, 'main.go'), example('Go', 'go'));
      await shell(example('Go', 'sh'));
      await execa(go!, ['build', '-mod=mod', '-o', 'example', '.'], { cwd: folder, env });
      for (let i = 0; i < TIMES; i++) {
        const { stdout } = await execa('./example', [grpcAddress, keyId], { cwd: folder, env });
        expect(stdout).toBe('hello');
      }
    },
  );

  test.runIf(goTools)('grpcurl: a proxy signs what it sends', async () => {
    const socket = join(folder, 'grpc.sock');
    await using _ = await startSigningProxy({ socket, address: grpcAddress, region: 'us-east-1', credentials });
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const line = examples('grpcurl', 'sh').find((code) => code.startsWith('grpcurl'))!;
    const { stdout } = await shell(line.replace('.keyfleet/grpc.sock', socket));
    expect((JSON.parse(stdout) as { Keys: object[] }).Keys).toHaveLength(3);
  });
});
