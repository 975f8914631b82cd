import type { ServiceDefinition } from '@grpc/grpc-js';

/** A page has 64 domain tokens, and no other request of ours as many fields. */
const MAX_REQUEST_FIELDS = 1_000;
/** A domain's status names 4,096 domain keys at most, and no other answer of ours as much. */
const MAX_ANSWER_FIELDS = 8_192;

/**
 * Throws for a Protocol Buffers message (protobuf.dev, "Encoding") with more fields than that. Each becomes an object
 * when the message is decoded, also one without bytes: four megabytes can hold two million.
 */
function assertFewFields(message: Buffer, most: number): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const skip = (bytes: number): void => void (at += bytes);
  for (let fields = 0; at < message.length; fields++) {
    if (fields === most) throw new Error('the message has too many fields');
    const type = varint() & 7;
    if (type === 0) varint();
    else if (type === 1) skip(8);
    else if (type === 2) skip(varint());
    else if (type === 5) skip(4);
    else throw new Error('the message has a field of no type that is used');
  }
}

/** A service whose requests are looked at first: they are decoded before anybody asks who signed them. */
export function ofFewFields<Service extends ServiceDefinition>(service: Service): Service {
  const methods = Object.entries(service).map(([name, method]) => {
    const requestDeserialize = (request: Buffer): unknown => {
      assertFewFields(request, MAX_REQUEST_FIELDS);
      return method.requestDeserialize(request);
    };
    return [name, method.requestStream ? method : { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods) as Service;
}

/** Reads an answer, looking at it first: who answers may be anybody. */
export function answerOfFewFields<Answer>(deserialize: (answer: Buffer) => Answer): (answer: Buffer) => Answer {
  return (answer) => {
    assertFewFields(answer, MAX_ANSWER_FIELDS);
    return deserialize(answer);
  };
}
