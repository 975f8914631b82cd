/** How an answer failed, in a word or two: the code of AWS's JSON protocol, or HTTP's status. */
export function failureOf(status: number, body: Buffer): string {
  try {
    const { __type: type } = JSON.parse(body.toString()) as { __type?: unknown };
    // A server may put a namespace before the code.
    if (typeof type === 'string') return type.slice(type.indexOf('#') + 1);
  } catch {
    // Not AWS's JSON.
  }
  return `HTTP ${status}`;
}
