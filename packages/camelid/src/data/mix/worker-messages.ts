/** What a mixing thread sends back. Errors cross as plain data: structured clone drops their class. */
import { CamelidError, DataError, InternalError, SettingsError } from "../../errors.js";
import type { RowJobResult } from "./job.js";

export type WorkerReply =
  | { readonly number: number; readonly result: RowJobResult }
  | { readonly number: number; readonly error: PlainError };

export interface PlainError {
  readonly kind: string;
  readonly code: string;
  readonly message: string;
  readonly where?: string;
  readonly fix?: string;
  readonly stack?: string;
}

export function plainError(error: unknown): PlainError {
  if (error instanceof CamelidError) {
    const { where, fix } = error;
    return {
      kind: error.name,
      code: error.code,
      message: error.message,
      ...(where && { where }),
      ...(fix && { fix }),
    };
  }
  const { message, stack } = error as Error;
  return { kind: "Error", code: "", message, ...(stack && { stack }) };
}

export function reviveError({ kind, code, message, where, fix, stack }: PlainError): Error {
  const details = { ...(where && { where }), ...(fix && { fix }) };
  if (kind === "DataError") return new DataError(code, message, details);
  if (kind === "SettingsError") return new SettingsError(code, message, details);
  return new InternalError(`a mixing thread failed: ${message}`, { cause: stack });
}
