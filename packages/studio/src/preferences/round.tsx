/** The pieces of a round in the arena: two answers, the vote, where the two stand. */
import { useEffect, useRef } from "preact/hooks";
import type { ApiError, Choice, RoundPiece, VoteReply, VotesReply } from "../api.ts";
import { modelNames } from "../chat/model-choice.tsx";
import { count, percent } from "../format.ts";
import { Failure } from "../parts/blocks.tsx";
import { link } from "../router.tsx";

export interface Answer {
  text: string;
  note: string;
  done: boolean;
  error?: ApiError["error"];
}

export const NOTHING: Answer = { text: "", note: "", done: false };
export type Phase = "ask" | "answering" | "vote" | "told";

export function after(answer: Answer, piece: Exclude<RoundPiece, { kind: "round" }>): Answer {
  switch (piece.kind) {
    case "loading":
      return { ...answer, note: "loading" };
    case "text":
      return { ...answer, text: answer.text + piece.text, note: "" };
    case "done":
      return { ...answer, done: true, note: piece.finishReason === "length" ? "cut at the limit" : "" };
    case "error":
      return { ...answer, done: true, error: piece.error };
  }
}

export function Side({
  side,
  answer,
  told,
  phase,
}: {
  side: "left" | "right";
  answer: Answer;
  told: VoteReply | undefined;
  phase: Phase;
}) {
  const won =
    told && told.vote.winner === (side === "left" ? told.vote.left : told.vote.left === "a" ? "b" : "a");
  return (
    <section
      class={`answer${won ? " won" : ""}`}
      aria-label={`Answer on the ${side}`}
      aria-busy={phase === "answering" && !answer.done}
    >
      <h3>
        {told
          ? modelNames([told.left, told.right])[side === "left" ? 0 : 1]
          : side === "left"
            ? "Left"
            : "Right"}
        {won && <small>preferred</small>}
      </h3>
      <p class="words">
        {answer.text === "" ? (
          <span class="soft">{answer.done ? "(nothing)" : answer.note || "…"}</span>
        ) : (
          answer.text
        )}
      </p>
      {answer.done && answer.note !== "" && <small class="soft">{answer.note}</small>}
      {answer.error && <Failure of={{ message: answer.error.message, body: answer.error }} />}
    </section>
  );
}

const CHOICES: { choice: Choice; name: string; key: string }[] = [
  { choice: "left", name: "Left is better", key: "1" },
  { choice: "tie", name: "Equally good", key: "2" },
  { choice: "both-bad", name: "Both bad", key: "3" },
  { choice: "right", name: "Right is better", key: "4" },
];

export function VoteBar({
  phase,
  onVote,
  onNext,
  hasSource,
}: {
  phase: Phase;
  onVote: (choice: Choice) => void;
  onNext: () => void;
  hasSource: boolean;
}) {
  return (
    <fieldset class="vote-bar">
      <legend class="hidden">Which is better?</legend>
      {phase === "told" ? (
        <button type="button" class="main" onClick={onNext}>
          {hasSource ? "Next prompt" : "Another prompt"} <kbd>N</kbd>
        </button>
      ) : (
        CHOICES.map(({ choice, name, key }) => (
          <button type="button" key={choice} disabled={phase !== "vote"} onClick={() => onVote(choice)}>
            {name} <kbd>{key}</kbd>
          </button>
        ))
      )}
    </fieldset>
  );
}

export function Standing({ votes, a, b }: { votes: VotesReply; a: string; b: string }) {
  const pairing = votes.pairings.find((one) => [one.a, one.b].includes(a) && [one.a, one.b].includes(b));
  const [nameA, nameB] = modelNames([pairing?.a ?? "", pairing?.b ?? ""]);
  if (pairing === undefined || pairing.rate === null || pairing.interval === null) return null;
  return (
    <p class="standing" role="status">
      {nameA} has won <b>{percent(pairing.rate, 0)}</b> of {count(pairing.wins + pairing.losses)} decided
      votes against {nameB} (95 % interval {percent(pairing.interval[0], 0)} to{" "}
      {percent(pairing.interval[1], 0)}).{" "}
      <a href={link("preferences", "", { tab: "votes" })}>{count(votes.pairs)} pairs collected</a>
    </p>
  );
}

export function useVoteKeys(phase: Phase, vote: (choice: Choice) => void, next: () => void): void {
  const latest = useRef({ phase, vote, next });
  latest.current = { phase, vote, next };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (
        /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as HTMLElement).tagName) ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey
      )
        return;
      const { phase: now, vote: choose, next: go } = latest.current;
      const choice = now === "vote" ? CHOICES.find(({ key }) => key === event.key)?.choice : undefined;
      if (choice !== undefined) choose(choice);
      else if (now === "told" && event.key.toLowerCase() === "n") go();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
