import { socketFrom } from '@keyfleet/test-support/sockets';
import type { Socket } from 'node:net';
import { TestClock } from '@keyfleet/test-support/domain';
import { describe, expect, test, vi } from 'vitest';
import { Connections } from './connections.ts';
import { TrustedProxies } from './trusted-proxies.ts';

const unread = { perPeer: 100, inAll: 150 };
const limits = { connections: 10, strangers: 5, inFlight: 5, strangerUploads: 1, heedMs: 500, unread };

test('a connection from the port of one that was reset is still known when the other has closed', () => {
  const connections = new Connections(limits, new TrustedProxies([]));
  const [reset, next] = [socketFrom('192.0.2.1', 40_000), socketFrom('192.0.2.1', 40_000)];
  for (const socket of [reset, next]) connections.admit(socket, () => undefined);
  reset.emit('close');
  expect(connections.of(next)?.socket).toBe(next);
  next.emit('close');
  expect(connections.of(next)).toBeUndefined();
});

describe('who connects again and again', () => {
  const many = { ...limits, connections: 10_000 };
  let port = 1_024;
  const newConnections = (...proxies: string[]) => new Connections(many, new TrustedProxies(proxies), new TestClock());
  const connect = (connections: Connections, address: string) => {
    const socket = socketFrom(address, port++);
    let isServed = false;
    connections.admit(socket, () => (isServed = true));
    return { socket, isServed };
  };

  test('is served two thousand times at once, then waits; who comes from elsewhere does not', () => {
    const connections = newConnections('198.51.100.0/24');
    for (let i = 0; i < 2_000; i++) expect(connect(connections, '192.0.2.1').isServed).toBe(true);
    expect(connect(connections, '192.0.2.1').isServed).toBe(false);
    expect(connect(connections, '192.0.2.2').isServed).toBe(true);
    for (let i = 0; i < 2_100; i++) expect(connect(connections, '198.51.100.1').isServed).toBe(true);
  });

  test('with genuine signatures is served each time', () => {
    const connections = newConnections();
    for (let i = 0; i < 3_000; i++) {
      const { socket, isServed } = connect(connections, '192.0.2.1');
      expect(isServed).toBe(true);
      connections.of(socket)!.prove();
      connections.of(socket)!.prove();
      socket.emit('close');
    }
  });

  test('waits a hundredth of a second for each that is served before it, and for none that cost nothing', () => {
    vi.useFakeTimers();
    const connections = newConnections();
    for (let i = 0; i < 3_000; i++) connect(connections, '192.0.2.1').socket.emit('close');
    for (let i = 0; i < 2_000; i++) {
      const { socket, isServed } = connect(connections, '192.0.2.1');
      expect(isServed).toBe(true);
      sent(socket).emit('close');
    }
    for (let i = 0; i < 3_000; i++) sent(connect(connections, '192.0.2.1').socket).emit('close');
    const served = vi.fn<() => void>();
    connections.admit(socketFrom('192.0.2.1', port++), served);
    vi.advanceTimersByTime(9);
    expect(served).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(served).toHaveBeenCalled();
    vi.useRealTimers();
  });

  test('and brings a genuine signature has the one read that waits longest', () => {
    const connections = newConnections();
    const [first] = Array.from({ length: 2_000 }, () => connect(connections, '192.0.2.1'));
    const served: string[] = [];
    for (const name of ['second', 'third']) connections.admit(socketFrom('192.0.2.1', port++), () => served.push(name));
    expect(served).toEqual([]);
    connections.of(first!.socket)!.prove();
    expect(served).toEqual(['second']);
  });

  test('owes nothing for those that waited, once all have brought genuine signatures', () => {
    const connections = newConnections();
    const sockets = Array.from({ length: 2_002 }, () => connect(connections, '192.0.2.1').socket);
    for (const socket of sockets) connections.of(socket)!.prove();
    for (let i = 0; i < 2_000; i++) expect(connect(connections, '192.0.2.1').isServed).toBe(true);
    expect(connect(connections, '192.0.2.1').isServed).toBe(false);
  });

  test('is ended while it waits, and when it comes, once the port takes no more', () => {
    const connections = newConnections();
    const [read] = Array.from({ length: 2_000 }, () => connect(connections, '192.0.2.1'));
    const waiting = [connect(connections, '192.0.2.1'), connect(connections, '192.0.2.1')];
    connections.close();
    expect(waiting.map(({ socket }) => socket.destroyed)).toEqual([true, true]);
    expect(read!.socket.destroyed).toBe(false);
    const late = connect(connections, '192.0.2.2');
    expect(late).toMatchObject({ isServed: false, socket: { destroyed: true } });
  });

  test('keeps who waits there from nothing: the newest gives way', () => {
    vi.useFakeTimers();
    const connections = newConnections();
    for (let i = 0; i < 2_000; i++) sent(connect(connections, '192.0.2.1').socket).emit('close');
    const served = vi.fn<() => void>();
    const first = socketFrom('192.0.2.1', port++);
    connections.admit(first, served);
    const gone = Array.from({ length: 100 }, () => connect(connections, '192.0.2.1').socket.destroyed);
    expect(gone.filter(Boolean)).toHaveLength(99);
    expect(first.destroyed).toBe(false);
    vi.advanceTimersByTime(10);
    expect(served).toHaveBeenCalled();
    vi.useRealTimers();
  });
});

describe('a connection on which somebody has proven an identity', () => {
  const newPort = () => {
    const clock = new TestClock();
    const connections = new Connections(limits, new TrustedProxies([]), clock);
    let port = 1_024;
    const connect = (address: string, isKnown = true) => {
      const socket = socketFrom(address, port++);
      connections.admit(socket, () => undefined);
      const connection = connections.of(socket)!;
      if (isKnown) connection.prove();
      return connection;
    };
    return { clock, connect };
  };
  const gone = (connections: readonly { socket: Socket }[]) => connections.map(({ socket }) => socket.destroyed);

  test('keeps its place for five minutes after the last genuine signature, and then gives way', () => {
    const { clock, connect } = newPort();
    const all = Array.from({ length: 10 }, () => connect('192.0.2.1'));
    const [first, second] = all;
    clock.advance(240_000);
    first!.prove();
    const early = connect('192.0.2.2', false);
    expect(gone([...all, early])).toEqual([...all.map(() => false), true]);
    early.socket.emit('close');
    clock.advance(60_000);
    expect(connect('192.0.2.2').socket.destroyed).toBe(false);
    expect(gone(all)).toEqual(all.map((one) => one === second));
    expect(all.map(({ isStrange }) => isStrange)).toEqual(all.map((one) => one !== first));
  });

  test('is a stranger again when it brings none, until the next; and then is answered as often as strangers are', () => {
    const { connect } = newPort();
    const known = connect('192.0.2.1');
    for (let i = 0; i < 200; i++) expect(known.delay()).toBe(0);
    known.doubt();
    const delays = Array.from({ length: 101 }, () => known.delay());
    expect(delays.findIndex((delay) => delay > 0)).toBe(100);
    known.prove();
    expect(known.delay()).toBe(0);
  });

  test('has others of its address read in its place once, however often it is known again', () => {
    const connections = new Connections({ ...limits, connections: 10_000 }, new TrustedProxies([]), new TestClock());
    const served: number[] = [];
    const sockets = Array.from({ length: 2_002 }, (_, index) => {
      const socket = socketFrom('192.0.2.1', 1_024 + index);
      connections.admit(socket, () => served.push(index));
      return socket;
    });
    const connection = connections.of(sockets[0]!)!;
    for (let i = 0; i < 3; i++) {
      connection.prove();
      connection.doubt();
    }
    expect(served.slice(2_000)).toEqual([2_000]);
  });

  test('is not known again once it has closed', () => {
    const { connect } = newPort();
    const all = Array.from({ length: 5 }, () => connect('192.0.2.1'));
    for (const connection of all) {
      connection.socket.emit('close');
      connection.doubt();
      connection.prove();
      connection.doubt();
      expect(connection.isStrange).toBe(false);
    }
  });
});

test('the answer that is unread longest gives way, of the peer that leaves too much unread', () => {
  const connections = new Connections(limits, new TrustedProxies([]));
  const gone: string[] = [];
  const hold = (address: string, bytes: number, name: string) => {
    const socket = socketFrom(address, 5_000 + Number(name));
    connections.admit(socket, () => undefined);
    return connections.of(socket)!.holdAnswer(bytes, () => gone.push(name));
  };
  hold('192.0.2.1', 40, '1');
  const read = hold('192.0.2.1', 40, '2');
  hold('192.0.2.2', 40, '3');
  read();
  hold('192.0.2.1', 40, '4');
  expect(gone).toEqual([]);
  hold('192.0.2.1', 40, '5');
  expect(gone).toEqual(['1']);
  hold('192.0.2.3', 60, '6');
  expect(gone).toEqual(['1', '4']);
});

/** It has sent something. */
function sent(socket: Socket): Socket {
  return Object.defineProperty(socket, 'bytesRead', { value: 1 });
}
