/** Lower-case hexadecimal, the form in which hashes and keys stand in JSON and on screens. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of exactly `length`, or null where the text is not their canonical form. */
export function fromHex(text: string, length: number): Uint8Array | null {
  return text.length === 2 * length && /^[0-9a-f]*$/.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : null;
}

/** SHA-256 in lower-case hexadecimal. */
export function isSha256(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
}
