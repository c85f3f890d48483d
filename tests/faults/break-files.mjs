/**
 * Loaded before a command (`node --import`), this makes the file system fail at a chosen moment:
 *   FAULT_KILL_AT=n     the process kills itself (SIGKILL) at its n-th change of a file or folder; a write is done by half
 *   FAULT_DISK_BYTES=n  the disk is full after n bytes: the write that would exceed them writes what fits, the next fails
 *   FAULT_READ_ONLY_AT=n  from the n-th change on, the file system is read-only, as a disk with errors becomes
 * Between two changes nothing reaches the disk, so killing at every change covers killing at every moment.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

let changesLeft = Number(process.env.FAULT_KILL_AT ?? Number.POSITIVE_INFINITY);
let readOnlyIn = Number(process.env.FAULT_READ_ONLY_AT ?? Number.POSITIVE_INFINITY);
let bytesLeft = Number(process.env.FAULT_DISK_BYTES ?? Number.POSITIVE_INFINITY);

/** @param half what a change leaves behind when the process dies in the middle of it */
function change(half) {
  if (--readOnlyIn <= 0) throw systemError("EROFS", -30, "read-only file system");
  if (--changesLeft > 0) return;
  half?.();
  process.kill(process.pid, "SIGKILL");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // until the signal arrives
}

const noSpace = () => systemError("ENOSPC", -28, "no space left on device");

function systemError(code, errno, text) {
  return Object.assign(new Error(`${code}: ${text}, write`), { code, errno, syscall: "write" });
}

const original = { ...fs };
const isOutput = (fd) => fd === 1 || fd === 2;

fs.writeSync = (fd, data, ...rest) => {
  if (isOutput(fd)) return original.writeSync(fd, data, ...rest);
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  const [offset = 0, length = bytes.byteLength - offset] = typeof data === "string" ? [] : rest;
  change(() => original.writeSync(fd, bytes, offset, length >> 1));
  if (bytesLeft <= 0) throw noSpace();
  const count = original.writeSync(fd, bytes, offset, Math.min(length, bytesLeft));
  bytesLeft -= count;
  return count;
};

fs.writeFileSync = (path, data, ...rest) => {
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  change(() => original.writeFileSync(path, bytes.subarray(0, bytes.length >> 1), ...rest));
  original.writeFileSync(path, bytes.subarray(0, Math.min(bytes.length, bytesLeft)), ...rest);
  if (bytes.length > bytesLeft) throw noSpace();
  bytesLeft -= bytes.length;
};

for (const name of ["fsyncSync", "renameSync", "rmSync", "mkdirSync", "ftruncateSync", "rmdirSync"]) {
  fs[name] = (...args) => {
    change();
    return original[name](...args);
  };
}

const promises = fs.promises;
for (const name of ["rename", "rm", "mkdir"]) {
  const before = promises[name];
  promises[name] = async (...args) => {
    change();
    return before(...args);
  };
}

syncBuiltinESMExports();
