import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { AppendFile } from "./append-file.js";
import { isTemporaryName, writeFileAtomic, writeFolderAtomic } from "./atomic-write.js";
import { cacheDirectory } from "./cache-directory.js";
import { fileError } from "./file-error.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "camelid-write-"));
});

describe("a file", () => {
  test("is replaced as a whole and leaves nothing beside it", () => {
    const path = join(folder, "a.json");
    writeFileAtomic(path, "old");
    writeFileAtomic(path, new Uint8Array([110, 101, 119]));
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(folder)).toEqual(["a.json"]);
  });

  test("that cannot take its name leaves the target and the folder as they were", () => {
    const path = join(folder, "target");
    mkdirSync(join(path, "full"), { recursive: true });
    expect(() => writeFileAtomic(path, "x")).toThrow();
    expect(readdirSync(folder)).toEqual(["target"]);
  });
});

describe("a folder", () => {
  test("appears only when it is complete", async () => {
    const path = join(folder, "checkpoints", "step-1");
    await writeFolderAtomic(path, (temporary) => {
      expect(existsSync(path)).toBe(false);
      expect(isTemporaryName(readdirSync(join(folder, "checkpoints"))[0]!)).toBe(true);
      mkdirSync(join(temporary, "inner"));
      writeFileSync(join(temporary, "inner", "a"), "1");
    });
    expect(readFileSync(join(path, "inner", "a"), "utf8")).toBe("1");
    expect(readdirSync(join(folder, "checkpoints"))).toEqual(["step-1"]);
  });

  test("whose writing fails is absent", async () => {
    const path = join(folder, "step-1");
    const fill = (temporary: string) => {
      writeFileSync(join(temporary, "half"), "1");
      throw new Error("no more");
    };
    await expect(writeFolderAtomic(path, fill)).rejects.toThrow("no more");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("that is there is never replaced", async () => {
    const path = join(folder, "step-1");
    const write = (text: string) => writeFolderAtomic(path, (at) => writeFileSync(join(at, "a"), text));
    await write("old");
    await expect(write("new")).rejects.toMatchObject({ code: "ERR_FOLDER_EXISTS" });
    expect(readFileSync(join(path, "a"), "utf8")).toBe("old");
  });
});

test("appending after a line without an end starts a new line", () => {
  const path = join(folder, "log");
  writeFileSync(path, "cut");
  const file = new AppendFile(path);
  file.append("whole");
  file.close();
  expect(readFileSync(path, "utf8")).toBe("cut\nwhole\n");
});

test.skipIf(!existsSync("/dev/full"))("a full disk is told as such", () => {
  const file = new AppendFile("/dev/full");
  expect(() => file.append("x")).toThrowError(
    expect.objectContaining({ code: "ERR_DISK_FULL", exitCode: 1 }),
  );
  file.close();
});

test.each([
  ["ENOSPC", "ERR_DISK_FULL"],
  ["EDQUOT", "ERR_DISK_FULL"],
  ["EROFS", "ERR_NOT_WRITABLE"],
  ["EACCES", "ERR_NOT_WRITABLE"],
  ["ENAMETOOLONG", "ERR_NOT_WRITABLE"],
])("the system's %s becomes %s, with the place and a way out", (system, code) => {
  const cause = Object.assign(new Error(system), { code: system });
  expect(fileError(cause, "/out/x")).toMatchObject({ code, where: "/out/x", fix: expect.any(String), cause });
});

describe("the cache folder", () => {
  const at = (env: Record<string, string>, platform: NodeJS.Platform = "linux") =>
    cacheDirectory({ env, platform, home: "/home/ana" });

  test.each([
    [{ CAMELID_CACHE: "/c", XDG_CACHE_HOME: "/x" }, "linux", "/c"],
    [{ XDG_CACHE_HOME: "/x" }, "linux", "/x/camelid"],
    [{ XDG_CACHE_HOME: "relative" }, "linux", "/home/ana/.cache/camelid"],
    [{ CAMELID_CACHE: "" }, "linux", "/home/ana/.cache/camelid"],
    [{}, "darwin", "/home/ana/Library/Caches/camelid"],
    [{ XDG_CACHE_HOME: "/x" }, "darwin", "/x/camelid"],
  ] as const)("%o on %s is %s", (env, platform, path) => {
    expect(at(env as Record<string, string>, platform)).toBe(path);
  });

  test("a relative CAMELID_CACHE is an error, not a cache in every folder", () => {
    expect(() => at({ CAMELID_CACHE: "cache" })).toThrowError(
      expect.objectContaining({ code: "ERR_CACHE_PATH", exitCode: 2 }),
    );
  });
});
