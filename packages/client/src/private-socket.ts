import { type Server, ServerCredentials } from '@grpc/grpc-js';

/** Listens on a Unix socket that only its owner may open. The path must not exist yet. */
export async function listenPrivately(server: Server, socket: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  } finally {
    process.umask(before);
  }
}
