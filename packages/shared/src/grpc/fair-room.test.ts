import { expect, test } from 'vitest';
import { FairRoom } from './fair-room.ts';

function roomOf(room: { perPeer: number; inAll: number }) {
  const gone: string[] = [];
  return { gone, room: new FairRoom<string>(room, (thing) => gone.push(thing)) };
}

test('the oldest of a peer gives way when the peer has too much', () => {
  const { room, gone } = roomOf({ perPeer: 2, inAll: 10 });
  for (const thing of ['a', 'b', 'c']) room.add('peer', thing, 1);
  room.add('other', 'x', 1);
  expect(gone).toEqual(['a']);
  expect(room.weight).toBe(3);
});

test('when all together have too much, the oldest of the peer that has most gives way', () => {
  const { room, gone } = roomOf({ perPeer: 3, inAll: 4 });
  room.add('honest', 'first of all', 1);
  for (const thing of ['a', 'b', 'c']) room.add('stranger', thing, 1);
  room.add('late', 'x', 1);
  expect(gone).toEqual(['a']);
});

test('a thing that grows counts with all that it has become', () => {
  const { room, gone } = roomOf({ perPeer: 10, inAll: 10 });
  room.add('peer', 'a', 1);
  room.add('peer', 'b', 1);
  room.add('peer', 'b', 8);
  expect(gone).toEqual([]);
  room.add('peer', 'b', 1);
  expect(gone).toEqual(['a']);
});

test('an item that has left takes no room, and one that is larger than the room leaves at once', () => {
  const { room, gone } = roomOf({ perPeer: 2, inAll: 2 });
  room.add('peer', 'a', 2);
  room.remove('peer', 'a');
  room.remove('peer', 'a');
  expect(room.weight).toBe(0);
  room.add('peer', 'b', 3);
  expect(gone).toEqual(['b']);
  expect(room.weight).toBe(0);
});
