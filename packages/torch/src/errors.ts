/**
 * Errors of this package say what happened, where, and how to fix it:
 *
 *     SafetensorsError [ERR_SAFETENSORS_TRUNCATED]: the file ends 4,096 bytes before its last tensor does.
 *       where: model.safetensors, tensor "lm_head.weight"
 *       fix:   download or save the file again.
 *
 * `code` is stable; the message may be reworded.
 */
export interface TorchErrorDetails {
  /** File, tensor, operator: whatever leads the reader to the spot. */
  where?: string;
  /** What to do about it, as an instruction. */
  fix?: string;
  cause?: unknown;
}

export abstract class TorchError extends Error {
  readonly code: string;
  readonly where: string | undefined;
  readonly fix: string | undefined;

  constructor(code: string, message: string, details: TorchErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.where = details.where;
    this.fix = details.fix;
  }

  /** The text people see; the stack stays out of it. */
  format(): string {
    const lines = [`${this.name} [${this.code}]: ${this.message}`];
    if (this.where !== undefined) lines.push(`  where: ${this.where}`);
    if (this.fix !== undefined) lines.push(`  fix:   ${this.fix}`);
    return lines.join("\n");
  }
}

/** A safetensors file is damaged, is not one, or cannot be read or written. */
export class SafetensorsError extends TorchError {}

/** Errors of node:fs carry the system call that failed. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

export function safetensorsFileError(what: string, path: string, cause: unknown): SafetensorsError {
  const code = isSystemError(cause) ? cause.code : undefined;
  const fixes: Record<string, string> = {
    ENOENT: "check the path; its folder has to exist.",
    ENOSPC: "free some space on the disk.",
    EACCES: "check the permissions.",
  };
  const fix = code === undefined ? undefined : fixes[code];
  return new SafetensorsError("ERR_SAFETENSORS_FILE", `the file ${what} (${code ?? String(cause)}).`, {
    where: path,
    cause,
    ...(fix === undefined ? {} : { fix }),
  });
}

/** libtorch refused a call: shapes, dtypes, devices, memory. The message is libtorch's own, after the operator's name. */
export class NativeError extends TorchError {
  constructor(message: string) {
    super("ERR_TORCH", message);
  }
}

/** A tensor was used after it was disposed, or a scope did not end where it began. */
export class LifetimeError extends TorchError {}

/** The binding could not be loaded: no libtorch, or one it was not built for. */
export class InstallationError extends TorchError {}

/** Processes did not come together, or one of them was lost. */
export class DistributedError extends TorchError {}
