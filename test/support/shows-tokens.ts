import { type ServerUnaryCall, type sendUnaryData, Server, ServerCredentials } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';

/** A domain-manager that shows whatever tokens it is given. */
export class ShowsTokens implements AsyncDisposable {
  readonly address: string;
  tokens: Buffer[] = [];
  /** How often it was asked. */
  asked = 0;
  readonly #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.address = `127.0.0.1:${port}`;
  }

  static async start(): Promise<ShowsTokens> {
    const server = new Server();
    server.addService(DomainManager.service, {
      FetchTokens: (
        { request }: ServerUnaryCall<{ after_generation?: number }, object>,
        done: sendUnaryData<{ tokens: Buffer[] }>,
      ) => {
        one.asked++;
        done(null, { tokens: one.tokens.slice(request.after_generation ?? 0) });
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    const one = new ShowsTokens(server, port);
    return one;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }
}
