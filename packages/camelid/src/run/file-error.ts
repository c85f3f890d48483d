import { CamelidError, TrainingError } from "../errors.js";

/**
 * Turns an error of the operating system into one that says what to do. Anything else, errors of ours
 * included, passes unchanged.
 */
export function fileError(error: unknown, path: string): unknown {
  if (error instanceof CamelidError || !(error instanceof Error)) return error;
  const details = { where: path, cause: error };
  switch (systemCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new TrainingError("ERR_DISK_FULL", "the disk is full; the file was not written.", {
        ...details,
        fix: "free space or choose another --out; what was complete before is still complete.",
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new TrainingError("ERR_NOT_WRITABLE", "this place cannot be written.", {
        ...details,
        fix: "check the owner and the permissions of the folder, or choose another --out.",
      });
    // Places that are no folders of files, and names that no file can have.
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
    case "EINVAL":
    case "ENAMETOOLONG":
      return new TrainingError("ERR_NOT_WRITABLE", `this place cannot be written (${systemCode(error)}).`, {
        ...details,
        fix: "choose another --out.",
      });
    case "EEXIST":
    case "ENOTEMPTY":
      return new TrainingError("ERR_FOLDER_EXISTS", "this folder is there already and is not replaced.", {
        ...details,
        fix: "remove it, or choose another name.",
      });
    default:
      return error;
  }
}

/** The engine wraps what the system said about a weight file in an error of its own. */
function systemCode(error: Error): string | undefined {
  const { cause } = error;
  const inner = cause instanceof Error && "syscall" in cause ? cause : error;
  return (inner as NodeJS.ErrnoException).code;
}
