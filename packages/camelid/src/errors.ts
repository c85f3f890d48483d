/**
 * Every error a user can cause says what happened, where, and how to fix it:
 *
 *     DataError [ERR_CHAT_ROLE_ORDER]: the conversation starts with role "assistant".
 *       where: pairs.jsonl line 1204, field messages[0].role
 *       fix:   start with "system" or "user", or remove the row with --on-bad skip.
 *
 * One class per family; `code` is stable and documented, the message may be reworded.
 */
export interface ErrorDetails {
  /** File, line, field, tensor name: whatever leads the reader to the spot. */
  where?: string;
  /** What to do about it, as an instruction. */
  fix?: string;
  cause?: unknown;
}

export abstract class CamelidError extends Error {
  /** Process exit code: 1 the work failed, 2 the command, its settings or its input are wrong. */
  abstract readonly exitCode: 1 | 2;
  readonly code: string;
  readonly where: string | undefined;
  readonly fix: string | undefined;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
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

/** A flag, a settings file or a combination of settings cannot be honoured. */
export class SettingsError extends CamelidError {
  readonly exitCode = 2;
}

/** A row, a file of rows, or a tokenizer and its template are not what they should be. */
export class DataError extends CamelidError {
  readonly exitCode = 2;
}

/** A model folder, a weight file or its configuration is damaged, missing or not supported. */
export class ModelError extends CamelidError {
  readonly exitCode = 2;
}

/** A model hub cannot be reached, or does not send what it promised. */
export class HubError extends CamelidError {
  readonly exitCode = 1;
}

/** A run folder or a checkpoint is damaged, incomplete or belongs to something else. */
export class CheckpointError extends CamelidError {
  readonly exitCode = 2;
}

/** Training went wrong while it ran: NaN, a full disk, memory. */
export class TrainingError extends CamelidError {
  readonly exitCode = 1;
}

/** The operating system refuses: a full disk, missing permissions. */
export class SystemError extends CamelidError {
  readonly exitCode = 1;
}

/** A state the program should never reach. */
export class InternalError extends CamelidError {
  readonly exitCode = 1;
  constructor(message: string, details: ErrorDetails = {}) {
    super("ERR_INTERNAL", message, { fix: "This is a bug in Camelid, please report it.", ...details });
  }
}
