import { credentials, type ServiceError } from '@grpc/grpc-js';
import { KeyManagementService } from '@keyfleet/proto/kubernetes';
import { unary } from '@keyfleet/proto/unary';
import { ConfigError, loadConfig } from '@keyfleet/shared/config';
import { createLog } from '@keyfleet/shared/log';
import { chmodSync, chownSync, lchownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PluginConfig } from './config.ts';
import { startPlugin } from './plugin.ts';

const silent = createLog({ name: 'test', level: 'silent' });

async function given() {
  const folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const inFolder = (name: string): string => join(folder.path, name);
  writeFileSync(inFolder('credentials'), '[default]\naws_access_key_id = a\naws_secret_access_key = s\n', {
    mode: 0o600,
  });
  const base = {
    socket: inFolder('kms.sock'),
    keyId: 'alias/cluster',
    region: 'us-east-1',
    // Nobody listens on port 1.
    grpc: '127.0.0.1:1',
    credentialsFile: inFolder('credentials'),
  };
  const start = (changes: object = {}): Promise<AsyncDisposable> => {
    writeFileSync(inFolder('config.json'), JSON.stringify({ ...base, ...changes }));
    return startPlugin(loadConfig(PluginConfig, inFolder('config.json')), silent);
  };
  /** The line with which it ends. */
  const mistake = async (changes: object): Promise<string> => {
    try {
      await using _plugin = await start(changes);
      return 'it started';
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.message;
    }
  };
  return { ...base, inFolder, start, mistake, [Symbol.asyncDispose]: () => folder.remove() };
}

test('each mistake in its configuration is one line that says what to do', async () => {
  await using plugin = await given();
  const { inFolder } = plugin;
  mkdirSync(inFolder('open/closed'), { recursive: true });
  chmodSync(inFolder('open'), 0o777);
  mkdirSync(inFolder('private'));
  symlinkSync(inFolder('private'), inFolder('open/link'));
  symlinkSync('open/link', inFolder('link-to-link'));
  const webIdentity = { roleArn: 'arn:aws:iam::000000000000:role/r', tokenFile: 'none', stsUrl: 'https://kms.example' };
  const mistakes: [object, string][] = [
    [{ socket: 'kms.sock' }, 'socket: must be an absolute path'],
    [{ socket: `/${'x'.repeat(107)}` }, 'socket: must have 107 bytes at most'],
    [{ socket: inFolder('none/kms.sock') }, 'is not a directory. Create it'],
    [{ socket: inFolder('open/kms.sock') }, 'other users may replace files in'],
    [{ socket: inFolder('open/closed/kms.sock') }, 'other users may replace files in'],
    [{ socket: inFolder('open/link/kms.sock') }, 'other users may replace files in'],
    [{ socket: inFolder('link-to-link/kms.sock') }, 'other users may replace files in'],
    [{ socket: inFolder('credentials') }, 'exists and is not a socket'],
    [{ grpc: 'kms.example:8901' }, 'keys of the cluster would pass unencrypted: set tls'],
    [{ grpc: 'kms.example:8901', tls: { caFile: inFolder('none') } }, 'tls.caFile: the file'],
    [{ grpc: '192.0.2.1:8901', tls: {} }, 'grpc: 192.0.2.1:8901: with tls, write the host name of its certificate'],
    [{ credentialsFile: undefined }, 'needs one of credentialsFile and webIdentity'],
    [{ webIdentity }, 'needs one of credentialsFile and webIdentity'],
    [{ credentialsFile: inFolder('none') }, "credentialsFile: the secret's file"],
    [{ credentialsFile: undefined, webIdentity }, 'webIdentity.tokenFile: the file none does not exist'],
    [{ credentialsFile: undefined, webIdentity: { ...webIdentity, stsUrl: 'http://kms.example' } }, 'write https://'],
    [{ credentialsFile: undefined, webIdentity: { ...webIdentity, roleArn: 'r' } }, 'must be the ARN of a role'],
    [{ keyId: '' }, 'keyId: must be a key ARN, alias or key id'],
    [{ keyid: 'x' }, 'keyid: not a known field'],
  ];
  for (const [changes, line] of mistakes) {
    const message = await plugin.mistake(changes);
    expect(message).toContain(line);
    expect(message).not.toContain('\n');
  }
});

// Only root can give a folder away.
test.runIf(process.geteuid?.() === 0)('a folder of another user is no place for the socket', async () => {
  await using plugin = await given();
  const { inFolder } = plugin;
  mkdirSync(inFolder('other/own'), { recursive: true });
  chownSync(inFolder('other'), 54_321, 54_321);
  mkdirSync(inFolder('own'));
  mkdirSync(inFolder('sticky'));
  chmodSync(inFolder('sticky'), 0o1777);
  symlinkSync('../own', inFolder('sticky/link'));
  lchownSync(inFolder('sticky/link'), 54_321, 54_321);
  for (const socket of ['other/kms.sock', 'other/own/kms.sock', 'sticky/link/kms.sock']) {
    expect(await plugin.mistake({ socket: inFolder(socket) })).toContain('belongs to another user');
  }
});

test('its socket may lie behind links that nobody else may change', async () => {
  await using plugin = await given();
  const { inFolder } = plugin;
  mkdirSync(inFolder('run'));
  symlinkSync('run', inFolder('var-run'));
  symlinkSync(inFolder('var-run'), inFolder('link'));
  await using _running = await plugin.start({ socket: inFolder('link/kms.sock') });
  expect(statSync(inFolder('run/kms.sock')).isSocket()).toBe(true);
});

test('its socket is its owner’s alone, and one at which somebody answers is not replaced', async () => {
  await using plugin = await given();
  const other = createServer().listen(plugin.inFolder('other.sock'));
  await new Promise((resolve) => other.once('listening', resolve));
  symlinkSync(plugin.inFolder('other.sock'), plugin.inFolder('link.sock'));
  expect(await plugin.mistake({ socket: plugin.inFolder('link.sock') })).toContain('exists and is not a socket');
  expect(await plugin.mistake({ socket: plugin.inFolder('other.sock') })).toContain('another process listens');
  other.close();
  await using _running = await plugin.start();
  expect(statSync(plugin.socket).mode & 0o777).toBe(0o600);
  expect(await plugin.mistake({})).toContain('another process listens');
});

test('the plugin starts without Keyfleet, and Status says what is missing', async () => {
  await using plugin = await given();
  await using _running = await plugin.start();
  const client = new KeyManagementService(`unix:${plugin.socket}`, credentials.createInsecure());
  const { Status, Encrypt } = KeyManagementService.service;
  const { version, healthz, key_id: keyId } = await unary(client, Status, {}, 5_000);
  expect([version, keyId]).toEqual(['v2', '']);
  expect(healthz).toContain('No connection established');
  const refusal = await unary(client, Encrypt, { plaintext: Buffer.from('a') }, 5_000).catch(
    (error: ServiceError) => error,
  );
  expect(refusal).toMatchObject({ code: 14 });
  client.close();
});
