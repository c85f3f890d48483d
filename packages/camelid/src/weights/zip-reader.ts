import { ModelError } from "../errors.js";
import type { FileBytes } from "./file-bytes.js";

/**
 * The zip archives that `torch.save` writes: entries are stored as they are (never compressed), each at a place of
 * its own, with 64-bit sizes where needed. Because compressed and overlapping entries are refused, an archive
 * can never hold more than its own size: there is no zip bomb to defend against later.
 *
 * Layout: APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3.6 to 4.3.16 and 4.5.3.
 */
export interface ZipEntry {
  name: string;
  /** Of the data, past the local header. */
  offset: number;
  size: number;
  /** 0 where the writer was told to compute none (`torch.serialization.set_crc32_options`). */
  crc32: number;
}

const LOCAL_HEADER = { signature: 0x04034b50, bytes: 30 };
const DIRECTORY_HEADER = { signature: 0x02014b50, bytes: 46 };
const END = { signature: 0x06054b50, bytes: 22, maxComment: 0xffff };
const END64_LOCATOR = { signature: 0x07064b50, bytes: 20 };
const END64 = { signature: 0x06064b50, bytes: 56 };
const ZIP64_FIELD = 0x0001;

/** About 100 bytes an entry and one entry a tensor: room for half a million tensors. */
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024;

/** Zip archives start with a local header; torch's older format starts with a pickle. */
export function isZip(file: FileBytes): boolean {
  return file.size >= END.bytes && view(file.read(0, 4)).getUint32(0, true) === LOCAL_HEADER.signature;
}

/**
 * @returns every entry by name
 * @throws {ModelError} for anything that is not a plain stored archive lying wholly inside the file
 */
export function readZipDirectory(file: FileBytes): Map<string, ZipEntry> {
  const { offset, size, count } = findDirectory(file);
  const directory = file.read(offset, size);
  const bytes = view(directory);
  const entries = new Map<string, ZipEntry>();
  const spans: { name: string; start: number; end: number }[] = [];
  let position = 0;
  for (let index = 0; index < count; index++) {
    if (position + DIRECTORY_HEADER.bytes > size) throw damaged(file, "its directory ends early");
    if (bytes.getUint32(position, true) !== DIRECTORY_HEADER.signature)
      throw damaged(file, "its directory is broken");
    const nameLength = bytes.getUint16(position + 28, true);
    const extraLength = bytes.getUint16(position + 30, true);
    const extraStart = position + DIRECTORY_HEADER.bytes + nameLength;
    const next = extraStart + extraLength + bytes.getUint16(position + 32, true);
    if (next > size) throw damaged(file, "its directory ends early");

    const name = text(directory.subarray(position + DIRECTORY_HEADER.bytes, extraStart));
    if (bytes.getUint16(position + 8, true) & 1) throw refused(file, name, "is encrypted");
    if (bytes.getUint16(position + 10, true) !== 0) throw refused(file, name, "is compressed");
    const wide = wideFields(bytes, position, extraStart, extraLength);
    if (wide === undefined) throw damaged(file, `entry "${name}" lacks its 64-bit sizes`);
    if (wide.size !== wide.storedSize) throw refused(file, name, "is compressed");
    if (entries.has(name)) throw damaged(file, `it has two entries "${name}"`);

    const start = wide.localHeader;
    const dataOffset = start + localHeaderLength(file, name, start, offset);
    const end = dataOffset + wide.size;
    if (end > offset) throw damaged(file, `entry "${name}" reaches past the end of the data`);
    spans.push({ name, start, end });
    entries.set(name, {
      name,
      offset: dataOffset,
      size: wide.size,
      crc32: bytes.getUint32(position + 16, true),
    });
    position = next;
  }
  checkOverlap(file, spans);
  return entries;
}

/** The end-of-archive record says where the directory is; a 64-bit one before it goes first. */
function findDirectory(file: FileBytes): { offset: number; size: number; count: number } {
  const tailLength = Math.min(file.size, END.bytes + END.maxComment);
  const tailStart = file.size - tailLength;
  const tail = view(file.read(tailStart, tailLength));
  let at = tailLength - END.bytes;
  const isEnd = () =>
    tail.getUint32(at, true) === END.signature &&
    at + END.bytes + tail.getUint16(at + 20, true) === tailLength;
  while (at >= 0 && !isEnd()) at--;
  if (at < 0) throw damaged(file, "its end is missing");

  let limit = tailStart + at;
  let count = tail.getUint16(at + 10, true);
  let size = tail.getUint32(at + 12, true);
  let offset = tail.getUint32(at + 16, true);
  const locator = limit - END64_LOCATOR.bytes;
  const wide = locator < 0 ? undefined : view(file.read(locator, END64_LOCATOR.bytes));
  if (wide?.getUint32(0, true) === END64_LOCATOR.signature) {
    limit = toNumber(wide.getBigUint64(8, true));
    if (limit + END64.bytes > locator) throw damaged(file, "its 64-bit end record lies elsewhere");
    const end = view(file.read(limit, END64.bytes));
    if (end.getUint32(0, true) !== END64.signature) throw damaged(file, "its 64-bit end record is broken");
    count = toNumber(end.getBigUint64(32, true));
    size = toNumber(end.getBigUint64(40, true));
    offset = toNumber(end.getBigUint64(48, true));
  }
  if (offset + size > limit) throw damaged(file, "its directory lies outside of the file");
  if (size > MAX_DIRECTORY_BYTES) throw damaged(file, `its directory claims ${size} bytes`);
  if (count * DIRECTORY_HEADER.bytes > size) throw damaged(file, `its directory claims ${count} entries`);
  return { offset, size, count };
}

/** Sizes and place of an entry; a field of all ones stands for a 64-bit value in the extra fields, in this order. */
function wideFields(bytes: DataView, position: number, extraStart: number, extraLength: number) {
  let field = 0;
  let fieldEnd = 0;
  for (let at = extraStart; at + 4 <= extraStart + extraLength; ) {
    const end = at + 4 + bytes.getUint16(at + 2, true);
    if (bytes.getUint16(at, true) === ZIP64_FIELD && end <= extraStart + extraLength) {
      field = at + 4;
      fieldEnd = end;
    }
    at = end;
  }
  const read = (at: number): number => {
    const narrow = bytes.getUint32(at, true);
    if (narrow !== 0xffffffff) return narrow;
    if (field + 8 > fieldEnd) return Number.NaN;
    field += 8;
    return toNumber(bytes.getBigUint64(field - 8, true));
  };
  const size = read(position + 24);
  const storedSize = read(position + 20);
  const localHeader = read(position + 42);
  return Number.isNaN(size + storedSize + localHeader) ? undefined : { size, storedSize, localHeader };
}

/** Bytes from the start of an entry to its data; the local header repeats the name, so lies show. */
function localHeaderLength(file: FileBytes, name: string, start: number, limit: number): number {
  if (start + LOCAL_HEADER.bytes > limit) throw damaged(file, `entry "${name}" lies outside of the data`);
  const header = view(file.read(start, LOCAL_HEADER.bytes));
  if (header.getUint32(0, true) !== LOCAL_HEADER.signature)
    throw damaged(file, `entry "${name}" is not where it should be`);
  if (header.getUint16(8, true) !== 0) throw refused(file, name, "is compressed");
  const nameLength = header.getUint16(26, true);
  const length = LOCAL_HEADER.bytes + nameLength + header.getUint16(28, true);
  if (start + length > limit) throw damaged(file, `entry "${name}" lies outside of the data`);
  const localName = text(file.read(start + LOCAL_HEADER.bytes, nameLength));
  if (localName !== name) throw damaged(file, `entry "${name}" is called "${localName}" in its own header`);
  return length;
}

function checkOverlap(file: FileBytes, spans: { name: string; start: number; end: number }[]): void {
  spans.sort((a, b) => a.start - b.start);
  for (const [index, span] of spans.entries()) {
    const next = spans[index + 1];
    if (next !== undefined && next.start < span.end) {
      throw damaged(file, `entries "${span.name}" and "${next.name}" overlap`);
    }
  }
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
/** Past 2^53 the exact value no longer matters: it is larger than any file, and compared with the file's size. */
const toNumber = (value: bigint) => Number(value);

function damaged(file: FileBytes, what: string): ModelError {
  return new ModelError("ERR_ZIP_DAMAGED", `the archive is damaged: ${what}.`, {
    where: file.path,
    fix: "download or save the file again.",
  });
}

function refused(file: FileBytes, name: string, what: string): ModelError {
  return new ModelError(
    "ERR_ZIP_ENTRY",
    `entry "${name.slice(0, 120)}" ${what}; torch.save stores entries as they are.`,
    {
      where: file.path,
      fix: "save the file again with torch.save, or convert it to safetensors.",
    },
  );
}
