import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parseCsv } from "./csv.js";
import { DataFolder, type OfficialFile } from "./data-folder.js";
import { downloadFiles } from "./download.js";
import { readTar } from "./tar.js";

const root = mkdtempSync(join(tmpdir(), "camelid-download-"));
let server: Server;
let asked: string[] = [];
let base: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url!);
    const status = request.url!.startsWith("/busy") && asked.length < 3 ? 503 : 200;
    response.writeHead(request.url === "/none" ? 404 : status);
    if (request.url === "/data.tar") response.end(tar({ "data/a.csv": "1,2\n", "data/b.csv": "3\n" }));
    else response.end(request.url === "/packed.gz" ? gzipSync("hello") : "hello");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true });
});
let into: string;
beforeEach(() => {
  asked = [];
  into = mkdtempSync(join(root, "cache-"));
});

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const fetchAll = (files: OfficialFile[], have: string[] = []) =>
  downloadFiles(files, { into, have, pauseMs: 1 });

/** A ustar archive of regular files. */
function tar(files: Record<string, string>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write(text.length.toString(8).padStart(11, "0"), 124);
    header.fill(" ", 148, 156);
    header.write("0", 156);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, Buffer.from(text.padEnd(512, "\0"))];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

test("files are checked, unpacked and put where tasks look for them; what is there is not fetched", async () => {
  const files: OfficialFile[] = [
    { path: "x/plain.txt", url: `${base}/plain`, sha256: sha256("hello") },
    { path: "x/packed.txt", url: `${base}/packed.gz`, sha256: sha256("hello") },
    { path: "y/here.txt", url: `${base}/here` },
    { path: "y/by-hand.txt" },
  ];
  const own = mkdtempSync(join(root, "own-"));
  mkdirSync(join(own, "y"));
  writeFileSync(join(own, "y/here.txt.gz"), gzipSync("mine"));
  expect(await fetchAll(files, [own])).toEqual(["x/plain.txt", "x/packed.txt"]);
  const folder = new DataFolder([own, into], files);
  expect(folder.text("x/packed.txt")).toBe("hello");
  expect(folder.text("y/here.txt")).toBe("mine");
  expect([...folder.used.values()].map(({ state }) => state)).toEqual(["official", "unpinned"]);
  expect(await fetchAll(files, [own])).toEqual([]);
  expect(asked).toEqual(["/plain", "/packed.gz"]);
});

test("other bytes than the pinned ones are an error, and the file stays absent", async () => {
  const files = [{ path: "x/a.txt", url: `${base}/a`, sha256: sha256("something else") }];
  await expect(fetchAll(files)).rejects.toMatchObject({
    code: "ERR_EVAL_CHECKSUM",
    where: expect.stringContaining(sha256("hello")),
  });
  expect(existsSync(join(into, "x/a.txt"))).toBe(false);
});

test("an overloaded server is asked again, a missing page is not", async () => {
  await fetchAll([{ path: "x/b.txt", url: `${base}/busy` }]);
  expect(asked).toHaveLength(3);
  await expect(fetchAll([{ path: "x/c.txt", url: `${base}/none` }])).rejects.toMatchObject({
    code: "ERR_EVAL_DOWNLOAD",
    message: expect.stringContaining("404"),
  });
  expect(asked).toHaveLength(4);
});

test("members of an archive come with one download", async () => {
  const member = (name: string): OfficialFile => ({
    path: `m/data/${name}.csv`,
    url: `${base}/data.tar`,
    member: `data/${name}.csv`,
  });
  await fetchAll([member("a"), member("b")]);
  expect(asked).toEqual(["/data.tar"]);
  expect(readFileSync(join(into, "m/data/b.csv"), "utf8")).toBe("3\n");
  await expect(fetchAll([member("c")])).rejects.toMatchObject({
    message: expect.stringContaining("no data/c.csv"),
  });
});

test("an archive that is cut, or none, is refused", () => {
  const whole = tar({ "a.txt": "x".repeat(300) });
  expect(() => readTar(whole.subarray(0, 600), "a.tar")).toThrow(/ends early/);
  expect(() => readTar(Buffer.alloc(2048, 7), "a.tar")).toThrow(/not a tar archive/);
  expect([...readTar(whole, "a.tar").keys()]).toEqual(["a.txt"]);
});

test("an altered file is noted, or an error where that is asked for", () => {
  const files = [{ path: "x/a.txt", sha256: sha256("official") }];
  mkdirSync(join(into, "x"));
  writeFileSync(join(into, "x/a.txt"), "changed");
  const folder = new DataFolder([into], files);
  expect(folder.text("x/a.txt")).toBe("changed");
  expect(folder.used.get("x/a.txt")).toMatchObject({ state: "altered", sha256: sha256("changed") });
  expect(() => new DataFolder([into], files, { strict: true }).text("x/a.txt")).toThrow(
    expect.objectContaining({ code: "ERR_EVAL_DATA_ALTERED" }),
  );
});

test("damaged containers and texts are errors of the file", () => {
  mkdirSync(join(into, "x"));
  writeFileSync(join(into, "x/cut.txt.gz"), gzipSync("hello ".repeat(1000)).subarray(0, 30));
  writeFileSync(join(into, "x/latin.txt"), Buffer.from([0x61, 0xe9, 0x62]));
  const folder = new DataFolder([into], []);
  for (const path of ["x/cut.txt", "x/latin.txt"]) {
    expect(() => folder.text(path)).toThrow(expect.objectContaining({ code: "ERR_EVAL_DATA_DAMAGED" }));
  }
});

test("cells of a table", () => {
  expect(parseCsv('a,"b ""c"", d",\r\n"e\nf",,g\n\nlast', "x.csv")).toEqual([
    ["a", 'b "c", d', ""],
    ["e\nf", "", "g"],
    ["last"],
  ]);
  expect(() => parseCsv('a\n"b', "x.csv")).toThrow(expect.objectContaining({ where: "x.csv line 2" }));
});
