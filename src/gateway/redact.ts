/** An upstream that repeats one of our credentials must not hand it to a client. */

export const redaction = "[redacted]";

/** The bytes themselves when they repeat none of the secrets. */
export function redact(body: Buffer, secrets: readonly string[]): Buffer {
  let clean = body;
  for (const secret of secrets) {
    if (clean.includes(secret)) clean = Buffer.from(clean.toString("utf8").replaceAll(secret, redaction));
  }
  return clean;
}

export function redactText(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) clean = clean.replaceAll(secret, redaction);
  return clean;
}
