import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireDiskSpace } from "./disk-space.js";

test("a result that has no room is an error before anything is trained", () => {
  expect(() => requireDiskSpace("out/run", 3 * 2 ** 30, 2 ** 20)).toThrow(
    expect.objectContaining({
      code: "ERR_DISK_SPACE",
      message: "the result takes 3,072 MiB, and the disk has 1 MiB.",
      where: "out/run",
    }),
  );
  requireDiskSpace("out/run", 2 ** 20, 2 ** 20);
});

test("the room is that of the nearest folder that is there", () => {
  const out = join(tmpdir(), "not/there/yet");
  requireDiskSpace(out, 1);
  expect(() => requireDiskSpace(out, 2 ** 60)).toThrow(/the disk has [1-9]/);
});
