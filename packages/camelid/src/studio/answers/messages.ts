/** What the Studio and the process that computes answers say to each other. */
import type { AnswerPiece } from "../api.js";

export interface AnswerJob {
  id: number;
  /** Model or adapter folder. */
  folder: string;
  /** Where its tokenizer is: an adapter may leave it to its base. */
  tokenizer: string;
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: number;
}

export type ToWorker = { kind: "answer"; job: AnswerJob } | { kind: "cancel"; id: number };

export interface FromWorker {
  id: number;
  piece: AnswerPiece;
}
