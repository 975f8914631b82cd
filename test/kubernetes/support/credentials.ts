import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CertificateAuthority } from '../../../tools/certificates.ts';

/**
 * What a kube-apiserver at `url` shows, signs service account tokens with, and takes from an administrator, whose token
 * is answered.
 */
export async function writeCredentials(directory: string, url: string): Promise<string> {
  const write = (name: string, content: string): Promise<void> =>
    writeFile(join(directory, name), content, { mode: 0o600 });
  const authority = await CertificateAuthority.create('kubernetes-test');
  const issued = await authority.issue('kube-apiserver', ['localhost', '127.0.0.1']);
  const accounts = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const token = randomBytes(32).toString('hex');
  await write('ca.crt', authority.certificate);
  await write('api.crt', issued.certificate);
  await write('api.key', issued.key);
  await write('sa.key', accounts.privateKey.export({ type: 'pkcs1', format: 'pem' }));
  await write('sa.pub', accounts.publicKey.export({ type: 'spki', format: 'pem' }));
  await write('tokens.csv', `${token},admin,admin,system:masters\n`);
  await write('kubeconfig', JSON.stringify(kubeconfig({ url, token, caFile: join(directory, 'ca.crt') })));
  return token;
}

function kubeconfig({ url, token, caFile }: { readonly url: string; readonly token: string; readonly caFile: string }) {
  const name = 'test';
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority': caFile } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
}
