import { useState } from "preact/hooks";
import type { Catalog } from "../api.ts";
import { useKept } from "../hooks.ts";
import { Failure, Page } from "../parts/blocks.tsx";
import { type Route, setQuery } from "../router.tsx";
import { type Conversation, useConversation } from "./conversation.ts";
import { DecodingFields, useDecoding } from "./decoding.tsx";
import { ModelChoice, modelNames } from "./model-choice.tsx";

/** Talk with any checkpoint or adapter, or with two at once. */
export function ChatView({ route, catalog }: { route: Route; catalog: Catalog }) {
  const first = useConversation();
  const second = useConversation();
  const [decoding, setDecoding] = useDecoding("chat", "0");
  const [system, keepSystem] = useKept("chat-system", "");
  const [text, setText] = useState("");
  const a = route.query.get("a") ?? catalog.models[0]?.id ?? "";
  const b = route.query.get("b") ?? "";
  const [nameA = "", nameB = ""] = modelNames([a, b]);
  const busy = first.busy || second.busy;
  const send = () => {
    if (text.trim() === "" || busy || a === "") return;
    void first.ask(a, text, system, decoding);
    if (b !== "") void second.ask(b, text, system, decoding);
    setText("");
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  if (catalog.models.length === 0) {
    return (
      <Page title="Chat">
        <p class="empty">
          There is no model in {catalog.roots.map(({ path }) => path).join(", ")}. Open the Studio on a folder
          that holds one, or train one.
        </p>
      </Page>
    );
  }
  return (
    <Page title="Chat" lead="Answers come from the trainer's own renderer and template.">
      <div class="fields">
        <ModelChoice label="Model" catalog={catalog} value={a} onChange={(id) => setQuery({ a: id })} />
        <ModelChoice
          label="beside"
          catalog={catalog}
          value={b}
          onChange={(id) => setQuery({ b: id })}
          optional="nobody"
        />
        <button
          type="button"
          onClick={() => {
            first.clear();
            second.clear();
          }}
          disabled={busy || first.turns.length + second.turns.length === 0}
        >
          Start over
        </button>
      </div>
      <DecodingFields of={decoding} onChange={setDecoding} />
      <details style={{ marginBottom: "1rem" }} open={system !== ""}>
        <summary class="soft">instructions (system message)</summary>
        <textarea
          aria-label="System message"
          rows={2}
          value={system}
          onInput={(event) => keepSystem(event.currentTarget.value)}
        />
      </details>
      <div class={b === "" ? "" : "sides"}>
        <Talk of={first} name={nameA} />
        {b !== "" && <Talk of={second} name={nameB} />}
      </div>
      <div class="composer">
        <textarea
          aria-label="Message"
          rows={2}
          placeholder="Say something. Enter sends, Shift Enter starts a line."
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKey}
        />
        {busy ? (
          <button
            type="button"
            onClick={() => {
              first.stop();
              second.stop();
            }}
          >
            Stop
          </button>
        ) : (
          <button type="button" class="main" onClick={send} disabled={text.trim() === ""}>
            Send
          </button>
        )}
      </div>
    </Page>
  );
}

function Talk({ of, name }: { of: Conversation; name: string }) {
  return (
    <section aria-label={`Conversation with ${name}`} aria-live="polite" aria-busy={of.busy}>
      <h3>{name}</h3>
      {of.turns.length === 0 && <p class="soft">Nothing said yet.</p>}
      {of.turns.map(({ role, content, note, error }, i) => (
        <div key={i} class={`turn ${role}`}>
          <h3>{role === "assistant" ? name : role}</h3>
          <p>{content}</p>
          {error && <Failure of={{ message: error.message, body: error }} />}
          {note && <small class="soft">{note}</small>}
        </div>
      ))}
    </section>
  );
}
