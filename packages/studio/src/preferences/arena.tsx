import { useRef, useState } from "preact/hooks";
import {
  type Catalog,
  type Choice,
  get,
  post,
  RequestFailed,
  type RoundPiece,
  type VoteReply,
  type VotesReply,
} from "../api.ts";
import { DecodingFields, useDecoding } from "../chat/decoding.tsx";
import { ModelChoice } from "../chat/model-choice.tsx";
import { useKept } from "../hooks.ts";
import { Failure } from "../parts/blocks.tsx";
import { type Route, setQuery } from "../router.tsx";
import { streamLines } from "../stream.ts";
import { type Answer, after, NOTHING, type Phase, Side, Standing, useVoteKeys, VoteBar } from "./round.tsx";

/** Two models answer blind; a click or a key says which is better. */
export function Arena({
  catalog,
  route,
  onVote,
  votes,
}: {
  catalog: Catalog;
  route: Route;
  onVote: () => void;
  votes: VotesReply | undefined;
}) {
  const a = route.query.get("a") ?? catalog.models[0]?.id ?? "";
  const b = route.query.get("b") ?? catalog.models.find(({ id }) => id !== a)?.id ?? "";
  const [decoding, setDecoding] = useDecoding("arena", "0.8");
  const [source, keepSource] = useKept("arena-prompts", "");
  const [prompt, setPrompt] = useState("");
  const [phase, setPhase] = useState<Phase>("ask");
  const [answers, setAnswers] = useState<Record<"left" | "right", Answer>>({ left: NOTHING, right: NOTHING });
  const [told, setTold] = useState<VoteReply>();
  const [failed, setFailed] = useState<RequestFailed>();
  const round = useRef("");
  const stopper = useRef<AbortController | undefined>(undefined);

  const play = async (text: string) => {
    if (text.trim() === "" || a === "" || b === "") return;
    const shown = { left: { ...NOTHING }, right: { ...NOTHING } };
    setTold(undefined);
    setFailed(undefined);
    setAnswers(shown);
    setPhase("answering");
    stopper.current = new AbortController();
    try {
      // Another seed each round, so that a prompt asked twice is answered twice.
      const seed = decoding.seed + Math.floor(Math.random() * 1e6);
      const body = { models: [a, b], messages: [{ role: "user", content: text }], ...decoding, seed };
      for await (const piece of streamLines<RoundPiece>("preferences/rounds", body, stopper.current.signal)) {
        if (piece.kind === "round") round.current = piece.round;
        else shown[piece.side] = after(shown[piece.side], piece);
        setAnswers({ ...shown });
      }
      setPhase(shown.left.error || shown.right.error ? "ask" : "vote");
    } catch (error) {
      if (error instanceof RequestFailed) setFailed(error);
      setPhase("ask");
    }
  };
  const vote = async (choice: Choice) => {
    if (phase !== "vote") return;
    setPhase("told");
    try {
      setTold(await post<VoteReply>("preferences/votes", { round: round.current, choice }));
      onVote();
    } catch (error) {
      if (error instanceof RequestFailed) setFailed(error);
      setPhase("ask");
    }
  };
  const next = async () => {
    if (source === "") {
      setPhase("ask");
      setPrompt("");
      return;
    }
    const { prompt: drawn } = await get<{ prompt: string }>("preferences/prompt", { data: source });
    setPrompt(drawn);
    void play(drawn);
  };
  useVoteKeys(
    phase,
    (choice) => void vote(choice),
    () => void next(),
  );
  if (catalog.models.length < 2) {
    return (
      <p class="empty">
        The arena needs two models in these folders: a base and a checkpoint of a run, or two checkpoints.
      </p>
    );
  }
  const data = [
    ...catalog.mixes.map(({ id, name }) => ({ id, name })),
    ...catalog.files.map(({ id }) => ({ id, name: id })),
  ];
  return (
    <div data-own-digits={phase === "vote" ? "true" : "false"}>
      <div class="fields">
        <ModelChoice label="Between" catalog={catalog} value={a} onChange={(id) => setQuery({ a: id })} />
        <ModelChoice label="and" catalog={catalog} value={b} onChange={(id) => setQuery({ b: id })} />
        <label>
          Prompts from
          <select value={source} onChange={(event) => keepSource(event.currentTarget.value)}>
            <option value="">what I type</option>
            {data.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <DecodingFields of={decoding} onChange={setDecoding} />
      <div class="composer top">
        <textarea
          aria-label="Prompt"
          rows={2}
          placeholder={
            source === "" ? "A prompt for both. Enter asks." : "Enter asks; or take one from the data."
          }
          value={prompt}
          onInput={(event) => setPrompt(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey) return;
            event.preventDefault();
            void play(prompt);
          }}
        />
        {phase === "answering" ? (
          <button type="button" onClick={() => stopper.current?.abort()}>
            Stop
          </button>
        ) : (
          <>
            <button
              type="button"
              class="main"
              disabled={prompt.trim() === "" || a === b}
              onClick={() => void play(prompt)}
            >
              Ask both
            </button>
            {source !== "" && (
              <button type="button" onClick={() => void next()}>
                From the data
              </button>
            )}
          </>
        )}
      </div>
      {a === b && <p class="soft">Choose two different models.</p>}
      {failed && <Failure of={failed} />}
      {(phase !== "ask" || answers.left.error || answers.right.error) && (
        <>
          <div class="sides arena">
            {(["left", "right"] as const).map((side) => (
              <Side key={side} side={side} answer={answers[side]} told={told} phase={phase} />
            ))}
          </div>
          <VoteBar
            phase={phase}
            onVote={(choice) => void vote(choice)}
            onNext={() => void next()}
            hasSource={source !== ""}
          />
        </>
      )}
      {votes && told && <Standing votes={votes} a={a} b={b} />}
    </div>
  );
}
