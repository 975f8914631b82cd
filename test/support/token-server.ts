import { Server, ServerCredentials } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';

/** A domain-manager that shows what a test puts there, and nothing else. */
export class TokenServer implements Disposable {
  readonly tokens: Buffer[] = [];
  answersAfterMs = 0;
  readonly server = new Server();
  address = '';

  static async start(at = 0): Promise<TokenServer> {
    const one = new TokenServer();
    one.server.addService(DomainManager.service, {
      FetchTokens: (
        call: { request: { after_generation?: number } },
        done: (error: null, response: { tokens: Buffer[] }) => void,
      ) => {
        const answer = () => done(null, { tokens: one.tokens.slice(call.request.after_generation ?? 0) });
        setTimeout(answer, one.answersAfterMs);
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      one.server.bindAsync(`127.0.0.1:${at}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    one.address = `127.0.0.1:${port}`;
    return one;
  }

  [Symbol.dispose](): void {
    this.server.forceShutdown();
  }
}
