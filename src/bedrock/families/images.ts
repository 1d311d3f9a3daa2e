/** Images as the families' bodies hold them: bare base64, or a `data:` URL. */
import type { ImageBlock, ImageFormat } from "../converse.ts";
import { refuseField } from "../errors.ts";
import { readName } from "../reading.ts";

/** How the base64 of each format's first bytes begins. */
const signatures: readonly (readonly [start: string, format: ImageFormat])[] = [
  ["iVBORw0KGgo", "png"],
  ["/9j/", "jpeg"],
  ["R0lGOD", "gif"],
  ["UklGR", "webp"],
];

const dataUrlHead = /^data:image\/(png|jpeg|jpg|gif|webp);base64,/i;
const longestHead = 32;
const accepted = "must be base64 of a png, jpeg, gif or webp image";

/** An image whose bytes came with the request. */
export type SentImage = ImageBlock & { readonly source: { readonly bytes: string } };

/** Base64 alone; the bytes tell the format. */
export function readBareImage(value: unknown, path: string): SentImage {
  const bytes = readName(value, path);
  const format = signatures.find(([start]) => bytes.startsWith(start))?.[1];
  if (format === undefined) throw refuseField(path, accepted);
  return { format, source: { bytes } };
}

/** `data:image/png;base64,…`. Any other address is refused: nothing is fetched for a request. */
export function readDataUrl(value: unknown, path: string): ImageBlock {
  const url = readName(value, path);
  if (!/^data:/i.test(url)) throw refuseField(path, "must be a data: URL; images are not fetched from an address");
  const [head, subtype] = dataUrlHead.exec(url.slice(0, longestHead)) ?? [];
  if (head === undefined || subtype === undefined) throw refuseField(path, `${accepted} in a data: URL`);
  const bytes = url.slice(head.length);
  if (bytes === "") throw refuseField(path, "holds no image");
  return { format: formatOf(subtype.toLowerCase()), source: { bytes } };
}

function formatOf(subtype: string): ImageFormat {
  return signatures.find(([, format]) => format === subtype)?.[1] ?? "jpeg";
}
