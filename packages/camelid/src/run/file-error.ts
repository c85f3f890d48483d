import { CamelidError, TrainingError } from "../errors.js";

/**
 * Turns an error of the operating system into one that says what to do. Anything else, errors of ours
 * included, passes unchanged.
 */
export function fileError(error: unknown, path: string): unknown {
  if (error instanceof CamelidError || !(error instanceof Error)) return error;
  const details = { where: path, cause: error };
  switch ((error as NodeJS.ErrnoException).code) {
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
