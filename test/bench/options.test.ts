import { describe, expect, test } from "vitest";
import { countsTo } from "../../bench/gateway/scale.ts";
import { readOptions } from "../../bench/options.ts";

describe("the command line", () => {
  test("measures everything when it says nothing", () => {
    expect(readOptions([])).toMatchObject({ mode: "all", pace: { rounds: 5, restMs: 10_000 }, micro: { rounds: 3 } });
  });

  test("may ask for less, or for longer", () => {
    expect(readOptions(["micro", "--quick"])).toMatchObject({ mode: "micro", micro: { rounds: 1 } });
    expect(readOptions(["gateway", "--rounds", "7", "--rest", "600"])).toMatchObject({
      pace: { rounds: 7, restMs: 600_000 },
    });
    expect(readOptions(["soak", "--minutes", "5"])).toMatchObject({ minutes: 5, pace: { restMs: 600_000 } });
    expect(readOptions(["compare", "a", "b", "--tolerance", "0.2"])).toMatchObject({
      files: ["a", "b"],
      tolerance: 0.2,
    });
  });

  test("names other gateways on this machine, with their process where it is known", () => {
    const peers = ["--peer", "litellm=http://127.0.0.1:4000,pid=12", "--peer", "bifrost=http://localhost:8080/openai/"];
    expect(readOptions(peers)).toMatchObject({
      peers: [
        { name: "litellm", port: 4000, prefix: "", pid: 12 },
        { name: "bifrost", port: 8080, prefix: "/openai", pid: undefined },
      ],
    });
  });

  test.each([
    [["--rounds", "0"], /--rounds takes a whole number from 1 to 20/],
    [["--rounds", "many"], /--rounds/],
    [["--tolerance", "2"], /--tolerance takes a number from 0 to 1/],
    [["fly"], /there is no mode "fly"/],
    [["compare", "one.json"], /two files/],
    [["micro", "one.json"], /takes no file/],
    [["--nonsense"], /nonsense/],
    [["--peer", "other"], /a peer is NAME=http/],
    [["--peer", "far=http://example.com:1"], /has to run on this machine/],
  ])("is refused as %j", (args, problem) => {
    expect(readOptions(args)).toMatch(problem);
  });
});

describe("a curve", () => {
  test("doubles up to its end", () => {
    expect([1, 2, 3, 8, 12].map(countsTo)).toEqual([[1], [1, 2], [1, 2, 3], [1, 2, 4, 8], [1, 2, 4, 8, 12]]);
  });
});
