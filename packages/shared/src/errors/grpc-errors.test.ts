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

test('a failure that names no exception is not one', () => {
  expect(exceptionOf('connection refused', undefined)).toBeUndefined();
  expect(exceptionOf('', 'constructor')).toBeUndefined();
});
