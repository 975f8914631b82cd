import { expect, test } from 'vitest';
import { type ExceptionCode, exceptions, KmsException } from './exceptions.ts';
import { exceptionOf, grpcErrorOf } from './grpc-errors.ts';

test('every exception survives the way through a gRPC status and trailer', () => {
  for (const code of Object.keys(exceptions) as ExceptionCode[]) {
    const { code: status, details, trailer } = grpcErrorOf(new KmsException(code, 'why'));
    const exception = exceptionOf(details, trailer);
    expect(exception?.code).toBe(code);
    expect(exception?.message).toBe(exceptions[code].text === 'none' ? '' : 'why');
    expect(status).toBeGreaterThan(0);
  }
});

test('a long message is cut to what a trailer can hold, and never within a character', () => {
  for (const message of ['€'.repeat(10_000), '😀'.repeat(10_000), `a${'😀'.repeat(10_000)}`]) {
    const { details } = grpcErrorOf(new KmsException('ValidationException', message));
    expect(details).toHaveLength(4_096);
    expect(encodeURI(details).length).toBeLessThan(40_000);
  }
});

test('a failure that names no exception is not one', () => {
  expect(exceptionOf('connection refused', undefined)).toBeUndefined();
  expect(exceptionOf('', 'constructor')).toBeUndefined();
});
