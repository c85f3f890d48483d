/** What every part of the API uses. */
/** JSON has no NaN: such numbers travel as these words. */
export type AnyNumber = number | "NaN" | "Infinity" | "-Infinity";

export interface ApiError {
  error: { code: string; message: string; where?: string; fix?: string };
}

export type RowKind = "conversations" | "pairs" | "other";
