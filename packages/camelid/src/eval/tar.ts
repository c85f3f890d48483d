/** Files of a tar archive: what a benchmark's authors packed with plain `tar`. */
import { damaged } from "./data-folder.js";

const BLOCK = 512;

/** Regular files by name, as views into `bytes`. @throws {DataError} ERR_EVAL_DATA_DAMAGED when the archive is cut or no tar */
export function readTar(bytes: Uint8Array, where: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const header = bytes.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    if (!checksumHolds(header)) throw damaged(`${where} byte ${at}`, "not a tar archive");
    const size = octal(header.subarray(124, 136));
    const type = String.fromCharCode(header[156]!);
    const start = at + BLOCK;
    if (!Number.isSafeInteger(size) || start + size > bytes.length)
      throw damaged(where, "the archive ends early");
    const data = bytes.subarray(start, start + size);
    if (type === "L") longName = text(data);
    else {
      const prefix = text(header.subarray(345, 500));
      const name = longName ?? (prefix === "" ? "" : `${prefix}/`) + text(header.subarray(0, 100));
      if (type === "0" || type === "\0") files.set(name.replace(/^\.\//, ""), data);
      longName = undefined;
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function checksumHolds(header: Uint8Array): boolean {
  let sum = 8 * 0x20; // the field itself counts as spaces
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!;
  return sum === octal(header.subarray(148, 156));
}

function octal(field: Uint8Array): number {
  return Number.parseInt(text(field).trim(), 8);
}

function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}
