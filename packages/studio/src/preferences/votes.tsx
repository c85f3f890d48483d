import { useState } from "preact/hooks";
import { type ExportReply, type Pairing, post, RequestFailed, type Vote, type VotesReply } from "../api.ts";
import { modelNames } from "../chat/model-choice.tsx";
import { count, moment, percent } from "../format.ts";
import { Failure, Note, Part } from "../parts/blocks.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { link } from "../router.tsx";

/** What was voted, what it says of the models, and the way to the next run. */
export function Votes({ of, reload }: { of: VotesReply; reload: () => void }) {
  const [written, setWritten] = useState<ExportReply | RequestFailed>();
  const [open, setOpen] = useState<Vote>();
  const save = async () => {
    setWritten(
      await post<ExportReply>("preferences/export", {}).catch((error: unknown) => error as RequestFailed),
    );
    reload();
  };
  if (of.votes.length === 0)
    return <p class="empty">No vote yet. Go to the arena, ask two models, and say which answer is better.</p>;
  return (
    <>
      {of.notes.map((note) => (
        <Note key={note} tone="warn">
          {note}
        </Note>
      ))}
      <Part
        title="Win rates"
        margin
        note="Of decided votes, with Wilson's 95 % interval. An interval that crosses the middle says: not known yet."
      >
        {of.pairings.map((pairing) => (
          <PairingRow key={`${pairing.a} ${pairing.b}`} of={pairing} />
        ))}
      </Part>
      <Part
        title="The next run"
        margin
        note="Decided votes become pairs; ties and equal answers teach nothing."
      >
        <div class="fields">
          <button type="button" class="main" disabled={of.pairs === 0} onClick={() => void save()}>
            Export {count(of.pairs)} {of.pairs === 1 ? "pair" : "pairs"}
          </button>
          {written !== undefined && !(written instanceof RequestFailed) && (
            <a class="button main" href={link("train", "", { recipe: "dpo", data: written.id })}>
              Train on them
            </a>
          )}
        </div>
        {written instanceof RequestFailed && <Failure of={written} />}
        {written !== undefined && !(written instanceof RequestFailed) && (
          <Note tone="good">
            {count(written.pairs)} pairs in{" "}
            <a href={link("data", written.id, { tab: "rows" })}>{written.id}</a>
            {written.leftOut.ties + written.leftOut.same > 0 &&
              `; left out: ${count(written.leftOut.ties)} ties, ${count(written.leftOut.same)} equal answers`}
          </Note>
        )}
      </Part>
      <Part title="Votes" margin note={of.file}>
        <table class="wide">
          <tbody>
            {of.votes.map((vote) => (
              <tr key={vote.id} class="go" onClick={() => setOpen(vote)}>
                <td class="soft">{moment(vote.time)}</td>
                <td class="text">
                  <button type="button" class="plain" onClick={() => setOpen(vote)}>
                    {vote.messages.at(-1)?.content.slice(0, 140)}
                  </button>
                </td>
                <td>{verdict(vote)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Part>
      {open && (
        <Drawer title="Vote" label="Vote" onClose={() => setOpen(undefined)}>
          {open.messages.map(({ role, content }, i) => (
            <div key={i} class={`turn ${role}`}>
              <h3>{role}</h3>
              <p>{content}</p>
            </div>
          ))}
          <div class="sides">
            {(["a", "b"] as const).map((side) => (
              <section key={side} class={`answer${open.winner === side ? " won" : ""}`}>
                <h3>
                  {modelNames([open.a.model, open.b.model])[side === "a" ? 0 : 1]}
                  {open.winner === side && <small>preferred</small>}
                </h3>
                <p class="words">
                  {open[side].text === "" ? <span class="soft">(nothing)</span> : open[side].text}
                </p>
              </section>
            ))}
          </div>
        </Drawer>
      )}
    </>
  );
}

function verdict({ winner, a, b }: Vote): string {
  if (winner === "tie") return "equally good";
  if (winner === "both-bad") return "both bad";
  const [nameA, nameB] = modelNames([a.model, b.model]);
  return winner === "a" ? `${nameA} over ${nameB}` : `${nameB} over ${nameA}`;
}

function PairingRow({ of }: { of: Pairing }) {
  const [nameA, nameB] = modelNames([of.a, of.b]);
  const { wins, losses, ties, bothBad, rate, interval } = of;
  return (
    <div class="pairing">
      <div class="who">
        <b>{nameA}</b> <span class="soft">against</span> <b>{nameB}</b>
      </div>
      {rate === null || interval === null ? (
        <span class="soft">no decided vote yet</span>
      ) : (
        <>
          <Scale rate={rate} interval={interval} />
          <span>
            {percent(rate, 0)}{" "}
            <span class="soft">
              ({percent(interval[0], 0)} to {percent(interval[1], 0)})
            </span>
          </span>
          <Course of={of} />
        </>
      )}
      <small class="soft">
        {count(wins)} won, {count(losses)} lost, {count(ties)} equal, {count(bothBad)} both bad
      </small>
    </div>
  );
}

/** The rate on a line from 0 to 1, its interval around it, the middle marked. */
function Scale({ rate, interval: [low, high] }: { rate: number; interval: [number, number] }) {
  return (
    <svg
      class="scale"
      viewBox="0 0 100 12"
      preserveAspectRatio="none"
      role="img"
      aria-label={`won ${percent(rate, 0)}, interval ${percent(low, 0)} to ${percent(high, 0)}`}
    >
      <line class="ground" x1="0" x2="100" y1="6" y2="6" />
      <line class="middle" x1="50" x2="50" y1="0" y2="12" />
      <line class="interval" x1={100 * low} x2={100 * high} y1="6" y2="6" />
      <line class="rate" x1={100 * rate} x2={100 * rate} y1="1" y2="11" />
    </svg>
  );
}

/** How the rate moved, vote by vote. */
function Course({ of: { course } }: { of: Pairing }) {
  if (course.length < 2) return null;
  const x = (i: number) => (100 * i) / (course.length - 1);
  const y = (rate: number) => 24 * (1 - rate);
  const band = [
    ...course.map(({ low }, i) => `${x(i)} ${y(low)}`),
    ...course.map(({ high }, i) => `${x(i)} ${y(high)}`).reverse(),
  ];
  return (
    <svg class="course" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
      <path class="band" d={`M${band.join("L")}Z`} />
      <line x1="0" x2="100" y1="12" y2="12" />
      <path d={`M${course.map(({ rate }, i) => `${x(i)} ${y(rate)}`).join("L")}`} />
    </svg>
  );
}
