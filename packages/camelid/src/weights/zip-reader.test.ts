import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { zipArchive } from "../../../../tests/faults/zip-assembler.js";
import { ModelError } from "../errors.js";
import { FileBytes } from "./file-bytes.js";
import { readZipDirectory } from "./zip-reader.js";

const root = mkdtempSync(join(tmpdir(), "zip-"));
afterAll(() => rmSync(root, { recursive: true }));

function directory(bytes: Uint8Array) {
  const path = join(root, "archive.bin");
  writeFileSync(path, bytes);
  using file = new FileBytes(path);
  return readZipDirectory(file);
}

const a = { name: "model/a", data: Buffer.from("first") };
const b = { name: "model/b", data: Buffer.from("second entry") };

test("every entry has the place of its data", () => {
  const archive = zipArchive([a, b]);
  const entries = directory(archive);
  for (const { name, data } of [a, b]) {
    const { offset = 0, size = 0 } = entries.get(name) ?? {};
    expect(archive.subarray(offset, offset + size)).toEqual(data);
  }
});

test("a comment at the end is skipped", () => {
  const archive = zipArchive([a]);
  archive.writeUInt16LE(3, archive.byteLength - 2);
  expect(directory(Buffer.concat([archive, Buffer.from("abc")])).size).toBe(1);
});

test.each([
  ["a compressed entry", zipArchive([{ ...a, method: 8 }]), 'entry "model/a" is compressed'],
  [
    "sizes that differ",
    zipArchive([{ ...a, size: 10 ** 9, storedSize: 5 }]),
    'entry "model/a" is compressed',
  ],
  ["an encrypted entry", zipArchive([{ ...a, flags: 1 }]), 'entry "model/a" is encrypted'],
  ["two entries of one name", zipArchive([a, a]), 'two entries "model/a"'],
  [
    "two entries at one place",
    zipArchive([
      { ...a, name: "model/b", localName: "model/b" },
      { ...b, localOffset: 0 },
    ]),
    "two entries",
  ],
  ["overlapping entries", zipArchive([{ ...a, size: 50 }, b]), 'entries "model/a" and "model/b" overlap'],
  [
    "a size past the data",
    zipArchive([{ ...a, size: 10 ** 9 }]),
    'entry "model/a" reaches past the end of the data',
  ],
  [
    "a place past the data",
    zipArchive([{ ...a, localOffset: 10 ** 9 }]),
    'entry "model/a" lies outside of the data',
  ],
  [
    "a place in the middle",
    zipArchive([{ ...a, localOffset: 1 }]),
    'entry "model/a" is not where it should be',
  ],
  [
    "another name at the place",
    zipArchive([{ ...a, localName: "model/x" }]),
    'entry "model/a" is called "model/x"',
  ],
  [
    "a 64-bit size that is not given",
    zipArchive([{ ...a, size: 0xffffffff }]),
    'entry "model/a" lacks its 64-bit sizes',
  ],
  ["more entries than there are", zipArchive([a], { count: 2 }), "its directory claims 2 entries"],
  ["fewer bytes of directory", zipArchive([a], { size: 50 }), "its directory ends early"],
  ["a directory somewhere else", zipArchive([a, b], { offset: 3 }), "its directory is broken"],
  [
    "a directory past the end",
    zipArchive([a], { offset: 10 ** 9 }),
    "its directory lies outside of the file",
  ],
  ["no end", zipArchive([a]).subarray(0, -1), "its end is missing"],
  ["an empty file", Buffer.alloc(0), "its end is missing"],
])("%s is refused", (_, archive, message) => {
  expect(() => directory(archive)).toThrow(message);
  expect(() => directory(archive)).toThrow(ModelError);
});
