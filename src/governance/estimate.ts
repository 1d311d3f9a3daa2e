/**
 * How many tokens a request may come to, before anybody has counted them: enough to reserve by, and cheap.
 *
 * A prompt is taken to have a token for every four bytes of the body. Text in English has about that; JSON around it
 * makes it a little too much, Chinese or Japanese a little too little. Images and documents within a body are base64,
 * which is far larger than what is billed for it; so stretches of it count a token for every 256 bytes.
 */

const bytesPerToken = 4;
const bytesPerMediaToken = 256;
/** What is looked at as a piece: longer than words, shorter than pictures. */
const pieceBytes = 4096;
/** Of a body with more pieces than this, that many are looked at, evenly spread. */
const mostPieces = 1024;

/** What a request without a limit of its own may answer, where nobody knows better. */
export const defaultOutputTokens = 4096;

/** Tokens of a request's prompt. Looks at few bytes of each piece and at few pieces, so that no body takes a millisecond. */
export function estimateInputTokens(body: Uint8Array): number {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const step = pieceBytes * Math.max(1, Math.ceil(bytes.length / pieceBytes / mostPieces));
  let media = 0;
  for (let start = 0; start + step <= bytes.length; start += step) {
    if (isBase64(bytes.subarray(start, start + pieceBytes))) media += step;
  }
  return Math.ceil((bytes.length - media) / bytesPerToken + media / bytesPerMediaToken);
}

/**
 * Tokens a request may answer: its own limit, else the ceiling.
 *
 * @param maxTokens what the request itself says
 * @param ceiling of the model, where it is known
 */
export function reservedOutputTokens(maxTokens: number | undefined, ceiling = defaultOutputTokens): number {
  return maxTokens !== undefined && Number.isFinite(maxTokens) && maxTokens >= 0 ? Math.ceil(maxTokens) : ceiling;
}

const quote = 0x22;
const space = 0x20;
const samples = 64;

function isBase64(piece: Buffer): boolean {
  if (piece.includes(space) || piece.includes(quote)) return false;
  for (let index = 0; index < piece.length; index += piece.length / samples)
    if (!isBase64Byte(piece[index] ?? 0)) return false;
  return true;
}

function isBase64Byte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2b ||
    byte === 0x2f ||
    byte === 0x3d
  );
}
