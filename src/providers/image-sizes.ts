/** The sizes an image model offers, and the one that comes nearest to what was asked for. */
import type { ImageSize } from "../bedrock/families/family.ts";

/** `1024x1024` in pixels, or `16:9`. */
export type OfferedSize = `${number}x${number}` | `${number}:${number}`;

export interface ChosenSize {
  /** As the provider is told; undefined when nothing was asked for. */
  readonly name: string | undefined;
  /** The client's paths, when it gets another size than it asked for. */
  readonly ignored: readonly string[];
}

/**
 * Chooses by shape; among those of the same shape, by how many pixels there are.
 *
 * @param drawn pixels of an offered shape, where the provider is told only the shape; undefined: it does not say
 */
export function chooseSize(
  size: ImageSize | undefined,
  offered: readonly [OfferedSize, ...OfferedSize[]],
  drawn?: Readonly<Record<string, `${number}x${number}`>>,
): ChosenSize {
  if (size === undefined) return { name: undefined, ignored: [] };
  let [best] = offered;
  for (const one of offered) if (isNearer(size, one, best)) best = one;
  const pixels = drawn?.[best] ?? best;
  const exact = size.isRatio ? shapeDistance(size, best) === 0 : pixels === `${size.width}x${size.height}`;
  return { name: best, ignored: exact ? [] : size.paths };
}

function isNearer(size: ImageSize, one: OfferedSize, best: OfferedSize): boolean {
  const difference = shapeDistance(size, one) - shapeDistance(size, best);
  if (difference !== 0 || size.isRatio) return difference < 0;
  return pixelDistance(size, one) < pixelDistance(size, best);
}

/** Whole products rather than quotients, so that the same shape has a distance of exactly 0. */
function shapeDistance({ width, height }: ImageSize, offered: OfferedSize): number {
  const [wide, high] = sidesOf(offered);
  return Math.abs(Math.log((width * high) / (height * wide)));
}

function pixelDistance({ width, height }: ImageSize, offered: OfferedSize): number {
  const [wide, high] = sidesOf(offered);
  return Math.abs(Math.log((width * height) / (wide * high)));
}

function sidesOf(offered: OfferedSize): readonly [width: number, height: number] {
  const [width = "1", height = "1"] = offered.split(/[x:]/);
  return [Number(width), Number(height)];
}
