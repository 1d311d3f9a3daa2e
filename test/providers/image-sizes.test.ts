import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseSize } from "../../src/providers/image-sizes.ts";
import { pixels, ratio } from "./images.ts";

const wide = ["1024x1024", "1536x1024", "1024x1536"] as const;
const squares = ["1024x1024", "512x512", "256x256"] as const;
const shapes = ["1:1", "2:3", "3:2", "16:9", "9:16", "21:9"] as const;

describe("the size an image gets", () => {
  test("is nothing when nothing was asked for", () => {
    expect(chooseSize(undefined, wide)).toEqual({ name: undefined, ignored: [] });
  });

  test.each([
    [pixels(1024, 1024), "1024x1024"],
    [pixels(1536, 1024), "1536x1024"],
    [ratio(1, 1), "1024x1024"],
    [ratio(3, 2), "1536x1024"],
    [ratio(2, 3), "1024x1536"],
  ])("is the one asked for, where it is offered: %j", (size, name) => {
    expect(chooseSize(size, wide)).toEqual({ name, ignored: [] });
  });

  test.each([
    [pixels(768, 1152), "1024x1536"],
    [pixels(1408, 640), "1536x1024"],
    [pixels(512, 512), "1024x1024"],
  ])("is else of the nearest shape, and the client learns of it: %j", (size, name) => {
    expect(chooseSize(size, wide)).toEqual({ name, ignored: ["width", "height"] });
  });

  test("is the nearest in pixels among those of one shape", () => {
    expect(chooseSize(pixels(512, 512), squares)).toEqual({ name: "512x512", ignored: [] });
    expect(chooseSize(pixels(320, 320), squares)).toEqual({ name: "256x256", ignored: ["width", "height"] });
    expect(chooseSize(ratio(1, 1), squares)).toEqual({ name: "1024x1024", ignored: [] });
  });

  test("is exact for a shape only where it is known how large it is drawn", () => {
    const drawn = { "1:1": "1024x1024" } as const;
    expect(chooseSize(pixels(1024, 1024), shapes, drawn)).toEqual({ name: "1:1", ignored: [] });
    expect(chooseSize(pixels(512, 512), shapes, drawn)).toEqual({ name: "1:1", ignored: ["width", "height"] });
    expect(chooseSize(pixels(768, 1152), shapes, drawn)).toEqual({ name: "2:3", ignored: ["width", "height"] });
    expect(chooseSize(ratio(16, 9), shapes, drawn)).toEqual({ name: "16:9", ignored: [] });
    expect(chooseSize(ratio(9, 21), shapes, drawn)).toEqual({ name: "9:16", ignored: ["aspect_ratio"] });
  });

  test("is always one that is offered, and the same for a size and its double", () => {
    const side = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(side, side, (width, height) => {
        const { name } = chooseSize(ratio(width, height), shapes);
        expect(shapes).toContain(name);
        expect(chooseSize(pixels(2 * width, 2 * height), shapes).name).toBe(name);
      }),
    );
  });
});
