import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { SafetensorsError, safetensorsFileError } from "./errors.js";
import { checkHeaderLength, parseSafetensorsHeader, type SafetensorsHeader } from "./safetensors-format.js";

/**
 * Reads and checks the header of a safetensors file; no tensor byte is read.
 * @throws {SafetensorsError} when the file cannot be opened or is not sound from its first to its last byte
 */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    throw safetensorsFileError("cannot be opened", path, cause);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile())
      throw new SafetensorsError("ERR_SAFETENSORS_FILE", "this is not a file.", { where: path });
    const length = checkHeaderLength(readExactly(fd, 0, Math.min(8, stat.size), path), stat.size, path);
    return parseSafetensorsHeader(readExactly(fd, 8, length, path), stat.size, path);
  } finally {
    closeSync(fd);
  }
}

function readExactly(fd: number, position: number, length: number, path: string): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    let count: number;
    try {
      count = readSync(fd, bytes, done, length - done, position + done);
    } catch (cause) {
      throw safetensorsFileError("cannot be read", path, cause);
    }
    if (count === 0) {
      throw new SafetensorsError("ERR_SAFETENSORS_TRUNCATED", "the file shrank while it was read.", {
        where: path,
      });
    }
    done += count;
  }
  return bytes;
}
