/**
 * A blind round: two models answer one prompt, a coin decides who stands where, and the server alone knows until the vote.
 * What is voted on is what the server sent, not what a page says it saw.
 */
import { randomInt, randomUUID } from "node:crypto";
import type { Answerer } from "../answers/answerer.js";
import type { AnswerPiece, Choice, RoundPiece, RoundRequest, Vote, VoteReply } from "../api.js";
import { NotFound } from "../failures.js";
import type { VoteFile } from "./vote-file.js";

interface Round {
  request: RoundRequest;
  left: "a" | "b";
  answers: Record<"a" | "b", { text: string; finishReason: string }>;
  done: Set<"a" | "b">;
}

/** Rounds nobody voted on are forgotten. */
const MOST_OPEN = 50;

export class Arena {
  readonly #rounds = new Map<string, Round>();

  constructor(
    readonly answerer: Answerer,
    readonly votes: VoteFile,
    readonly placeOf: (model: string) => { folder: string; tokenizer: string },
  ) {}

  async *play(request: RoundRequest, signal: AbortSignal): AsyncGenerator<RoundPiece> {
    const id = randomUUID();
    const nothing = () => ({ text: "", finishReason: "cancelled" });
    const round: Round = {
      request,
      left: randomInt(2) === 0 ? "a" : "b",
      answers: { a: nothing(), b: nothing() },
      done: new Set(),
    };
    this.#rounds.set(id, round);
    if (this.#rounds.size > MOST_OPEN) this.#rounds.delete(this.#rounds.keys().next().value!);
    yield { kind: "round", round: id };
    const { models, ...job } = request;
    const streams = models.map((model) => this.answerer.answer({ ...job, ...this.placeOf(model) }, signal));
    yield* this.#together(round, streams);
  }

  /** Pieces of both as they come. */
  async *#together(round: Round, streams: AsyncIterator<AnswerPiece>[]): AsyncGenerator<RoundPiece> {
    const names = ["a", "b"] as const;
    const next = (i: number) => streams[i]!.next().then((result) => ({ i, result }));
    const waiting = new Map(streams.map((_, i) => [i, next(i)]));
    while (waiting.size > 0) {
      const { i, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(i);
        continue;
      }
      waiting.set(i, next(i));
      const piece = result.value;
      const name = names[i]!;
      if (piece.kind === "text") round.answers[name].text += piece.text;
      if (piece.kind === "done") {
        round.answers[name].finishReason = piece.finishReason;
        round.done.add(name);
      }
      const side = name === round.left ? "left" : "right";
      // How long a model takes to load or speak would tell who it is.
      const told = piece.kind === "done" ? { ...piece, ms: 0, loadMs: 0 } : piece;
      if (told.kind === "error") told.error = { code: told.error.code, message: told.error.message };
      yield { ...told, side };
    }
  }

  /** @throws {NotFound} when the round is not open, or an answer has not ended */
  vote(id: string, choice: Choice): VoteReply {
    const round = this.#rounds.get(id);
    if (round === undefined) throw new NotFound("that round is over, or was never played.");
    if (round.done.size < 2) throw new NotFound("both answers must have ended before the vote.");
    this.#rounds.delete(id);
    const { request, left, answers } = round;
    const { messages, models, maxNewTokens, temperature, topP, seed } = request;
    const right = left === "a" ? "b" : "a";
    const vote: Vote = {
      id,
      time: new Date().toISOString(),
      messages,
      a: { model: models[0], ...answers.a },
      b: { model: models[1], ...answers.b },
      left,
      winner: choice === "left" ? left : choice === "right" ? right : choice,
      decoding: { maxNewTokens, temperature, topP, seed },
    };
    this.votes.append(vote);
    return { left: vote[left].model, right: vote[right].model, vote };
  }
}
