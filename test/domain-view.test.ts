import { type ServerUnaryCall, type sendUnaryData, Server, ServerCredentials } from '@grpc/grpc-js';
import { DomainView } from '@keyfleet/frontend/hsm/domain-view';
import { DomainManager } from '@keyfleet/proto';
import { noNotices } from '@keyfleet/shared/notices';
import { describe, expect, test } from 'vitest';
import { TestDomain } from './support/domain.ts';
import { until } from './support/loopback-worker.ts';

/** A domain-manager that shows whatever tokens it is given. */
class ShowsTokens implements AsyncDisposable {
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

function startView(domain: TestDomain, managers: readonly { address: string }[]) {
  const problems: unknown[] = [];
  const view = new DomainView({
    anchor: domain.anchor,
    domainManagers: managers.map(({ address }) => address),
    notices: noNotices,
    onProblem: (_address, error) => problems.push(error),
  });
  return { view, problems, [Symbol.asyncDispose]: () => view[Symbol.asyncDispose]() };
}

describe('the domain view', () => {
  test('follows the chain from the trust anchor as it grows', async () => {
    const domain = new TestDomain();
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    await using follower = startView(domain, [manager]);
    await until(() => follower.view.state?.generation === 1);
    domain.rotate();
    follower.view.look();
    await until(() => follower.view.state?.generation === 2);
    expect(follower.problems).toEqual([]);
  });

  test('knows nothing from a domain-manager that shows another domain of the same name', async () => {
    await using manager = await ShowsTokens.start();
    manager.tokens = new TestDomain().tokens;
    await using follower = startView(new TestDomain(), [manager]);
    await until(() => follower.problems.length > 0);
    expect(follower.view.state).toBeUndefined();
  });

  test('keeps what it verified when a token does not follow', async () => {
    const domain = new TestDomain();
    const other = new TestDomain();
    other.rotate();
    await using manager = await ShowsTokens.start();
    manager.tokens = [domain.tokens[0]!, other.tokens[1]!];
    await using follower = startView(domain, [manager]);
    await until(() => follower.problems.length > 0);
    expect(follower.view.state?.generation).toBe(1);
  });

  test('asks the next domain-manager when one is away', async () => {
    const domain = new TestDomain();
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    await using follower = startView(domain, [{ address: '127.0.0.1:1' }, manager]);
    await until(() => follower.view.state?.generation === 1);
    expect(follower.problems.length).toBeGreaterThan(0);
  });

  test('looks again by itself until there is a domain', async () => {
    const domain = new TestDomain();
    await using manager = await ShowsTokens.start();
    await using follower = startView(domain, [manager]);
    await until(() => manager.asked > 1);
    manager.tokens = domain.tokens;
    await until(() => follower.view.state !== undefined);
  });
});
