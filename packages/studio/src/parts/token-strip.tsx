/**
 * A row as the model gets it: every token set apart, coloured by who says it, underlined where it is trained. Point at one,
 * or walk with the arrow keys, and it says why.
 */
import { useMemo, useRef, useState } from "preact/hooks";
import type { TokenView } from "../api.ts";

const ROLE_CLASS: Record<string, string> = { system: "s", user: "u", assistant: "a", template: "p" };

export function TokenStrip({ tokens }: { tokens: TokenView }) {
  const [at, setAt] = useState<number | undefined>(undefined);
  const strip = useRef<HTMLDivElement>(null);
  const many = tokens.ids.length;
  // Thousands of spans: made once, and the marked one moved by hand.
  const spans = useMemo(() => tokens.ids.map((_, i) => <Token key={i} tokens={tokens} at={i} />), [tokens]);
  const mark = (index: number | undefined) => {
    strip.current?.querySelector(".tok.at")?.classList.remove("at");
    if (index !== undefined) {
      const token = strip.current?.querySelector(`[data-i="${index}"]`);
      token?.classList.add("at");
      token?.scrollIntoView({ block: "nearest" });
    }
    setAt(index);
  };
  const onKey = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 12, ArrowUp: -12 };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    mark(Math.min(many - 1, Math.max(0, (at ?? -1) + move)));
  };
  const onPoint = (event: MouseEvent) => {
    const index = (event.target as HTMLElement).closest<HTMLElement>("[data-i]")?.dataset.i;
    if (index !== undefined) setAt(Number(index));
  };
  return (
    <>
      {/* biome-ignore lint/a11y/useSemanticElements lint/a11y/useKeyWithMouseEvents: text that arrow keys walk through; a reader hears each token below */}
      <div
        class="strip"
        ref={strip}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys walk through the tokens
        tabIndex={0}
        role="group"
        onKeyDown={onKey}
        onMouseOver={onPoint}
        onClick={onPoint}
        aria-label={`${many} tokens, ${tokens.trainedTokens} of them trained; arrow keys walk through them`}
      >
        {spans}
        {tokens.tokensCut > 0 && <span class="soft"> … {tokens.tokensCut} tokens cut</span>}
      </div>
      <div class="token-note" role="status">
        {at === undefined ? (
          <span class="soft">
            Point at a token, or focus the text and use the arrow keys, to see why it is trained or not.
          </span>
        ) : (
          <TokenNote tokens={tokens} at={at} />
        )}
      </div>
    </>
  );
}

function TokenNote({ tokens, at }: { tokens: TokenView; at: number }) {
  const role = tokens.roles[tokens.role[at]!];
  return (
    <>
      <b class="mono">{JSON.stringify(tokens.texts[at])}</b>{" "}
      <b>{tokens.trained[at] ? "trained" : "not trained"}</b>: {tokens.reasons[tokens.reason[at]!]}.
      <div class="soft">
        token {at + 1} of {tokens.ids.length}, id {tokens.ids[at]}, {role}
        {tokens.special[at] ? ", special" : ""}, label {tokens.trained[at] ? tokens.ids[at] : -100}
      </div>
    </>
  );
}

function Token({ tokens, at }: { tokens: TokenView; at: number }) {
  const text = tokens.texts[at]!;
  const role = ROLE_CLASS[tokens.roles[tokens.role[at]!]!] ?? "p";
  const breaks = text.includes("\n");
  return (
    <>
      {/^\s/.test(text) && <wbr />}
      <span
        class={`tok ${role}${tokens.trained[at] ? " t" : ""}${tokens.special[at] ? " x" : ""}`}
        data-i={at}
      >
        {visible(text)}
      </span>
      {breaks && <br />}
    </>
  );
}

/** White space and other unseen characters as marks, set back from the text. */
function visible(text: string) {
  const parts = text.split(/([ \t\n\r\u00a0\u200b-\u200f\u2028\u2029\ufeff\p{Cc}]+)/u);
  return parts.map((part, i) => (i % 2 === 0 ? part : <i key={i}>{[...part].map(sign).join("")}</i>));
}

function sign(character: string): string {
  const known: Record<string, string> = { " ": "·", "\n": "↵", "\t": "→", "\r": "␍", "\u00a0": "⍽" };
  return known[character] ?? `⟨${character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, "0")}⟩`;
}

export function TokenLegend() {
  return (
    <div class="strip-legend">
      {["system", "user", "assistant", "template"].map((role) => (
        <span key={role}>
          <span class={`tok ${ROLE_CLASS[role]}`}>{role}</span>
        </span>
      ))}
      <span>
        <span class="tok a t">underlined</span> counts in the loss
      </span>
      <span>
        <span class="tok p x">&lt;s&gt;</span> special
      </span>
    </div>
  );
}
