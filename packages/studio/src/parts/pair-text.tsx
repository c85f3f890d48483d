import type { RowSide } from "../api.ts";
import { Turns } from "./turns.tsx";
import { type Word, wordDiff } from "./word-diff.ts";

/** A pair as text: the prompt once, then the two answers beside each other, with the words that only one says. */
export function PairText({ chosen, rejected }: { chosen: RowSide; rejected: RowSide }) {
  const prompt = chosen.messages.slice(0, -1);
  const [won, lost] = wordDiff(
    chosen.messages.at(-1)?.content ?? "",
    rejected.messages.at(-1)?.content ?? "",
  );
  return (
    <>
      <Turns side={{ messages: prompt }} />
      <div class="sides">
        <Answer name="chosen" words={won} />
        <Answer name="rejected" words={lost} />
      </div>
    </>
  );
}

function Answer({ name, words }: { name: "chosen" | "rejected"; words: Word[] }) {
  return (
    <section class={`answer${name === "chosen" ? " won" : ""}`} aria-label={name}>
      <h3>{name}</h3>
      <p class="words">
        {runs(words).map(({ text, own }, i) => (own ? <mark key={i}>{text}</mark> : text))}
        {words.length === 0 && <span class="soft">(empty)</span>}
      </p>
    </section>
  );
}

/** Neighbours of one kind together; white space between two marked words is marked with them. */
function runs(words: Word[]): Word[] {
  const joined: Word[] = [];
  for (const [i, { text, own }] of words.entries()) {
    const inside = text.trim() === "" && words[i - 1]?.own && words[i + 1]?.own;
    const last = joined.at(-1);
    if (last !== undefined && last.own === (own || inside)) last.text += text;
    else joined.push({ text, own: own || inside === true });
  }
  return joined;
}
