/** What the operating system refuses, in the form of all our errors: a full disk is nobody's bug, and a stack helps nobody. */
import { SystemError } from "../errors.js";

/** By `errno` name: what happened and what to do. */
const MEANINGS: Readonly<Record<string, readonly [string, string]>> = {
  ENOSPC: ["the disk is full", "make room and run the same command again."],
  EDQUOT: ["the disk quota is used up", "make room and run the same command again."],
  EACCES: ["permission denied", "change the permissions, or choose another path."],
  EPERM: ["permission denied", "change the permissions, or choose another path."],
  EROFS: ["the file system is read-only", "choose another path."],
  ENOENT: ["there is no such file or folder", "check the path."],
  EISDIR: ["this is a folder, not a file", "name a file."],
  ENOTDIR: ["a part of the path is a file, not a folder", "check the path."],
  ELOOP: ["symbolic links lead in a circle", "check the path."],
  ENAMETOOLONG: ["the name is too long", "choose a shorter path."],
  EMFILE: ["too many files are open", "raise the limit: ulimit -n 4096."],
  EIO: ["the disk cannot be read or written", "look at the system's log; the disk may be failing."],
};

/** @returns undefined for errors that are not the system's */
export function systemError(error: unknown): SystemError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = "", path, syscall = "" } = error as NodeJS.ErrnoException;
  const meaning = MEANINGS[code];
  if (meaning === undefined) return undefined;
  const [what, fix] = meaning;
  const where = path ?? syscall;
  return new SystemError(`ERR_SYSTEM_${code}`, `${what}.`, {
    ...(where === "" ? {} : { where }),
    fix,
    cause: error,
  });
}
