/** Answers, rounds of the arena, votes. */
import type { ApiError } from "./common.js";

/** Asks a model for an answer; the reply is a stream of {@link AnswerPiece}, one JSON object a line. */
export interface AnswerRequest {
  model: string;
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: number;
}

export type AnswerPiece =
  | { kind: "loading" }
  | { kind: "text"; text: string }
  | { kind: "done"; finishReason: string; tokens: number; ms: number; loadMs: number }
  | { kind: "error"; error: ApiError["error"] };

/** Two models answer one prompt; the stream says only which side speaks. */
export interface RoundRequest extends Omit<AnswerRequest, "model"> {
  models: [string, string];
}

export type RoundPiece = { kind: "round"; round: string } | (AnswerPiece & { side: "left" | "right" });

export type Choice = "left" | "right" | "tie" | "both-bad";

export interface VoteReply {
  left: string;
  right: string;
  vote: Vote;
}

/** One line of votes.jsonl. */
export interface Vote {
  id: string;
  time: string;
  messages: { role: string; content: string }[];
  a: { model: string; text: string; finishReason: string };
  b: { model: string; text: string; finishReason: string };
  /** Which of the two stood on the left. */
  left: "a" | "b";
  winner: "a" | "b" | "tie" | "both-bad";
  decoding: { maxNewTokens: number; temperature: number; topP: number; seed: number };
}

export interface VotesReply {
  votes: Vote[];
  pairings: Pairing[];
  /** Votes that make a pair: decided, and the answers differ. */
  pairs: number;
  notes: string[];
  file: string;
}

/** What was voted between two models. */
export interface Pairing {
  a: string;
  b: string;
  wins: number;
  losses: number;
  ties: number;
  bothBad: number;
  /** Share of decided votes that `a` won, with Wilson's 95 % interval; null without any. */
  rate: number | null;
  interval: [number, number] | null;
  /** The same after each decided vote. */
  course: { votes: number; rate: number; low: number; high: number }[];
}

export interface ExportReply {
  id: string;
  path: string;
  pairs: number;
  leftOut: { ties: number; same: number };
}
