import { useState } from "preact/hooks";
import { type EvalTask, get, type ItemDetail, type ItemsReply, type ListedItem, part } from "../api.ts";
import { plural } from "../format.ts";
import { useLoad, useRested } from "../hooks.ts";
import { Failure, Note } from "../parts/blocks.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { PAGE, VirtualList } from "../parts/virtual-list.tsx";
import { type Route, setQuery } from "../router.tsx";

const VERDICTS = [
  ["", "all"],
  ["right", "right"],
  ["wrong", "wrong"],
  ["failed", "failed"],
  ["skipped", "skipped"],
  ["extraction", "nothing read out"],
  ["truncated", "cut"],
] as const;

/** Every item of a task: what was asked, said, read out, and decided. */
export function ItemsPanel({ id, task, route }: { id: string; task: EvalTask; route: Route }) {
  const [words, setWords] = useState("");
  const rested = useRested(words, 10);
  const verdict = route.query.get("verdict") ?? "";
  const group = route.query.get("group") ?? "";
  const open = route.query.get("item");
  const query = { task: task.key, verdict, group, words: rested };
  const question = JSON.stringify(query);
  const first = useLoad(`items ${id} ${question}`, (signal) =>
    get<ItemsReply>(`evals/${part(id)}/items`, { ...query, limit: PAGE }, signal),
  );
  const load = async (offset: number, limit: number, signal: AbortSignal) =>
    (await get<ItemsReply>(`evals/${part(id)}/items`, { ...query, offset, limit }, signal)).items;
  return (
    <section class="part" aria-label="Items">
      <h2>Items</h2>
      <div class="fields" style={{ marginTop: "0.5rem" }}>
        <input
          type="search"
          placeholder="Find in prompts and answers"
          aria-label="Find items"
          value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
        <label>
          Verdict
          <select value={verdict} onChange={(event) => setQuery({ verdict: event.currentTarget.value })}>
            {VERDICTS.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {group !== "" && (
          <button type="button" onClick={() => setQuery({ group: undefined })}>
            only {group}: show all
          </button>
        )}
        <span class="soft" role="status">
          {first.value && plural(first.value.total, "item")}
        </span>
      </div>
      {first.error && <Failure of={first.error} />}
      {first.value && first.value.total > 0 && (
        <VirtualList<ListedItem>
          label="Items"
          total={first.value.total}
          height={420}
          question={first.of}
          first={first.value.items}
          load={load}
          columns="items-grid"
          selected={undefined}
          onOpen={({ index }) => setQuery({ item: String(index) })}
          row={(item) => (
            <>
              <span class={`verdict ${item.verdict}`}>{item.verdict}</span>
              <span class="soft wide-only">{item.group || item.id}</span>
              <span>{item.prompt}</span>
              <span class="wide-only mono">{item.extracted ?? item.output.replace(/\s+/g, " ")}</span>
            </>
          )}
        />
      )}
      {open !== null && (
        <ItemDrawer
          id={id}
          task={task.key}
          index={Number(open)}
          items={task.items}
          onClose={() => setQuery({ item: undefined })}
          onGo={(to) => setQuery({ item: String(to) })}
        />
      )}
    </section>
  );
}

function ItemDrawer(props: {
  id: string;
  task: string;
  index: number;
  /** Of the task. */
  items: number;
  onClose: () => void;
  onGo: (index: number) => void;
}) {
  const { id, task, index, onGo } = props;
  const { value, error } = useLoad(`item ${id} ${task} ${index}`, (signal) =>
    get<ItemDetail>(`evals/${part(id)}/items/${index}`, { task }, signal),
  );
  return (
    <Drawer
      title={value?.id ?? `Item ${index + 1}`}
      label="Item"
      onClose={props.onClose}
      what="item"
      before={index > 0 ? () => onGo(index - 1) : undefined}
      next={index + 1 < props.items ? () => onGo(index + 1) : undefined}
    >
      {error && <Failure of={error} />}
      {value && <Item of={value} />}
    </Drawer>
  );
}

export function Item({ of, withPrompt = true }: { of: ItemDetail; withPrompt?: boolean }) {
  return (
    <>
      <p>
        <span class={`verdict ${of.verdict}`}>{of.verdict}</span>
        {of.group && <span class="soft"> · {of.group}</span>}
        {of.score !== null && <span class="soft"> · score {of.score}</span>}
      </p>
      {of.remarks.map((remark) => (
        <Note key={remark} tone="warn">
          {remark}
        </Note>
      ))}
      <dl class="pairs" style={{ margin: "0.8rem 0" }}>
        <dt>read out</dt>
        <dd class="mono words">{of.extracted ?? "nothing"}</dd>
        {of.target !== null && (
          <>
            <dt>expected</dt>
            <dd class="mono words">{of.target}</dd>
          </>
        )}
        {Object.entries(of.values).map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
      <Said name="Answer" text={of.output} />
      {of.details && (
        <details open>
          <summary class="soft">what was found (sandbox, judge, ranks)</summary>
          <pre class="words">{of.details}</pre>
        </details>
      )}
      {of.rounds.map(({ to, prompt, output }, i) => (
        <details key={i} open>
          <summary class="soft">then, to {to}</summary>
          {prompt !== null && <Said name="asked" text={prompt} />}
          <Said name="answered" text={output} />
        </details>
      ))}
      {withPrompt && (
        <Said
          name="Prompt, as the model got it"
          text={of.prompt ?? "(not known: only answers were stored)"}
        />
      )}
    </>
  );
}

export function Said({ name, text }: { name: string; text: string }) {
  return (
    <div class="turn">
      <h3>{name}</h3>
      <pre class="words">{text === "" ? "(nothing)" : text}</pre>
    </div>
  );
}
