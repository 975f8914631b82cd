import { type ChannelCredentials, experimental } from '@grpc/grpc-js';
import type { TLSSocket } from 'node:tls';
import { type Clock, systemClock } from '../clock.ts';
import { ShownCertificates } from '../tls/shown-certificates.ts';
import type { TlsMaterial } from '../tls/tls-files.ts';
import type { WatchedFiles } from '../tls/watched-files.ts';

type Provider = Parameters<typeof experimental.createCertificateProviderChannelCredentials>[0];

type Files = Pick<WatchedFiles<Partial<TlsMaterial>>, 'content' | 'onChange'>;

/**
 * For channels to who has a certificate of the files' `ca`, and is shown theirs, if there is one. Each new connection
 * uses the files as they are then. An open one ends with the server's certificate, or when its authority is taken out.
 */
export function channelCredentials(files: Files, clock: Clock = systemClock): ChannelCredentials {
  const ca = new Set<experimental.CaCertificateUpdateListener>();
  const identity = new Set<experimental.IdentityCertificateUpdateListener>();
  const tellCa = (listener: experimental.CaCertificateUpdateListener): void =>
    listener({ caCertificate: Buffer.from(files.content.ca ?? '') });
  const tellIdentity = (listener: experimental.IdentityCertificateUpdateListener): void =>
    listener({
      certificate: Buffer.from(files.content.cert ?? ''),
      privateKey: Buffer.from(files.content.key ?? ''),
    });
  const servers = new ShownCertificates(() => files.content.ca, clock);
  files.onChange(() => {
    servers.lookAgain();
    ca.forEach(tellCa);
    identity.forEach(tellIdentity);
  });
  const provider: Provider = {
    addCaCertificateListener(listener) {
      ca.add(listener);
      queueMicrotask(() => tellCa(listener));
    },
    removeCaCertificateListener: (listener) => void ca.delete(listener),
    addIdentityCertificateListener(listener) {
      identity.add(listener);
      queueMicrotask(() => tellIdentity(listener));
    },
    removeIdentityCertificateListener: (listener) => void identity.delete(listener),
  };
  const own = files.content.cert === undefined ? null : provider;
  const credentials = experimental.createCertificateProviderChannelCredentials(provider, own);
  return tellingConnections(credentials, (socket) => servers.note(socket));
}

/** gRPC shows nobody its connections; each begins with this. */
function tellingConnections(credentials: ChannelCredentials, tell: (socket: TLSSocket) => void): ChannelCredentials {
  const newConnector = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...target) => {
    const connector = newConnector(...target);
    const connect = connector.connect.bind(connector);
    connector.connect = async (socket) => {
      const connected = await connect(socket);
      tell(connected.socket as TLSSocket);
      return connected;
    };
    return connector;
  };
  return credentials;
}
