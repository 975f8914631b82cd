import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/** The tools that build the Go example of docs/grpc.md, and grpcurl, which Debian lacks. */
const tools = [
  'google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12',
  'google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2',
  'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4',
];

/** They stay here, as building grpcurl takes a minute or more. */
const folder = join(import.meta.dirname, '../../node_modules/.cache/keyfleet-go');

/**
 * Builds them and gives their folder. undefined, and said loudly, where there is no Go or it can fetch nothing; an
 * error in CI.
 */
export async function buildGoTools(go: string | undefined): Promise<string | undefined> {
  if (go === undefined) return undefined;
  mkdirSync(folder, { recursive: true });
  for (const tool of tools) {
    const built = await execa(go, ['install', tool], { env: { GOBIN: folder }, reject: false });
    if (!built.failed) continue;
    const message = `DID NOT RUN: the gRPC tests of Go and grpcurl: ${built.stderr.trim().split('\n').at(-1)}`;
    if (process.env['CI'] === 'true') throw new Error(message);
    process.stdout.write(`${message}\n`);
    return undefined;
  }
  return folder;
}
